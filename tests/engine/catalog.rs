//! The catalogue: trees of other programs read in place, columns, sidecars, hashes, changes while it runs.

use std::path::Path;
use std::time::{Duration, Instant};

use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::client::EngineClient;
use pentimento_engine::hash::sha256_hex;
use serde_json::Map;
use support::layouts::{Layout, Stored, Written, safetensors};
use support::places::{copy_folder, model};
use support::running::{Options, Running};
use tempfile::TempDir;

fn write(root: &Path, relative: &str, bytes: &[u8]) {
    let path = root.join(relative);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn tensor(name: &str, shape: &[usize]) -> Written {
    Written {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: vec![0.25; shape.iter().product()],
    }
}

fn file_of(tensors: &[Written]) -> Vec<u8> {
    safetensors(tensors, Stored::F16, &Map::new())
}

fn wait_until(running: &Running, what: &str, fits: impl Fn(&Catalog) -> bool) {
    let began = Instant::now();
    while !fits(&running.engine.catalog()) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{what}: {:#?}",
            running.engine.catalog()
        );
        let _event = running.engine.wait_event(Duration::from_millis(20));
    }
}

fn find(running: &Running, id: &str) -> ModelInfo {
    running
        .engine
        .catalog()
        .find(id)
        .cloned()
        .unwrap_or_else(|| panic!("no {id}"))
}

#[test]
fn trees_of_other_programs_are_read_in_place() {
    let root = TempDir::new().unwrap();
    let first = safetensors(&Layout::read("first").single(), Stored::Bf16, &Map::new());
    // A1111, ComfyUI, SwarmUI, Fooocus: one model each, some folders deep; InvokeAI: a diffusers folder.
    write(
        root.path(),
        "stable-diffusion-webui/models/Stable-diffusion/a/photo.SafeTensors",
        &first,
    );
    write(
        root.path(),
        "ComfyUI/models/checkpoints/deep/er/still/comfy.safetensors",
        &first,
    );
    copy_folder(
        &model("plain"),
        &root.path().join("invokeai/models/sd-1/main/invoke"),
    );
    // What is no model, however it is called.
    let lora = file_of(&[tensor("lora_unet_down_blocks_0.lora_down.weight", &[4, 8])]);
    write(
        root.path(),
        "stable-diffusion-webui/models/Lora/style.safetensors",
        &lora,
    );
    write(
        root.path(),
        "ComfyUI/models/vae/vae.safetensors",
        &file_of(&[tensor("encoder.down.0.block.0.conv1.weight", &[8, 8])]),
    );
    write(
        root.path(),
        "ComfyUI/models/upscale_models/up.pth",
        b"\x80\x02cnet\nUp\n.",
    );
    write(
        root.path(),
        "ComfyUI/custom_nodes/node/model.safetensors",
        b"broken",
    );
    write(root.path(), ".git/objects/x.ckpt", b"broken");
    // Models that cannot be run: recognised, and said what they are.
    write(
        root.path(),
        "ComfyUI/models/unet/alone.safetensors",
        &file_of(&[
            tensor("input_blocks.0.0.weight", &[32, 4, 3, 3]),
            tensor("input_blocks.1.0.in_layers.0.weight", &[32]),
            tensor("input_blocks.1.0.in_layers.2.weight", &[32, 32, 3, 3]),
            tensor("out.2.weight", &[4, 32, 3, 3]),
        ]),
    );
    write(
        root.path(),
        "ComfyUI/models/checkpoints/xl.safetensors",
        &file_of(&[
            tensor(
                "model.diffusion_model.input_blocks.0.0.weight",
                &[32, 4, 3, 3],
            ),
            tensor("model.diffusion_model.label_emb.0.0.weight", &[64, 2816]),
            tensor("conditioner.embedders.1.model.ln_final.weight", &[32]),
        ]),
    );
    write(
        root.path(),
        "ComfyUI/models/checkpoints/page.ckpt",
        b"<!DOCTYPE html><html>",
    );
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    wait_until(&running, "three models", |catalog| {
        catalog.find("invoke").is_some()
    });
    let catalog = running.engine.catalog();
    let mut ids: Vec<&str> = catalog.models[1..]
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["comfy", "invoke", "photo"]);
    let problems: Vec<String> = catalog
        .problems
        .iter()
        .map(|problem| problem.error.to_string())
        .collect();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    for (file, word) in [
        (
            "alone.safetensors",
            "without the text encoder and the autoencoder",
        ),
        ("xl.safetensors", "Stable Diffusion XL"),
        ("page.ckpt", "web page"),
    ] {
        assert!(
            problems
                .iter()
                .any(|text| text.contains(file) && text.contains(word)),
            "{file}: {problems:#?}"
        );
    }

    let photo = find(&running, "photo");
    assert_eq!(photo.storage.variant, "Stable Diffusion 1.x");
    assert_eq!(
        (
            photo.storage.precision.as_str(),
            photo.storage.format.as_str()
        ),
        ("bf16", "safetensors")
    );
    assert_eq!(photo.size_bytes, first.len() as u64);
    let invoke = find(&running, "invoke");
    assert_eq!(
        (
            invoke.storage.precision.as_str(),
            invoke.storage.format.as_str()
        ),
        ("f16", "diffusers")
    );

    check_hashes(&running, &first);
}

