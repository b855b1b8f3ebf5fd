//! Add-ons whose files are made here: which of them is meant, and by which models it is taken.

use std::path::Path;
use std::sync::Arc;

use pentimento::studio::draft::{Draft, DraftEdit};
use pentimento_engine::backend::Backend;
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::catalog::Catalog;
use pentimento_engine::families::identify;
use pentimento_engine::recipe::{
    AddOnKind, AddOnUse, ModelRef, Precision, Recipe, Record, Refiner, dialects::a1111,
};
use pentimento_engine::weights::files::ModelFiles;
use pentimento_engine::weights::lora::{Adapter, AddOnFile, Strengths};
use support::places::{fixture, model};
use support::running::{Options, Running, recipe};
use tempfile::TempDir;

use crate::add_ons::run;

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
    for prompt in [r"a easy apple \(1\)", r"a EASY  apple \(1\) red"] {
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

fn refined(model: &str, refiner: &str, prompt: &str) -> Recipe {
    let model_ref = ModelRef {
        id: refiner.to_owned(),
        ..ModelRef::default()
    };
    Recipe {
        refiner: (!refiner.is_empty()).then_some(Refiner {
            model: model_ref,
            switch_at: 0.5,
            parts_from: None,
        }),
        steps: 4,
        sampler: "euler".to_owned(),
        ..prompted(model, prompt)
    }
}

#[test]
fn the_model_that_takes_over_gets_what_fits_it() {
    let folder = TempDir::new().unwrap();
    let pair: [Tensor<'_>; 2] = [("clip_l", &[2, 32], 0.5), ("clip_g", &[2, 48], 0.5)];
    write(folder.path(), "word.safetensors", &pair);
    let start: [Tensor<'_>; 2] = [
        ("lora_unet_conv_in.lora_down.weight", &[2, 4, 3, 3], 0.5),
        ("lora_unet_conv_in.lora_up.weight", &[8, 2, 1, 1], 0.5),
    ];
    let reads = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
    let (down, up) = (
        format!("{reads}.lora_down.weight"),
        format!("{reads}.lora_up.weight"),
    );
    let key: [Tensor<'_>; 2] = [(&down, &[2, 80], 0.5), (&up, &[16, 2], 0.5)];
    write(folder.path(), "both.safetensors", &[start, key].concat());
    write(folder.path(), "key.safetensors", &key);
    let running = running(&folder);
    let prompt = "a word, red<lora:both:1>";
    let alone = run(&running, &refined("xl", "", prompt)).0;
    let (itself, record) = run(&running, &refined("xl", "xl", prompt));
    assert!(itself == alone, "handed over to itself, nothing changes");
    assert!(!noted(&record, "refiner"), "{:?}", record.outcome.warnings);
    assert_eq!(names(&record), ["both", "word"]);
    assert!(run(&running, &refined("xl", "xl", "a word, red")).0 != alone);
    let (_, record) = run(&running, &refined("xl", "xl_refiner", prompt));
    let fits = "refiner: both: 1 of 2 modules fit no layer of this model";
    assert!(noted(&record, fits), "{:?}", record.outcome.warnings);
    assert!(!noted(&record, "“word”"), "{:?}", record.outcome.warnings);
    let (_, record) = run(&running, &refined("xl", "xl_refiner", "red<lora:key:1>"));
    let other = "refiner: key was made for another kind of model";
    assert!(noted(&record, other), "{:?}", record.outcome.warnings);
    // A word that the second model alone knows.
    write(
        folder.path(),
        "late.safetensors",
        &[("emb_params", &[1, 48], 0.5)],
    );
    let again = self::running(&folder);
    let (_, record) = run(&again, &refined("xl", "xl_refiner", "a late"));
    assert_eq!(names(&record), ["late"]);
}

#[test]
fn peft_scales_its_bias_and_lycoris_does_not() {
    let folder = TempDir::new().unwrap();
    let block = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1";
    let of = |module: &str, part: &str| format!("{block}.{module}.{part}");
    let out = [
        "lora_A.weight",
        "lora_B.weight",
        "alpha",
        "lora_B.bias",
        "diff_b",
    ];
    let out = out.map(|part| of("to_out.0", part));
    let query = ["lora_A.weight", "lora_B.weight", "lora_B.bias"].map(|part| of("to_q", part));
    let peft: [Tensor<'_>; 7] = [
        (&out[0], &[2, 16], 0.1),
        (&out[1], &[16, 2], 0.1),
        // The first value is this times -0.8: alpha is 1, half the rank.
        (&out[2], &[1], -1.25),
        (&out[3], &[16], 0.5),
        (&query[0], &[2, 16], 0.1),
        (&query[1], &[16, 2], 0.1),
        (&query[2], &[16], 0.5),
    ];
    write(folder.path(), "peft.safetensors", &peft);
    let lycoris = [peft[0], peft[1], peft[2], (out[4].as_str(), &[16][..], 0.5)];
    write(folder.path(), "lycoris.safetensors", &lycoris);
    let huge: [Tensor<'_>; 2] = [(&out[0], &[1100, 16], 0.1), (&out[1], &[16, 1100], 0.1)];
    write(folder.path(), "huge.safetensors", &huge);
    let files = ModelFiles::folder(model("sd1"));
    let backend = Backend::open("cpu", Some(1)).unwrap();
    let (compute, cancel) = (backend.compute(Precision::F32), CancelToken::default());
    let mut model = (identify(&files).unwrap().load)(&files, &compute, &cancel).unwrap();
    let add_on = |name: &str| Adapter {
        file: Arc::new(AddOnFile::open(&folder.path().join(name)).unwrap()),
        identity: name.to_owned(),
        strengths: Strengths {
            unet: 2.0,
            text: 2.0,
        },
    };
    let bias = |set: &[Adapter]| {
        let name = format!(
            "{}.bias",
            &out[0]["unet.".len()..out[0].len() - ".lora_A.weight".len()]
        );
        let merged = model.adaptable().merged("unet", &name, set, &cancel);
        merged.unwrap().unwrap()
    };
    let plain = bias(&[]);
    for (name, factor) in [
        ("peft.safetensors", 2.0 * 0.5),
        ("lycoris.safetensors", 2.0),
    ] {
        let changed = bias(&[add_on(name)]);
        for (at, (changed, plain)) in changed.iter().zip(&plain).enumerate() {
            let want = factor * 0.5 * ((at * 7 % 11) as f32 - 4.0) / 5.0;
            assert!((changed - plain - want).abs() < 1e-5, "{name}, value {at}");
        }
    }
    let adapted = model.adapt(&[add_on("peft.safetensors")], &cancel).unwrap();
    let said = adapted
        .notes
        .iter()
        .any(|note| note.contains("1 modules change a bias"));
    assert!(said, "{:?}", adapted.notes);
    let refused = model.adapt(&[add_on("huge.safetensors")], &cancel);
    assert!(refused.unwrap_err().to_string().contains("rank"));
}
