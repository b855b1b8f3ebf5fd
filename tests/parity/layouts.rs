//! Models in one file, under LDM's names: what the engine infers from their headers, and their numbers
//! against diffusers on the same tensors.

use std::path::Path;

use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::{identify, single};
use pentimento_engine::prompt::tokenizer::Tokenizer;
use pentimento_engine::weights::element;
use pentimento_engine::weights::single::SingleFile;
use serde_json::{Map, Value, json};
use support::fixture::Fixture;
use support::layouts::{Layout, Stored, Written, safetensors};
use support::places;
use tempfile::TempDir;

use crate::networks::{check_autoencoder, check_text_and_unet, paths};

/// As in `fixtures/layouts/make.py`.
const PROMPTS: [&str; 2] = ["a red apple, 3d", ""];

fn numbers_of(name: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = Layout::read(name).single();
    std::fs::write(&path, safetensors(&tensors, Stored::F16, &Map::new())).unwrap();
    let fixture = Fixture::open(&format!("layouts/{name}.safetensors"));

    let opened = single::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let last = if opened.files.exists("tokenizer_2/vocab.json") {
        "tokenizer_2"
    } else {
        "tokenizer"
    };
    let tokenizer = Tokenizer::read(&opened.files, last, 77).unwrap();
    let ids: Vec<i64> = PROMPTS
        .iter()
        .flat_map(|prompt| tokenizer.encode(prompt).unwrap().ids)
        .map(i64::from)
        .collect();
    assert_eq!(ids, fixture.i64("ids"), "{name}: tokens");

    let family = identify(&opened.files).unwrap();
    for compute in paths() {
        let model = (family.load)(&opened.files, &compute, &CancelToken::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        check_text_and_unet(name, model.as_ref(), &fixture);
        check_autoencoder(name, model.as_ref(), &fixture);
    }
}

#[test]
fn version_1_in_one_file() {
    numbers_of("first");
}

#[test]
fn version_2_in_one_file() {
    numbers_of("second");
}

#[test]
fn inpainting_in_one_file() {
    numbers_of("inpainting");
}

#[test]
fn version_xl_in_one_file() {
    numbers_of("xl");
}

#[test]
fn the_refiner_of_version_xl_in_one_file() {
    numbers_of("xl_refiner");
}

/// A file of that header whose data is a hole: sizes of gigabytes, and no byte on the disk.
fn write_sparse(path: &Path, names: &str) {
    let mut header = Map::new();
    let mut end = 0_u64;
    for line in names.lines() {
        let (name, sides) = line.split_once(' ').unwrap();
        let shape: Vec<u64> = sides
            .split(',')
            .filter_map(|side| side.parse().ok())
            .collect();
        let len = 2 * shape.iter().product::<u64>();
        let entry = json!({"dtype": "F16", "shape": shape, "data_offsets": [end, end + len]});
        header.insert(name.to_owned(), entry);
        end += len;
    }
    let header = Value::Object(header).to_string();
    let bytes = [
        (header.len() as u64).to_le_bytes().to_vec(),
        header.into_bytes(),
    ]
    .concat();
    std::fs::write(path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes.len() as u64 + end).unwrap();
}

#[test]
fn full_sizes_are_told_from_their_headers() {
    let folder = TempDir::new().unwrap();
    for (name, expected) in [
        (
            "sd15",
            json!({
                "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": [2, 2, 2, 2],
                "attention_head_dim": [8, 8, 8, 8], "cross_attention_dim": 768, "in_channels": 4,
                "use_linear_projection": false, "sample_size": 64,
                "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
                "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
                "mid_block_type": "UNetMidBlock2DCrossAttn", "transformer_layers_per_block": [1, 1, 1, 1],
            }),
        ),
        (
            "sd21",
            json!({
                "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": [2, 2, 2, 2],
                "attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "in_channels": 4,
                "use_linear_projection": true,
            }),
        ),
    ] {
        let names =
            std::fs::read_to_string(places::fixture(&format!("layouts/full_{name}.txt"))).unwrap();
        let path = folder.path().join(format!("{name}.safetensors"));
        write_sparse(&path, &names);
        let opened = single::open(&path).unwrap();
        let unet = opened.files.config("unet/config.json").unwrap();
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(unet.get(field), Some(value), "{name}: {field}");
        }
        let vae = opened.files.config("vae/config.json").unwrap();
        assert_eq!(
            vae["block_out_channels"],
            json!([128, 256, 512, 512]),
            "{name}"
        );
        assert_eq!(vae["layers_per_block"], 2, "{name}");
        let text = opened.files.config("text_encoder/config.json").unwrap();
        let (layers, heads, act) = if name == "sd15" {
            (12, 12, "quick_gelu")
        } else {
            (23, 16, "gelu")
        };
        assert_eq!(text["num_hidden_layers"], layers, "{name}");
        assert_eq!(text["num_attention_heads"], heads, "{name}");
        assert_eq!(text["hidden_act"], act, "{name}");
        // Nothing is missing, nothing left over, and the whole fits: the family says so itself.
        let facts = (identify(&opened.files).unwrap().inspect)(&opened.files).unwrap();
        assert_eq!(facts.variant, if name == "sd15" { "1.x" } else { "2.x" });
        assert!(
            opened
                .notes
                .iter()
                .all(|note| note.starts_with("predicts ")),
            "{:?}",
            opened.notes
        );
    }
}