/// The hashes are those that A1111 shows.
fn check_hashes(running: &Running, file: &[u8]) {
    let hash = sha256_hex(file);
    wait_until(running, "hash", |catalog| {
        catalog
            .find("photo")
            .is_some_and(|model| model.sha256.as_deref() == Some(hash.as_str()))
    });
    assert_eq!(find(running, "photo").short_hash(), Some(&hash[..10]));
    assert_eq!(find(running, "invoke").short_hash(), None);
}

#[test]
fn what_lies_beside_a_model_is_shown_and_changes_are_seen() {
    let root = TempDir::new().unwrap();
    let first = safetensors(&Layout::read("first").single(), Stored::F16, &Map::new());
    write(root.path(), "one.safetensors", &first);
    write(root.path(), "one.preview.png", b"a picture");
    write(root.path(), "one.json", br#"{"description": "Paints.", "activation text": "oil", "notes": "Mine.", "sd version": "SD1"}"#);
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("one");
    let one = find(&running, "one");
    assert_eq!(one.description, "Paints.");
    assert_eq!(one.storage.notes, "Mine.\nActivation text: oil");
    assert_eq!(
        one.storage.preview,
        Some(root.path().join("one.preview.png"))
    );

    write(root.path(), "folder/two.safetensors", &first);
    wait_until(&running, "a model that came", |catalog| {
        catalog.find("two").is_some()
    });
    write(root.path(), "one.json", br#"{"description": "Draws."}"#);
    wait_until(&running, "a note that changed", |catalog| {
        catalog
            .find("one")
            .is_some_and(|model| model.description == "Draws.")
    });
    std::fs::remove_file(root.path().join("folder/two.safetensors")).unwrap();
    wait_until(&running, "a model that went", |catalog| {
        catalog.find("two").is_none()
    });
}

#[test]
fn distilled_kin_begin_with_what_their_makers_recommend() {
    let root = TempDir::new().unwrap();
    for name in ["sdxl_lightning_4step", "Hyper-SDXL-8steps", "my turbo"] {
        copy_folder(&model("xl"), &root.path().join(name));
    }
    let sidecar = r#"{"defaults": {"steps": 6, "sampler": "dpmpp_sde"}}"#;
    write(root.path(), "my turbo/pentimento.json", sidecar.as_bytes());
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    wait_until(&running, "three models", |catalog| {
        catalog.models.len() == 4
    });
    for (name, steps, guidance, sampler, schedule) in [
        ("sdxl_lightning_4step", 4, 1.0, "euler", "sgm_uniform"),
        ("Hyper-SDXL-8steps", 8, 1.0, "tcd", "model"),
        ("my turbo", 6, 1.0, "dpmpp_sde", "sgm_uniform"),
    ] {
        let found = find(&running, name);
        let defaults = &found.defaults;
        assert_eq!((defaults.steps, defaults.guidance), (steps, guidance));
        assert_eq!(defaults.sampler, sampler, "{name}");
        assert_eq!(defaults.schedule, schedule, "{name}");
        let told = |note: &String| note.contains("by its name");
        assert!(found.storage.inferred.iter().any(told), "{name}");
    }
}

#[test]
fn a_folders_scheduler_tells_distilled_kin_whatever_its_name() {
    let root = TempDir::new().unwrap();
    let euler = "EulerAncestralDiscreteScheduler";
    let cases = [
        (
            "a",
            euler,
            "trailing",
            "epsilon",
            ("euler_a", 4, 1.0),
            "Turbo or Lightning",
        ),
        (
            "b",
            "LCMScheduler",
            "leading",
            "epsilon",
            ("lcm", 4, 1.5),
            "LCM",
        ),
        (
            "c",
            "TCDScheduler",
            "leading",
            "epsilon",
            ("tcd", 4, 1.0),
            "TCD",
        ),
        // Ordinary ones.
        ("d", euler, "leading", "epsilon", ("euler_a", 20, 7.0), ""),
        (
            "e",
            euler,
            "trailing",
            "v_prediction",
            ("euler_a", 20, 7.0),
            "",
        ),
    ];
    for (name, class, spacing, prediction, _, _) in cases {
        let folder = root.path().join(name);
        copy_folder(&model("xl"), &folder);
        let config = serde_json::json!({
            "_class_name": class, "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "steps_offset": 1,
            "timestep_spacing": spacing, "prediction_type": prediction,
        });
        let file = "scheduler/scheduler_config.json";
        write(&folder, file, config.to_string().as_bytes());
    }
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("e");
    for (name, _, _, _, wanted, kin) in cases {
        let found = find(&running, name);
        let defaults = &found.defaults;
        let begins = (defaults.sampler.as_str(), defaults.steps, defaults.guidance);
        assert_eq!(begins, wanted, "{name}");
        let notes = &found.storage.inferred;
        let told = notes.iter().any(|note| note.contains("by its scheduler"));
        assert_eq!(told, !kin.is_empty(), "{name}: {notes:?}");
        assert!(notes.iter().all(|note| note.contains(kin)), "{notes:?}");
    }
}

#[test]
fn what_lies_beside_models_and_add_ons_is_told() {
    let root = TempDir::new().unwrap();
    let first = safetensors(&Layout::read("first").single(), Stored::F16, &Map::new());
    write(root.path(), "ink.v2.safetensors", &first);
    write(root.path(), "ink.v2.png", b"a picture");
    write(root.path(), "ink.v2.json", br#"{"notes": "mine"}"#);
    write(root.path(), "ink.v2.txt", b"from its page\n");
    write(
        root.path(),
        "ink.v2.civitai.info",
        br#"{"description": "<p>Draws <b>ink</b>.</p><p>Likes 7 steps.</p>"}"#,
    );
    let lora = std::fs::read(support::places::fixture("lora/kohya.safetensors")).unwrap();
    write(root.path(), "wash.safetensors", &lora);
    write(root.path(), "wash.preview.jpeg", b"a picture");
    write(root.path(), "wash.description.txt", b"thin ink");
    write(
        root.path(),
        "wash.cm-info.json",
        br#"{"TrainedWords": ["grey wash"], "VersionDescription": "<p>thin ink</p>"}"#,
    );
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("ink.v2");
    let storage = find(&running, "ink.v2").storage;
    assert_eq!(storage.preview, Some(root.path().join("ink.v2.png")));
    assert_eq!(
        storage.notes,
        "mine\nfrom its page\nDraws ink.\nLikes 7 steps."
    );
    let catalog = running.engine.catalog();
    let notes = &catalog.add_ons[0].notes;
    assert_eq!(notes.preview, Some(root.path().join("wash.preview.jpeg")));
    assert_eq!(notes.text, "thin ink", "said twice, told once");
    let words = &notes.trigger_words;
    assert_eq!(words[0], "grey wash", "before those of its training");
    // What changes beside a file is seen.
    write(root.path(), "ink.v2.txt", b"another page, longer");
    wait_until(&running, "a text that changed", |catalog| {
        let model = catalog.find("ink.v2");
        model.is_some_and(|model| model.storage.notes.contains("another page"))
    });
}

#[test]
fn add_ons_of_every_kind_tell_what_they_were_made_for_by_their_widths() {
    let root = TempDir::new().unwrap();
    let layer = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";
    for (name, tensors) in [
        (
            "loha",
            &[("hada_w1_a", [320, 4]), ("hada_w1_b", [4, 2048])][..],
        ),
        ("lokr", &[("lokr_w1", [8, 16]), ("lokr_w2", [40, 64])]),
        (
            "low lokr",
            &[
                ("lokr_w1", [8, 8]),
                ("lokr_w2_a", [40, 4]),
                ("lokr_w2_b", [4, 96]),
            ],
        ),
        ("whole", &[("diff", [320, 768])]),
        ("glora", &[("a1.weight", [768, 4]), ("a2.weight", [4, 768])]),
    ] {
        let tensors = tensors.iter();
        let tensors: Vec<_> = tensors
            .map(|(part, shape)| tensor(&format!("{layer}.{part}"), shape))
            .collect();
        write(
            root.path(),
            &format!("{name}.safetensors"),
            &file_of(&tensors),
        );
    }
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    wait_until(&running, "five add-ons", |catalog| {
        catalog.add_ons.len() == 5
    });
    let catalog = running.engine.catalog();
    let bases: Vec<(&str, &str)> = catalog
        .add_ons
        .iter()
        .map(|one| (one.name.as_str(), one.base.as_str()))
        .collect();
    let [first, second] = ["Stable Diffusion 1.x", "Stable Diffusion 2.x"];
    let expected = [
        ("glora", first),
        ("loha", "Stable Diffusion XL"),
        ("lokr", second),
        ("low lokr", first),
        ("whole", first),
    ];
    assert_eq!(bases, expected);
}
