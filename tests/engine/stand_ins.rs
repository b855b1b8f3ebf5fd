//! Autoencoders in files of their own: VAE files in place of a model's own, tiny decoders for previews and quick
//! pictures.

use std::path::Path;
use std::time::Duration;

use pentimento_engine::catalog::decoders::AutoencoderKind;
use pentimento_engine::client::{Blob, EngineClient, Request};
use pentimento_engine::error::EngineError;
use pentimento_engine::event::Event;
use pentimento_engine::hash::sha256_hex;
use pentimento_engine::latent::LatentSpace;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{FinalDecoder, ModelRef, NetworkOptions, Recipe, Start, VaeChoice};
use serde_json::Map;
use support::layouts::{Layout, Stored, Written, safetensors};
use support::places::fixture;
use support::running::{Options, Running, recipe, request};
use tempfile::TempDir;

/// A model in one file.
const MODEL: &str = "dream";

fn write(root: &Path, relative: &str, bytes: &[u8]) {
    let path = root.join(relative);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The autoencoder of the model, as VAE files hold it in LDM's names.
fn vae() -> Vec<Written> {
    let tensors = Layout::read("first").single().into_iter();
    tensors
        .filter_map(|tensor| {
            let name = tensor.name.strip_prefix("first_stage_model.")?.to_owned();
            Some(Written { name, ..tensor })
        })
        .collect()
}

/// The same but for the colour it adds to everything.
fn brighter() -> Vec<Written> {
    let mut tensors = vae();
    let last = tensors
        .iter_mut()
        .find(|tensor| tensor.name == "decoder.conv_out.bias")
        .unwrap();
    last.values.iter_mut().for_each(|value| *value += 0.5);
    tensors
}

fn file_of(tensors: &[Written]) -> Vec<u8> {
    safetensors(tensors, Stored::F32, &Map::new())
}

/// The model under `models/`, and what `more` puts beside.
fn tree(more: impl FnOnce(&Path)) -> TempDir {
    let root = TempDir::new().unwrap();
    let model = Layout::read("first").single();
    write(
        root.path(),
        "Stable-diffusion/dream.safetensors",
        &file_of(&model),
    );
    more(root.path());
    root
}

fn run(root: &TempDir) -> Running {
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model(MODEL);
    running
}

fn with(network: NetworkOptions) -> Recipe {
    Recipe {
        network,
        ..recipe(MODEL)
    }
}

fn with_vae(vae: VaeChoice) -> Recipe {
    with(NetworkOptions {
        vae,
        ..NetworkOptions::default()
    })
}

fn file(id: &str) -> VaeChoice {
    VaeChoice::File(ModelRef {
        id: id.to_owned(),
        ..ModelRef::default()
    })
}

#[test]
fn a_vae_file_takes_the_place_of_the_models_own() {
    let other = file_of(&brighter());
    let root = tree(|root| {
        write(root, "VAE/same.safetensors", &file_of(&vae()));
        write(root, "VAE/other.vae.safetensors", &other);
        // A tiny encoder, which people keep beside the decoder, is no problem.
        let layer = |name: &str, inputs: usize| Written {
            name: name.to_owned(),
            shape: vec![8, inputs, 3, 3],
            values: vec![0.1; 8 * inputs * 9],
        };
        let encoder = [("0.weight", 3), ("1.conv.4.weight", 8), ("2.weight", 8)];
        let encoder = encoder.map(|(name, inputs)| layer(name, inputs));
        write(
            root,
            "VAE-approx/taesd_encoder.safetensors",
            &file_of(&encoder),
        );
        let folder = root.join("whole");
        Layout::read("first").write_folder(&folder, &|_, _, values| values.to_vec());
        std::fs::rename(folder.join("vae"), root.join("VAE/theirs")).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    });
    let running = run(&root);
    let catalog = running.engine.catalog();
    let ids: Vec<&str> = catalog
        .autoencoders
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(
        ids,
        ["theirs", "other.vae", "same"],
        "{:?}",
        catalog.problems
    );
    assert!(catalog.problems.is_empty(), "{:?}", catalog.problems);
    let own = running.picture(recipe(MODEL));
    // LDM's names and diffusers'; whatever the model's scaling factor is holds on.
    for id in ["same", "theirs"] {
        assert!(running.picture(with_vae(file(id))) == own, "{id}");
    }
    let records = running
        .records(request(with_vae(file("other.vae"))))
        .unwrap();
    let VaeChoice::File(used) = &records[0].recipe.network.vae else {
        panic!("{:?}", records[0].recipe.network);
    };
    assert_eq!(used.id, "other.vae");
    assert_eq!(used.sha256.as_deref(), Some(sha256_hex(&other).as_str()));
    let brighter = running.picture(records[0].recipe.clone());
    assert!(brighter != own);
    // The model stays in memory, and its own comes back.
    assert!(running.picture(recipe(MODEL)) == own);
}

#[test]
fn the_file_beside_a_model_is_its_automatic_vae() {
    let root = tree(|root| {
        write(
            root,
            "Stable-diffusion/dream.vae.safetensors",
            &file_of(&brighter()),
        );
        write(root, "VAE/dream.vae.safetensors", &file_of(&vae()));
    });
    let running = run(&root);
    let own = running.picture(recipe(MODEL));
    let automatic = running
        .records(request(with_vae(VaeChoice::Automatic)))
        .unwrap();
    let settled = automatic[0].recipe.clone();
    assert!(matches!(&settled.network.vae, VaeChoice::File(used) if used.sha256.is_some()));
    assert!(
        running.picture(settled) != own,
        "a recipe that says nothing takes the model's own"
    );
    // A model without such a file takes its own, and says so.
    let lone = tree(|_| ());
    let running = run(&lone);
    let automatic = running
        .records(request(with_vae(VaeChoice::Automatic)))
        .unwrap();
    assert_eq!(automatic[0].recipe.network.vae, VaeChoice::Model);
}

#[test]
fn a_vae_of_other_latents_or_none_is_refused_in_words() {
    let root = tree(|root| {
        let mut wide = vae();
        for tensor in &mut wide {
            // As if for a family with twice the channels.
            let sides: &[usize] = match tensor.name.as_str() {
                "decoder.conv_in.weight" => &[1],
                "post_quant_conv.weight" => &[0, 1],
                "post_quant_conv.bias" => &[0],
                "encoder.conv_out.weight" | "encoder.conv_out.bias" | "quant_conv.bias" => &[0],
                "quant_conv.weight" => &[0, 1],
                _ => continue,
            };
            sides.iter().for_each(|side| tensor.shape[*side] *= 2);
            tensor.values = vec![0.01; tensor.shape.iter().product()];
        }
        write(root, "VAE/wide.safetensors", &file_of(&wide));
        let cut = file_of(&vae());
        write(root, "VAE/cut.safetensors", &cut[..cut.len() - 100]);
    });
    let running = run(&root);
    let problems = running.engine.catalog().problems.clone();
    assert_eq!(
        problems.len(),
        1,
        "the one that ends too early: {problems:?}"
    );
    match running.pictures(request(with_vae(file("wide")))) {
        Err(EngineError::UnsupportedModel { found, remedy, .. }) => {
            assert!(found.contains("8 latent channels"), "{found}");
            assert!(remedy.contains("4 channels"), "{remedy}");
        }
        other => panic!("{other:?}"),
    }
    let gone = running.engine.submit(request(with_vae(file("gone"))));
    match gone {
        Err(EngineError::InvalidRequest { field, why }) => {
            assert_eq!(field, "network.vae");
            assert!(why.contains("choose one of wide"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // The worker lives.
    running.picture(recipe(MODEL));
}

/// A folder's files, and those of the folders in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn a_model_that_changes_pictures_sees_them_through_the_vae_file() {
    let mut tensors = vae();
    let last = tensors
        .iter_mut()
        .find(|tensor| tensor.name == "encoder.conv_out.bias")
        .unwrap();
    last.values.iter_mut().for_each(|value| *value += 2.0);
    let root = TempDir::new().unwrap();
    let model = root.path().join("edit");
    copy(&fixture("models/sd1_edit"), &model);
    let folder = root.path().join("whole");
    Layout::read("first").write_folder(&folder, &|_, _, values| values.to_vec());
    std::fs::remove_dir_all(model.join("vae")).unwrap();
    std::fs::rename(folder.join("vae"), model.join("vae")).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    write(root.path(), "VAE/same.safetensors", &file_of(&vae()));
    write(root.path(), "VAE/other.safetensors", &file_of(&tensors));
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    let grey = Picture::new(64, 64, [120, 90, 60, 255].repeat(64 * 64)).unwrap();
    let blob = Blob::from_picture(&grey).unwrap();
    let made = |vae: VaeChoice| {
        let recipe = Recipe {
            start: Some(Start {
                picture: blob.sha256.clone(),
                strength: 1.0,
                inpaint: None,
            }),
            model: recipe("edit").model,
            ..with_vae(vae)
        };
        let blobs = vec![blob.clone()];
        let request = Request {
            blobs,
            ..request(recipe)
        };
        running.pictures(request).unwrap().remove(0)
    };
    let own = made(VaeChoice::Model);
    assert!(made(file("same")) == own);
    // Its decoder is the same, and at full strength the model's view alone tells of the picture.
    assert!(made(file("other")) != own);
}

/// A model whose latents are those of Stable Diffusion, eight pixels each.
const USUAL: &str = "sd1";

fn tiny() -> Recipe {
    let network = NetworkOptions {
        decoder: FinalDecoder::Tiny { file: None },
        ..NetworkOptions::default()
    };
    Recipe {
        network,
        ..recipe(USUAL)
    }
}

/// The tiny models, and a file of the fixture under a name of its own.
fn beside_models(from: &str, to: &str, previews: bool) -> (Running, TempDir) {
    let bytes = std::fs::read(fixture("tiny_decoder").join(from)).unwrap();
    let root = TempDir::new().unwrap();
    write(root.path(), to, &bytes);
    let running = Running::with(Options {
        model_folders: vec![fixture("models"), root.path().to_owned()],
        previews,
        ..Options::default()
    });
    running.wait_for_model(USUAL);
    (running, root)
}

#[test]
fn a_tiny_decoder_makes_the_picture_in_every_layout() {
    let mut pictures = Vec::new();
    for (from, to) in [
        (
            "taesd_decoder.safetensors",
            "vae_approx/taesd_decoder.safetensors",
        ),
        ("taesd_decoder.pth", "VAE-approx/taesd_decoder.pth"),
        (
            "folder/diffusion_pytorch_model.safetensors",
            "taesd/diffusion_pytorch_model.safetensors",
        ),
    ] {
        let bytes = std::fs::read(fixture("tiny_decoder").join(from)).unwrap();
        let (running, _root) = beside_models(from, to, false);
        let catalog = running.engine.catalog();
        let found = &catalog.autoencoders[0];
        assert_eq!(found.kind, AutoencoderKind::Tiny, "{to}");
        assert_eq!(found.space, Some(LatentSpace::StableDiffusion), "{to}");
        let own = running.picture(recipe(USUAL));
        let records = running.records(request(tiny())).unwrap();
        let FinalDecoder::Tiny { file: Some(used) } = &records[0].recipe.network.decoder else {
            panic!("{to}: {:?}", records[0].recipe.network);
        };
        assert_eq!(
            used.sha256.as_deref(),
            Some(sha256_hex(&bytes).as_str()),
            "{to}"
        );
        let made = running.picture(tiny());
        assert!(made != own, "{to}");
        pictures.push(made);
    }
    assert!(pictures[0] == pictures[1] && pictures[0] == pictures[2]);
}

#[test]
fn without_a_tiny_decoder_of_its_latents_the_choice_is_refused() {
    // By its name one for Stable Diffusion XL.
    let to = "vae_approx/taesdxl_decoder.safetensors";
    let (running, _root) = beside_models("taesd_decoder.safetensors", to, false);
    match running.pictures(request(tiny())) {
        Err(EngineError::InvalidRequest { field, why }) => {
            assert_eq!(field, "network.decoder");
            assert!(why.contains("taesd_decoder.safetensors"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // A model whose own decoder is tiny needs no other.
    let own = recipe(&support::running::built_in());
    let quick = Recipe {
        network: tiny().network,
        ..own.clone()
    };
    assert!(running.picture(quick) == running.picture(own));
}

#[test]
fn previews_come_from_the_tiny_decoder_and_decide_no_pixel() {
    let to = "VAE-approx/taesd_decoder.safetensors";
    let (running, _root) = beside_models("taesd_decoder.safetensors", to, true);
    let many = Recipe {
        // Decoding has its share of the time only: enough of it for a small one.
        steps: 400,
        ..recipe(USUAL)
    };
    let job = running.submit(many.clone());
    let (mut decoded, mut coarse) = (0, 0);
    let mut made = None;
    while made.is_none() {
        if let Some(preview) = running.engine.take_preview() {
            match preview.decoded {
                true => decoded += 1,
                false => coarse += 1,
            }
            let sharp = preview.image.width_px == 64;
            assert_eq!(
                sharp, preview.decoded,
                "a decoded one has the picture's size"
            );
        }
        match running.engine.wait_event(Duration::from_millis(1)) {
            Some(Event::ImageReady { record, image, .. }) => {
                assert!(record.outcome.preview_share < 0.25, "{:?}", record.outcome);
                made = Some(image);
            }
            Some(Event::Failed { job: failed, error }) if failed == job => panic!("{error}"),
            _ => {}
        }
    }
    assert!(decoded > 0, "{coarse} coarse ones alone");
    let plain = Running::start().picture(many);
    assert!(made == Some(plain));
}

#[test]
fn what_the_model_is_taken_to_predict_is_recorded() {
    let root = tree(|root| {
        let words = br#"{"prediction_type": "v_prediction"}"#;
        write(root, "Stable-diffusion/dream.json", words);
    });
    let running = run(&root);
    let made = running.records(request(recipe(MODEL))).unwrap();
    let prediction = made[0].recipe.network.prediction.as_deref();
    assert_eq!(prediction, Some("v_prediction"));
    let noted = |recipe: Recipe| {
        let records = running.records(request(recipe)).unwrap();
        let warnings = &records[0].outcome.warnings;
        warnings
            .iter()
            .any(|note| note.contains("predicted epsilon"))
    };
    assert!(!noted(made[0].recipe.clone()));
    let before = NetworkOptions {
        prediction: Some("epsilon".to_owned()),
        ..NetworkOptions::default()
    };
    assert!(noted(with(before)), "the file beside it came later");
}

/// The tiny models, with tiny decoders of those names.
fn with_decoders(names: &[&str]) -> (Running, TempDir) {
    let bytes = std::fs::read(fixture("tiny_decoder/taesd_decoder.safetensors")).unwrap();
    let root = TempDir::new().unwrap();
    for name in names {
        write(root.path(), &format!("{name}.safetensors"), &bytes);
    }
    let running = Running::with(Options {
        model_folders: vec![fixture("models"), root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("xl");
    (running, root)
}

#[test]
fn a_tiny_decoder_of_other_latents_gives_way_to_one_that_fits() {
    let wanted = || {
        let file = Some(ModelRef {
            id: "taesd_decoder".to_owned(),
            ..ModelRef::default()
        });
        let network = NetworkOptions {
            decoder: FinalDecoder::Tiny { file },
            ..NetworkOptions::default()
        };
        Recipe {
            network,
            ..recipe("xl")
        }
    };
    let made = |names: &[&str]| {
        let (running, _root) = with_decoders(names);
        let record = running.records(request(wanted())).unwrap().remove(0);
        let noted = &record.outcome.warnings;
        assert!(
            noted
                .iter()
                .any(|note| note.contains("“taesd_decoder” is for other latents")),
            "{noted:?}"
        );
        record.recipe.network.decoder
    };
    match made(&["taesd_decoder", "taesdxl_decoder"]) {
        FinalDecoder::Tiny { file: Some(used) } => assert_eq!(used.id, "taesdxl_decoder"),
        other => panic!("{other:?}"),
    }
    assert_eq!(made(&["taesd_decoder"]), FinalDecoder::Full);
}

#[test]
fn a_vae_that_by_its_name_is_for_other_latents_is_noted() {
    let root = tree(|root| {
        write(root, "VAE/sdxl_vae.safetensors", &file_of(&vae()));
        write(root, "VAE/vae-ft-mse.safetensors", &file_of(&vae()));
    });
    let running = run(&root);
    let noted = |id: &str| {
        let records = running.records(request(with_vae(file(id)))).unwrap();
        let warnings = &records[0].outcome.warnings;
        warnings
            .iter()
            .any(|note| note.contains("is by its name one for Stable Diffusion XL"))
    };
    assert!(noted("sdxl_vae"));
    assert!(!noted("vae-ft-mse"));
}

#[test]
fn the_hash_is_that_of_the_file_that_was_used() {
    let root = tree(|root| write(root, "VAE/one.safetensors", &file_of(&vae())));
    let running = run(&root);
    let hashed = || running.engine.catalog().autoencoders[0].sha256.is_some();
    while !hashed() {
        let _other = running.engine.wait_event(Duration::from_millis(20));
    }
    let other = file_of(&brighter());
    write(root.path(), "VAE/one.safetensors", &other);
    let records = running.records(request(with_vae(file("one")))).unwrap();
    match &records[0].recipe.network.vae {
        VaeChoice::File(used) => {
            assert_eq!(used.sha256.as_deref(), Some(sha256_hex(&other).as_str()));
        }
        other => panic!("{other:?}"),
    }
}