#[test]
fn full_sizes_of_version_xl_are_told_from_their_headers() {
    let folder = TempDir::new().unwrap();
    for (name, variant, unet, big) in [
        (
            "sdxl",
            "XL",
            json!({
                "block_out_channels": [320, 640, 1280], "layers_per_block": [2, 2, 2],
                "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048, "in_channels": 4,
                "use_linear_projection": true, "sample_size": 128,
                "transformer_layers_per_block": [1, 2, 10],
                "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
                "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
                "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            }),
            2,
        ),
        (
            "sdxl_refiner",
            "XL refiner",
            json!({
                "block_out_channels": [384, 768, 1536, 1536], "attention_head_dim": [6, 12, 24, 24],
                "cross_attention_dim": 1280, "transformer_layers_per_block": [1, 4, 4, 4],
                "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2560,
            }),
            1,
        ),
    ] {
        let names = places::fixture(&format!("layouts/full_{name}.txt"));
        let names = std::fs::read_to_string(names).unwrap();
        let path = folder.path().join(format!("{name}.safetensors"));
        write_sparse(&path, &names);
        let opened = single::open(&path).unwrap();
        let config = opened.files.config("unet/config.json").unwrap();
        for (field, value) in unet.as_object().unwrap() {
            assert_eq!(config.get(field), Some(value), "{name}: {field}");
        }
        let vae = opened.files.config("vae/config.json").unwrap();
        assert_eq!(vae["scaling_factor"], json!(0.13025), "{name}");
        let text = opened.files.config("text_encoder_2/config.json").unwrap();
        for (field, value) in [
            ("num_hidden_layers", json!(32)),
            ("num_attention_heads", json!(20)),
            ("projection_dim", json!(1280)),
            ("hidden_act", json!("gelu")),
        ] {
            assert_eq!(text[field], value, "{name}: {field}");
        }
        let first = opened.files.exists("text_encoder/config.json");
        assert_eq!(usize::from(first) + 1, big, "{name}: text encoders");
        let facts = (identify(&opened.files).unwrap().inspect)(&opened.files).unwrap();
        assert_eq!(
            (facts.variant.as_str(), facts.native_px),
            (variant, [1024; 2])
        );
        assert_eq!(facts.noise.default_sampler(), "euler");
        assert_eq!(
            opened.notes,
            ["predicts epsilon: as the models of version XL do"]
        );
    }
}

#[test]
fn marks_say_that_an_xl_predicts_velocity_from_pure_noise() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = Layout::read("xl").single();
    for name in ["v_pred", "ztsnr"] {
        let (name, shape, values) = (name.to_owned(), vec![], vec![0.0]);
        tensors.push(Written {
            name,
            shape,
            values,
        });
    }
    std::fs::write(&path, safetensors(&tensors, Stored::F16, &Map::new())).unwrap();
    let opened = single::open(&path).unwrap();
    let scheduler = opened
        .files
        .config("scheduler/scheduler_config.json")
        .unwrap();
    assert_eq!(scheduler["prediction_type"], "v_prediction");
    assert_eq!(scheduler["rescale_betas_zero_snr"], true);
    assert_eq!(scheduler["timestep_spacing"], "trailing");
    let note = &opened.notes[0];
    assert!(note.contains("v_pred") && note.contains("ztsnr"), "{note}");
    let facts = (identify(&opened.files).unwrap().inspect)(&opened.files).unwrap();
    assert_eq!(facts.noise.prediction().id(), "v_prediction");
}

#[test]
fn what_a_network_predicts_is_inferred_and_said_or_read_beside_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    let predicts = |metadata: &Map<String, Value>, name: &str| {
        let tensors = Layout::read(name).single();
        std::fs::write(&path, safetensors(&tensors, Stored::F16, metadata)).unwrap();
        let opened = single::open(&path).unwrap();
        let facts = (identify(&opened.files).unwrap().inspect)(&opened.files).unwrap();
        (
            facts.noise.prediction().id(),
            facts.native_px[0],
            opened.notes[0].clone(),
        )
    };
    let none = Map::new();
    let (prediction, _, note) = predicts(&none, "first");
    assert_eq!(prediction, "epsilon");
    assert!(note.contains("version 1"), "{note}");
    let (prediction, side, note) = predicts(&none, "second");
    assert_eq!((prediction, side), ("v_prediction", 768));
    assert!(note.contains("inferred from its weights"), "{note}");
    let stated = Map::from_iter([("modelspec.prediction_type".to_owned(), json!("epsilon"))]);
    let (prediction, side, note) = predicts(&stated, "second");
    assert_eq!((prediction, side), ("epsilon", 512));
    assert!(note.contains("metadata"), "{note}");
    std::fs::write(
        folder.path().join("model.yaml"),
        "model:\n  params:\n    parameterization: \"v\"\n",
    )
    .unwrap();
    let (prediction, _, note) = predicts(&stated, "second");
    assert_eq!(prediction, "v_prediction");
    assert!(note.contains("model.yaml"), "{note}");
    std::fs::write(
        folder.path().join("model.json"),
        r#"{"prediction_type": "epsilon"}"#,
    )
    .unwrap();
    assert_eq!(predicts(&stated, "second").0, "epsilon");
}

/// Every tensor of a file torch wrote holds the numbers safetensors has for it.
#[test]
fn pickles_of_todays_and_of_old_torch_hold_the_same_numbers() {
    let reference = Fixture::open("layouts/python.safetensors");
    for file in ["python.ckpt", "python.legacy.pt"] {
        let source = SingleFile::open(&places::fixture("layouts").join(file));
        // No network: the header is read, and the parts stay empty.
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        let header = pentimento_engine::weights::ckpt::read_header(&source.source).unwrap();
        assert!(
            header.entries.len() >= 9,
            "{file}: {:?}",
            header.entries.keys()
        );
        for (name, entry) in &header.entries {
            let recorded = if name == "steps" {
                continue;
            } else {
                reference.f32(name)
            };
            assert_eq!(entry.shape, recorded.shape, "{file}: {name}");
            let bytes = entry.read(&source.source).unwrap();
            let values = element::to_f32(&bytes, entry.element).unwrap();
            assert_eq!(values, recorded.values, "{file}: {name}");
        }
        if file == "python.ckpt" {
            assert_eq!(header.metadata["global_step"], "875000");
        }
    }
}
