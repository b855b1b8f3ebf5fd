//! Add-ons whose files are made here: layers that XL alone has.

use std::path::Path;

use pentimento::studio::draft::{Draft, DraftEdit};
use pentimento_engine::catalog::Catalog;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{AddOnKind, AddOnUse, Recipe, Record, dialects::a1111};
use support::places::fixture;
use support::running::{Options, Running, recipe, request};
use tempfile::TempDir;

/// A tensor: name, shape, and what its values are about.
type Tensor<'a> = (&'a str, &'a [usize], f32);

/// Writes a safetensors file. The values of a tensor differ, so that no sum over them vanishes.
fn write(folder: &Path, name: &str, tensors: &[Tensor<'_>]) {
    let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
    for (tensor, shape, size) in tensors {
        let begin = data.len();
        let count: usize = shape.iter().product();
        for at in 0..count {
            let share = ((at * 7 % 11) as f32 - 4.0) / 5.0;
            data.extend((size * share).to_le_bytes());
        }
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        entries.insert((*tensor).to_owned(), entry);
    }
    let header = serde_json::Value::Object(entries).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn running(folder: &TempDir) -> Running {
    Running::with(Options {
        model_folders: vec![fixture("models"), folder.path().to_owned()],
        ..Options::default()
    })
}

fn run(running: &Running, recipe: &Recipe) -> (Picture, Record) {
    let job = running.submit_request(request(recipe.clone()));
    for event in running.until_end(job) {
        match event {
            pentimento_engine::event::Event::ImageReady { image, record, .. } => {
                return (image, *record);
            }
            pentimento_engine::event::Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    panic!("no picture");
}

fn prompted(model: &str, prompt: &str) -> Recipe {
    Recipe {
        prompt: prompt.to_owned(),
        ..recipe(model)
    }
}

#[test]
fn what_xl_adds_to_the_time_follows_its_layers() {
    let folder = TempDir::new().unwrap();
    let tensors: [Tensor<'_>; 2] = [
        (
            "lora_unet_add_embedding_linear_1.lora_down.weight",
            &[2, 72],
            3.0,
        ),
        (
            "lora_unet_add_embedding_linear_1.lora_up.weight",
            &[32, 2],
            3.0,
        ),
    ];
    write(folder.path(), "sizes.safetensors", &tensors);
    let running = running(&folder);
    let plain = run(&running, &prompted("xl", "a red apple")).0;
    let changed = run(&running, &prompted("xl", "a red apple<lora:sizes:1>")).0;
    assert!(changed != plain, "the addition of the run before was kept");
    assert!(run(&running, &prompted("xl", "a red apple")).0 == plain);
}

fn use_of(name: &str, weight: f64) -> AddOnUse {
    AddOnUse {
        name: name.to_owned(),
        unet: weight,
        text: weight,
    }
}

#[test]
fn a_file_chosen_anew_is_not_the_one_that_a_recipe_meant() {
    let catalog = Catalog::default();
    let mut recipe = prompted("sd1", "a red apple");
    recipe.add_ons.used = vec![use_of("ink", 1.0)];
    for name in ["ink", "oil"] {
        let digits = "0123456789ab".to_owned();
        recipe.add_ons.hashes.insert(name.to_owned(), digits);
    }
    let mut draft = Draft::default();
    draft.apply(DraftEdit::Recall(Box::new(recipe)), &catalog);
    let pinned = |draft: &Draft, name: &str| draft.add_ons.pinned(AddOnKind::Lora, name).is_some();
    draft.apply(DraftEdit::AddOns(vec![use_of("ink", 0.5)]), &catalog);
    assert!(pinned(&draft, "ink"), "another weight of the same file");
    draft.apply(DraftEdit::AddOn(use_of("oil", 1.0)), &catalog);
    assert!(!pinned(&draft, "oil") && pinned(&draft, "ink"));
    draft.apply(DraftEdit::AddOn(use_of("ink", 1.0)), &catalog);
    assert!(!pinned(&draft, "ink"), "chosen again from the list");
    assert_eq!(draft.add_ons.used, [use_of("oil", 1.0), use_of("ink", 1.0)]);
}

fn noted(record: &Record, words: &str) -> bool {
    let notes = &record.outcome.warnings;
    notes.iter().any(|note| note.contains(words))
}

/// Names of what took part.
fn names(record: &Record) -> Vec<&str> {
    let made = record.outcome.add_ons.iter();
    made.map(|one| one.name.as_str()).collect()
}

#[test]
fn a_broken_word_is_text_and_said() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "red.safetensors",
        &[("emb_params", &[2, 32], f32::NAN)],
    );
    write(
        folder.path(),
        "a/apple.safetensors",
        &[("emb_params", &[1, 32], f32::NAN)],
    );
    write(
        folder.path(),
        "b/apple.safetensors",
        &[("emb_params", &[1, 32], 0.3)],
    );
    let running = running(&folder);
    let (_, record) = run(&running, &prompted("sd1", "a red apple"));
    assert!(
        noted(&record, "“red” cannot be read"),
        "{:?}",
        record.outcome.warnings
    );
    assert_eq!(names(&record), ["apple"], "the next file of that name");
    let (_, record) = run(&running, &prompted("sd1", "a redder thing"));
    assert!(!noted(&record, "“red”"), "no such word");
}

#[test]
fn of_files_of_one_name_the_one_that_fits_is_taken() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "a/word.safetensors",
        &[("emb_params", &[2, 48], 0.3)],
    );
    write(
        folder.path(),
        "b/word.safetensors",
        &[("emb_params", &[2, 32], 0.3)],
    );
    write(
        folder.path(),
        "c/word.safetensors",
        &[("emb_params", &[2, 32], 3.0)],
    );
    let running = running(&folder);
    let of = |recipe: &Recipe| run(&running, recipe);
    let (first, record) = of(&prompted("sd1", "a word"));
    assert_eq!(names(&record), ["word"]);
    assert!(
        !noted(&record, "another kind"),
        "{:?}",
        record.outcome.warnings
    );
    // The one that a recipe means goes first, where it fits.
    let third = std::fs::read(folder.path().join("c/word.safetensors")).unwrap();
    let mut recipe = prompted("sd1", "a word");
    let digits = pentimento_engine::hash::sha256_hex(&third)[..12].to_owned();
    recipe.add_ons.hashes.insert("word".to_owned(), digits);
    let (meant, record) = of(&recipe);
    assert!(!noted(&record, "differs"), "{:?}", record.outcome.warnings);
    assert!(meant != first);
    let (_, record) = of(&prompted("xl", "a word"));
    assert!(names(&record).is_empty() && noted(&record, "“word” was made for another kind"));
}

