//! Token ids against transformers, on texts people type and texts that break tokenizers.

use std::collections::BTreeMap;

use pentimento_engine::prompt::tokenizer::Tokenizer;
use pentimento_engine::weights::files::ModelFiles;
use serde::Deserialize;
use support::places;

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn ids_are_those_of_transformers() {
    let text = std::fs::read_to_string(places::fixture("tokens/tokens.json")).unwrap();
    let recorded: BTreeMap<String, Vec<Row>> = serde_json::from_str(&text).unwrap();
    assert_eq!(recorded.len(), 4);
    let mut wrong = Vec::new();
    for (name, rows) in &recorded {
        assert!(rows.len() > 30);
        let files = ModelFiles::folder(places::model(name));
        let length = rows[0].ids.len();
        let tokenizer = Tokenizer::read(&files, "tokenizer", length).unwrap();
        for row in rows {
            let ours = tokenizer.encode(&row.text).unwrap().ids;
            if ours != row.ids {
                wrong.push(format!(
                    "{name}: {:?}\n    ours      {ours:?}\n    reference {:?}",
                    row.text, row.ids
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
}

#[test]
fn counts_are_without_marks_and_before_cutting() {
    let files = ModelFiles::folder(places::model("starter"));
    let tokenizer = Tokenizer::read(&files, "tokenizer", 32).unwrap();
    let used = |text: &str| tokenizer.encode(text).unwrap().used;
    assert_eq!(tokenizer.room(), 30);
    assert_eq!(used(""), 0);
    assert_eq!(used("a red apple"), 3);
    assert_eq!(used(&"red ".repeat(50)), 50);
    let ids = tokenizer.words("a Red\napple, 3d!").unwrap();
    assert_eq!(tokenizer.text(&ids), "a red apple , 3 d !");
    // This one knows every byte, but at the end of a word.
    let files = ModelFiles::folder(places::model("sd1"));
    let tokenizer = Tokenizer::read(&files, "tokenizer", 77).unwrap();
    let ids = tokenizer.words("ünïn 雪n").unwrap();
    assert_eq!(tokenizer.text(&ids), "ünïn 雪n");
}
