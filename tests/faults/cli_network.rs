//! How the networks are run, on the command line.

use std::path::Path;

use pentimento_engine::recipe::{
    EasyCacheOptions, GuidanceInterval, ModelRef, Reuse, VaeChoice, read_record_file,
};
use serde_json::Map;
use support::layouts::{Layout, Stored, Written, safetensors};

use crate::machine::{Machine, quick};

#[test]
fn options_of_the_networks_reach_the_recipe() {
    let machine = Machine::new();
    let out = machine.text("fast.png");
    let options = [
        "--guidance",
        "4",
        "--guide-from",
        "0.25",
        "--guide-until",
        "0.75",
        "--deep-cache",
        "2",
        "--deep-branch",
        "1",
        "--negative-every",
        "2",
        "--easy-cache",
        "0.3",
        "--easy-cache-until",
        "0.9",
        "--clip-skip",
        "2",
        "--vae",
        "model",
    ];
    let ends = ["--steps", "4", "--out", out.as_str()];
    let prompt = ["render", "--prompt", "a red apple, 3d"];
    machine.makes(&[&prompt[..], &options[..], &ends[..]].concat());
    let found = read_record_file(Path::new(&out))
        .expect("readable")
        .expect("a recipe");
    let network = found.record.recipe.network;
    let interval = GuidanceInterval {
        from: 0.25,
        until: 0.75,
    };
    let reuse = Reuse {
        deep_every: 2,
        deep_branch: 1,
        negative_every: 2,
    };
    assert_eq!(
        (network.guidance_interval, network.reuse),
        (interval, reuse)
    );
    let easy = EasyCacheOptions {
        threshold: 0.3,
        from: 0.15,
        until: 0.9,
    };
    assert_eq!(network.easy_cache, easy);
    assert_eq!((network.clip_skip, network.vae), (2, VaeChoice::Model));
    let printed = machine.run(&["recipe", out.as_str()]).out;
    for words in [
        "guidance from 0.25 to 0.75 of the run",
        "deep layers every 2 steps, branch 1",
        "negative prompt every 2 steps",
        "EasyCache 0.3 from 0.15 to 0.9 of the noise levels",
        "CLIP skip 2",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
}

#[test]
fn what_has_no_effect_or_is_not_there_is_refused() {
    let machine = Machine::new();
    let refused = quick(&["--guidance", "1", "--guide-from", "0.5"]);
    machine.refuses(
        2,
        &refused,
        &["--guide-from has no effect: a guidance of 1 is off"],
    );
    machine.refuses(
        2,
        &quick(&["--deep-branch", "1"]),
        &["--deep-branch needs --deep-cache"],
    );
    machine.refuses(
        2,
        &quick(&["--easy-cache-from", "0.5"]),
        &["--easy-cache-from needs --easy-cache"],
    );
    machine.refuses(
        1,
        &quick(&["--easy-cache", "4"]),
        &["--easy-cache: 4 is outside of 0 to 3"],
    );
    machine.refuses(
        1,
        &quick(&["--deep-cache", "21"]),
        &["--deep-cache: 21 is outside of 1 to 20"],
    );
    machine.refuses(
        1,
        &quick(&["--deep-cache", "2", "--deep-branch", "30"]),
        &[
            "--deep-branch: 30 is outside of 0 to",
            "which this model has",
        ],
    );
    machine.refuses(
        1,
        &quick(&["--vae", "gone"]),
        &["--vae: “gone” is not here; no VAE file is among the models"],
    );
    machine.refuses(
        1,
        &quick(&["--clip-skip", "9"]),
        &["--clip-skip: 9 is more than this model's text encoder has layers, 4"],
    );
}

#[test]
fn a_dry_run_makes_nothing_and_says_what_it_would_take() {
    let machine = Machine::new();
    let out = machine.path("none.png");
    let name = out.to_string_lossy().into_owned();
    let prompt = [
        "render",
        "--prompt",
        "a red apple, 3d",
        "--steps",
        "2",
        "--size",
        "64x64",
    ];
    let dry = [&prompt[..], &["--dry-run", "--out", name.as_str()]].concat();
    let before = machine.run(&dry);
    assert_eq!(before.code, 0, "{}", before.err);
    for words in [
        "one picture of 64 x 64 px, 2 steps",
        "memory",
        "not known until",
    ] {
        assert!(before.out.contains(words), "{}", before.out);
    }
    assert!(!out.exists());
    // Once one was made here, the time is known.
    machine.makes(&[&prompt[..], &["--out", name.as_str()]].concat());
    let after = machine.run(&[&dry[..], &["--batch", "3"]].concat());
    assert!(
        after.out.contains("3 pictures") && after.out.contains("time    about"),
        "{}",
        after.out
    );
    let json = machine.run(&[&dry[..], &["--json"]].concat()).out;
    let line: serde_json::Value = serde_json::from_str(json.trim()).expect("one line of JSON");
    assert!(
        line["forecast"]["memory_bytes"].as_u64() > Some(0),
        "{json}"
    );
}

#[test]
fn vae_files_are_listed() {
    let machine = Machine::new();
    let models = machine.path("models");
    let vae = models.join("VAE/mse.safetensors");
    std::fs::create_dir_all(models.join("VAE")).expect("made");
    let from = support::places::fixture("models/sd1");
    support::places::copy_folder(&from, &models.join("sd1"));
    std::fs::copy(from.join("vae/diffusion_pytorch_model.safetensors"), &vae).expect("copied");
    let folder = models.to_string_lossy().into_owned();
    let listed = machine.run(&["models", "--models", folder.as_str()]).out;
    assert!(
        listed.contains("mse: VAE for --vae, 4 latent channels"),
        "{listed}"
    );
}

#[test]
fn another_model_than_the_recipes_takes_nothing_that_was_settled_for_that_one() {
    let machine = Machine::new();
    let made = machine.text("made.png");
    machine.makes(&quick(&["--out", made.as_str()]));
    let found = read_record_file(Path::new(&made))
        .expect("readable")
        .expect("a recipe");
    let mut recipe = found.record.recipe;
    recipe.model.id = "former".to_owned();
    recipe.model.sha256 = Some("0".repeat(64));
    recipe.network.prediction = Some("sample".to_owned());
    recipe.network.vae = VaeChoice::File(ModelRef {
        id: "theirs".to_owned(),
        ..ModelRef::default()
    });
    let json = serde_json::to_vec(&recipe).expect("JSON");
    let file = machine.file("recipe.json", &json);
    let again = machine.text("again.png");
    let id = pentimento::starter::embedded_models()[0].id;
    let options = ["render", "--recipe", file.as_str(), "--model", id];
    let ran = machine.run(&[&options[..], &["--out", again.as_str()]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let note = "the VAE “theirs” belongs to the recipe's model";
    assert!(ran.err.contains(note), "{}", ran.err);
    assert!(!ran.err.contains("predicted sample"), "{}", ran.err);
    let found = read_record_file(Path::new(&again))
        .expect("readable")
        .expect("a recipe");
    let warnings = found.record.outcome.warnings;
    let predicted = warnings.iter().any(|note| note.contains("predicted"));
    assert!(!predicted, "{warnings:?}");
    assert_eq!(found.record.recipe.network.vae, VaeChoice::Model);
}

#[test]
fn a_network_alone_says_who_lends_and_takes_another_by_its_path() {
    let machine = Machine::new();
    let layout = Layout::read("first");
    let models = machine.path("models");
    for name in ["a lender", "b lender"] {
        layout.write_folder(&models.join(name), &|_, _, values| values.to_vec());
    }
    let unet = layout.single().into_iter().filter_map(|tensor| {
        let name = tensor
            .name
            .strip_prefix("model.diffusion_model.")?
            .to_owned();
        Some(Written { name, ..tensor })
    });
    let unet: Vec<Written> = unet.collect();
    let bytes = safetensors(&unet, Stored::F32, &Map::new());
    std::fs::write(models.join("bare.safetensors"), bytes).expect("written");
    let folder = models.to_string_lossy().into_owned();
    let listed = machine.run(&["models", "--models", folder.as_str()]).out;
    let line = "bare: a network alone: takes the text encoder and the autoencoder from a lender \
                (--parts-from: a lender, b lender)";
    assert!(listed.contains(line), "{listed}");

    let bare = models.join("bare.safetensors");
    let [bare, lender] = [bare, models.join("b lender")].map(|path| path.display().to_string());
    let out = machine.text("out.png");
    let small = ["--size", "32x24"];
    let options = [
        "--models",
        &folder,
        "--model",
        "bare",
        "--out",
        out.as_str(),
    ];
    let ran = machine.run(&quick(&[&options[..], &small].concat()));
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = "the text encoder and the autoencoder are taken from “a lender”";
    assert!(ran.err.contains(said), "{}", ran.err);
    // Both by their paths, without any folder.
    let options = ["--model", bare.as_str(), "--parts-from", lender.as_str()];
    machine.makes(&quick(
        &[&options[..], &small, &["--out", out.as_str()]].concat(),
    ));
    let printed = machine.run(&["recipe", out.as_str()]).out;
    assert!(
        printed.contains("text encoder and VAE from b lender "),
        "{printed}"
    );
    let options = ["--model", bare.as_str(), "--parts-from", "gone"];
    let folders = ["--models", folder.as_str()];
    machine.refuses(
        1,
        &quick(&[&options[..], &folders[..]].concat()),
        &["--parts-from: “gone” cannot lend the text encoder and the autoencoder; choose one of a lender, b lender"],
    );
    machine.refuses(
        1,
        &quick(&["--model", bare.as_str()]),
        &["a UNet of Stable Diffusion 1.x without the text encoder and the autoencoder"],
    );
}