#[test]
fn names_with_marks_and_spaces_are_found() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "Easy Apple (1).safetensors",
        &[("emb_params", &[1, 32], 0.3)],
    );
    let running = running(&folder);
    for prompt in [r"a easy apple \(1\)", r"a EASY  apple \(1\), red"] {
        let (_, record) = run(&running, &prompted("sd1", prompt));
        assert_eq!(names(&record), ["Easy Apple (1)"], "{prompt}");
    }
    // What the words of a text become counts, not how it is written.
    let (_, record) = run(&running, &prompted("sd1", r"a easy [apple:pear:0.5] \(1\)"));
    assert_eq!(names(&record), ["Easy Apple (1)"]);
}

#[test]
fn a_lora_and_a_word_of_one_name_keep_their_files_apart() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "a/ink.safetensors",
        &[("emb_params", &[1, 32], 0.3)],
    );
    std::fs::copy(
        fixture("lora/kohya.safetensors"),
        folder.path().join("ink.safetensors"),
    )
    .unwrap();
    let running = running(&folder);
    let (image, record) = run(&running, &prompted("sd1", "a ink<lora:ink:0.5>"));
    assert_eq!(names(&record), ["ink", "ink"]);
    for made in &record.outcome.add_ons {
        let pinned = record.recipe.add_ons.pinned(made.kind, "ink");
        assert_eq!(pinned, Some(made.hash.as_str()), "{:?}", made.kind);
    }
    let (again, repeated) = run(&running, &record.recipe);
    assert!(
        !noted(&repeated, "differs"),
        "{:?}",
        repeated.outcome.warnings
    );
    assert!(again == image);
    // As A1111 would read it, and back.
    let text = a1111::write(&record);
    let (read, _) = a1111::read(&text, [64, 64]).unwrap();
    for made in &record.outcome.add_ons {
        assert_eq!(read.add_ons.pinned(made.kind, "ink"), made.hash.get(..12));
    }
}
