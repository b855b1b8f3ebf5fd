//! Files that hold a network alone take the rest of their model from another: the picture is that of
//! the whole model of the same weights, whoever lends and however the file is written.

use std::path::Path;

use pentimento_engine::client::EngineClient as _;
use pentimento_engine::error::EngineError;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{ModelRef, Recipe, Record, Refiner};
use serde_json::Map;
use support::layouts::{Layout, Stored, Written, gguf, safetensors};
use support::running::{Options, Running, built_in, recipe, request};
use tempfile::TempDir;

const UNET: &str = "model.diffusion_model.";

/// The UNet of the one file under the names that ComfyUI's and city96's files have.
fn network(layout: &Layout) -> Vec<Written> {
    let tensors = layout.single().into_iter();
    tensors
        .filter_map(|tensor| {
            let name = tensor.name.strip_prefix(UNET)?.to_owned();
            Some(Written { name, ..tensor })
        })
        .collect()
}

fn write(folder: &Path, name: &str, tensors: &[Written]) {
    let bytes = safetensors(tensors, Stored::F32, &Map::new());
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// Three models of one layout: `whole` in one file, and two folders that can lend: `a lender` has the
/// text encoders and the autoencoder of `whole` and another UNet, `b lender` other text encoders, too.
fn write_lenders(layout: &Layout, folder: &Path) {
    let halved = |values: &[f32]| values.iter().map(|value| value * 0.5).collect();
    layout.write_folder(
        &folder.join("a lender"),
        &|name, _, values| match name.starts_with("unet/") {
            true => halved(values),
            false => values.to_vec(),
        },
    );
    layout.write_folder(
        &folder.join("b lender"),
        &|name, _, values| match name.starts_with("unet/") || name.contains("fc1.weight") {
            true => halved(values),
            false => values.to_vec(),
        },
    );
    write(folder, "whole.safetensors", &layout.single());
}

fn start(folder: &Path) -> Running {
    Running::with(Options {
        model_folders: vec![folder.to_owned()],
        ..Options::default()
    })
}

fn small(model: &str) -> Recipe {
    Recipe {
        width_px: 32,
        height_px: 24,
        ..recipe(model)
    }
}

fn record(running: &Running, recipe: Recipe) -> Record {
    running.records(request(recipe)).unwrap().remove(0)
}

fn named(id: &str) -> Option<ModelRef> {
    Some(ModelRef {
        id: id.to_owned(),
        ..ModelRef::default()
    })
}

#[test]
fn a_network_alone_gives_the_whole_models_picture_however_it_is_written() {
    for name in ["first", "second", "inpainting", "xl", "xl_refiner"] {
        let layout = Layout::read(name);
        let folder = TempDir::new().unwrap();
        write_lenders(&layout, folder.path());
        let bare = network(&layout);
        write(folder.path(), "bare.safetensors", &bare);
        let prefixed: Vec<Written> = layout.single();
        let prefixed: Vec<Written> = prefixed
            .into_iter()
            .filter(|tensor| tensor.name.starts_with(UNET))
            .collect();
        write(folder.path(), "prefixed.safetensors", &prefixed);
        // diffusers' own file, in a folder that has nothing else.
        let lone = folder.path().join("lone");
        std::fs::create_dir(&lone).unwrap();
        let file = "diffusion_pytorch_model.safetensors";
        let original = folder.path().join("original");
        layout.write_folder(&original, &|_, _, values| values.to_vec());
        std::fs::copy(original.join("unet").join(file), lone.join(file)).unwrap();
        std::fs::remove_dir_all(&original).unwrap();
        let halves: Vec<_> = bare
            .into_iter()
            .map(|tensor| {
                let bytes = Stored::F16.encode(&tensor.values);
                (tensor, 1, bytes)
            })
            .collect();
        std::fs::write(folder.path().join("packed.gguf"), gguf(&halves)).unwrap();

        let running = start(folder.path());
        let picture = |model: &str| -> Picture { running.picture(small(model)) };
        let wanted = picture("whole");
        assert!(picture("a lender") != wanted, "{name}: another UNet");
        for model in ["bare", "prefixed", "lone", "packed"] {
            assert!(picture(model) == wanted, "{name}: {model}");
        }
    }
}

#[test]
fn a_checkpoint_without_its_autoencoder_keeps_its_own_text_encoder() {
    let layout = Layout::read("first");
    let folder = TempDir::new().unwrap();
    write_lenders(&layout, folder.path());
    let mut tensors = layout.single();
    tensors.retain(|tensor| !tensor.name.starts_with("first_stage_model."));
    write(folder.path(), "novae.safetensors", &tensors);
    let running = start(folder.path());
    let wanted = running.picture(small("whole"));
    let mut lent = small("novae");
    // Its text encoder is another one, which is not asked for.
    lent.network.parts_from = named("b lender");
    assert!(running.picture(lent) == wanted);
    let catalog = running.engine.catalog();
    let borrowed = catalog.find("novae").unwrap().storage.borrowed.clone();
    assert_eq!(borrowed.unwrap().parts, "the autoencoder");
}

#[test]
fn the_lender_is_said_when_it_was_not_chosen_and_stands_in_the_recipe() {
    let layout = Layout::read("first");
    let folder = TempDir::new().unwrap();
    write_lenders(&layout, folder.path());
    write(folder.path(), "bare.safetensors", &network(&layout));
    let running = start(folder.path());

    let first = record(&running, small("bare"));
    let said = |record: &Record| {
        let mut notes = record.outcome.warnings.iter();
        notes.any(|note| note.contains("are taken from “a lender”"))
    };
    assert!(said(&first), "{:?}", first.outcome.warnings);
    let kept = first.recipe.network.parts_from.clone().unwrap();
    assert_eq!(kept.id, "a lender");
    assert_eq!(kept.sha256.as_deref().map(str::len), Some(64));
    let digest = running.engine.catalog();
    let digest = digest.find("bare").unwrap();
    assert_eq!(digest.sha256, first.recipe.model.sha256, "its own file's");

    let mut other = small("bare");
    other.network.parts_from = named("b lender");
    let second = record(&running, other.clone());
    assert!(!said(&second), "chosen, it needs no word");
    assert_ne!(
        second.recipe.network.parts_from.unwrap().sha256,
        kept.sha256
    );
    let [one, two] = [small("bare"), other].map(|recipe| running.picture(recipe));
    assert!(one != two);
    // The recipe alone finds the lender again, by the hash even where its name is gone.
    let mut again = first.recipe.clone();
    again.network.parts_from.as_mut().unwrap().id = "renamed".to_owned();
    assert!(running.picture(again) == one);
    let mut pinned = first.recipe;
    pinned.network.parts_from.as_mut().unwrap().sha256 = Some("0".repeat(64));
    let differs = record(&running, pinned).outcome.warnings;
    let word = "lending model's files differ";
    assert!(
        differs.iter().any(|note| note.contains(word)),
        "{differs:?}"
    );
    // Of a whole model nothing is borrowed.
    let mut whole = small("whole");
    whole.network.parts_from = named("b lender");
    let whole = record(&running, whole);
    assert_eq!(whole.recipe.network.parts_from, None);
    let notes = whole.outcome.warnings;
    assert!(
        notes.iter().any(|note| note.contains("whole model")),
        "{notes:?}"
    );
}

#[test]
fn a_refiner_may_be_a_network_alone() {
    let layout = Layout::read("xl");
    let folder = TempDir::new().unwrap();
    write_lenders(&layout, folder.path());
    write(folder.path(), "bare.safetensors", &network(&layout));
    let running = start(folder.path());
    let refined = |refiner: &str| Recipe {
        refiner: Some(Refiner {
            model: named(refiner).unwrap(),
            switch_at: 0.5,
            parts_from: None,
        }),
        steps: 4,
        sampler: "euler".to_owned(),
        ..small("a lender")
    };
    running.wait_for_model("bare");
    let wanted = running.picture(refined("whole"));
    assert!(running.picture(refined("bare")) == wanted);
    let told = record(&running, refined("bare")).recipe.refiner.unwrap();
    let lender = told.parts_from.unwrap();
    assert_eq!(
        (lender.id.as_str(), lender.sha256.is_some()),
        ("a lender", true)
    );
}

#[test]
fn what_cannot_lend_is_refused_by_name_and_what_finds_no_lender_says_what_it_wants() {
    let first = Layout::read("first");
    let folder = TempDir::new().unwrap();
    write_lenders(&first, folder.path());
    write(folder.path(), "bare.safetensors", &network(&first));
    let xl = network(&Layout::read("xl"));
    write(folder.path(), "xl bare.safetensors", &xl);
    let running = start(folder.path());
    running.wait_for_model("bare");
    let mut wanted = small("bare");
    for id in [built_in(), "bare".to_owned(), "gone".to_owned()] {
        wanted.network.parts_from = named(&id);
        match running.engine.submit(request(wanted.clone())) {
            Err(EngineError::InvalidRequest { field, why }) => {
                assert_eq!(field, "network.parts_from");
                assert!(why.contains("a lender, b lender, whole"), "{why}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    let catalog = running.engine.catalog();
    let lone = catalog.problems.iter();
    let lone: Vec<String> = lone.map(|problem| problem.error.to_string()).collect();
    assert_eq!(lone.len(), 1, "{lone:#?}");
    for words in [
        "xl bare.safetensors",
        "UNet of Stable Diffusion XL without the first text encoder, the second text encoder and the autoencoder",
        "add a whole model",
    ] {
        assert!(lone[0].contains(words), "{words}: {}", lone[0]);
    }
}
