//! Textual inversions against diffusers on the same vectors (`fixtures/embeddings/make.py`): hidden
//! states within 1e-4 of their scale.

use std::collections::BTreeMap;
use std::sync::Arc;

use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Model, Word};
use pentimento_engine::prompt::Reading;
use pentimento_engine::weights::embedding::EmbeddingFile;
use pentimento_engine::weights::files::ModelFiles;
use support::compare::expect_near;
use support::fixture::Fixture;
use support::places::{fixture, model};

use crate::networks::paths;

const TOLERANCE: f64 = 1e-4;

fn word(file: &str) -> Word {
    let path = fixture(&format!("embeddings/{file}"));
    let (name, _) = file.rsplit_once('.').unwrap();
    Word {
        name: name.to_owned(),
        file: Arc::new(EmbeddingFile::open(&path).unwrap_or_else(|error| panic!("{error}"))),
    }
}

fn hidden(model: &dyn Model, prompt: &str) -> Vec<f32> {
    let encoded = model
        .encode_prompt(prompt, Reading::default(), &CancelToken::default())
        .unwrap();
    let tensor = encoded.tokens.to_tensor().unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn learned_words_are_read_as_diffusers_reads_them() {
    let recorded = Fixture::open("embeddings/hidden.safetensors");
    let cases = std::fs::read_to_string(fixture("embeddings/cases.json")).unwrap();
    let cases: BTreeMap<String, String> = serde_json::from_str(&cases).unwrap();
    let files = ModelFiles::folder(model("sd1"));
    for compute in paths() {
        let load = identify(&files).unwrap().load;
        let mut model = load(&files, &compute, &CancelToken::default()).unwrap();
        let plain = hidden(model.as_ref(), &cases["three"]);
        let words = ["red-thing.pt", "one.bin", "apple two.safetensors"].map(word);
        assert_eq!(model.teach(&words).unwrap(), Vec::<String>::new());
        for (case, prompt) in &cases {
            let ours = hidden(model.as_ref(), prompt);
            expect_near(case, &ours, &recorded.f32(case).values, TOLERANCE);
        }
        assert_eq!(model.words_in("an apple two").unwrap(), ["apple two"]);
        // What was made for other encoders stays text, and is named.
        let misfits = model.teach(&["pair.safetensors", "too-wide.safetensors"].map(word));
        assert_eq!(misfits.unwrap(), ["pair", "too-wide"]);
        assert_eq!(hidden(model.as_ref(), &cases["three"]), plain);
    }
}
