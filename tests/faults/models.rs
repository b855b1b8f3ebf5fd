//! Broken and hostile model folders: each gives a typed error that names the file, within two seconds and without
//! a huge allocation; nothing crashes.

use std::path::Path;
use std::time::{Duration, Instant};

use pentimento_engine::backend::Backend;
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::client::EngineClient;
use pentimento_engine::error::EngineError;
use pentimento_engine::families::identify;
use pentimento_engine::recipe::Precision;
use pentimento_engine::weights::files::ModelFiles;
use serde_json::{Value, json};
use support::places::{copy_folder, model};
use support::running::{Options, Running, recipe, request};
use tempfile::TempDir;

const VERDICT: Duration = Duration::from_secs(2);
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// A copy of a tiny model, to be broken.
fn copy(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy_folder(&model(name), folder.path());
    folder
}

/// Looks at a folder and loads it, as the engine does; the error if either fails.
fn verdict(folder: &Path) -> Option<EngineError> {
    let began = Instant::now();
    let files = ModelFiles::folder(folder);
    let backend = Backend::open("cpu", Some(1)).unwrap();
    let compute = backend.compute(Precision::F32);
    let result = identify(&files).and_then(|family| {
        (family.inspect)(&files)?;
        let cancel = CancelToken::default();
        (family.load)(&files, &compute, &cancel)?.fetch_all(&cancel)
    });
    assert!(
        began.elapsed() < VERDICT,
        "took {:?}: {result:?}",
        began.elapsed()
    );
    result.err()
}

/// Fails unless the folder is refused with an error that names `file` and contains `word`.
#[track_caller]
fn expect_refused(what: &str, folder: &Path, file: &str, word: &str) {
    let Some(error) = verdict(folder) else {
        panic!("{what}: accepted")
    };
    let path = match &error {
        EngineError::BadFile { path, .. }
        | EngineError::UnsupportedModel { path, .. }
        | EngineError::Io { path, .. } => path.clone(),
        other => panic!("{what}: {other:?}"),
    };
    assert_eq!(path, folder.join(file), "{what}: {error}");
    let text = error.to_string();
    assert!(
        text.contains(word),
        "{what}: “{text}” does not say “{word}”"
    );
    assert!(text.contains(';'), "{what}: “{text}” gives no remedy");
}

/// A safetensors file of this header and that many bytes of data.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn weights_cut_anywhere() {
    let whole = std::fs::read(model("plain").join(UNET)).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let folder = copy("plain");
    let cuts = [
        0,
        1,
        7,
        8,
        9,
        100,
        header / 2,
        header - 1,
        header,
        header + 1,
        whole.len() / 2,
        whole.len() - 1,
    ];
    for cut in cuts {
        std::fs::write(folder.path().join(UNET), &whole[..cut]).unwrap();
        expect_refused(&format!("cut at {cut}"), folder.path(), UNET, "");
    }
    let mut longer = whole.clone();
    longer.extend([0; 5]);
    std::fs::write(folder.path().join(UNET), &longer).unwrap();
    expect_refused("bytes after the end", folder.path(), UNET, "");
    std::fs::write(folder.path().join(UNET), &whole).unwrap();
    assert_eq!(verdict(folder.path()), None);
}

#[test]
fn header_bombs_and_lies() {
    let folder = copy("plain");
    let tensor = |dtype: &str, shape: &str, from: u64, to: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let huge = |length: u64| [length.to_le_bytes().to_vec(), b"{}".to_vec()].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length 2^64-1", huge(u64::MAX)),
        ("length 2^63", huge(1 << 63)),
        ("length 100 GB", huge(100_000_000_000)),
        ("length beyond the file", huge(4096)),
        ("empty header", safetensors("", 0)),
        ("not JSON", safetensors("PK\u{3}\u{4} zip", 10)),
        ("a list", safetensors("[]", 0)),
        ("an unfinished object", safetensors("{\"a\":", 0)),
        (
            "no UTF-8",
            [3_u64.to_le_bytes().to_vec(), vec![b'{', 0xff, b'}']].concat(),
        ),
        ("deep nesting", safetensors(&"[".repeat(200_000), 0)),
        (
            "deep nesting of objects",
            safetensors(&"{\"a\":".repeat(100_000), 0),
        ),
        (
            "product overflows",
            safetensors(&tensor("F32", "[4294967296,4294967296,16]", 0, 0), 0),
        ),
        (
            "product overflows to the right size",
            safetensors(&tensor("F32", "[4611686018427387905]", 0, 4), 4),
        ),
        (
            "exbytes",
            safetensors(
                &tensor("F32", "[1152921504606846975]", 0, 4_611_686_018_427_387_900),
                4,
            ),
        ),
        (
            "negative shape",
            safetensors(&tensor("F32", "[-1]", 0, 4), 4),
        ),
        (
            "fractional shape",
            safetensors(&tensor("F32", "[1.5]", 0, 4), 4),
        ),
        (
            "shape of 2000 dimensions",
            safetensors(
                &tensor("F32", &format!("[1{}]", ",1".repeat(1999)), 0, 4),
                4,
            ),
        ),
        ("unknown type", safetensors(&tensor("F33", "[1]", 0, 4), 4)),
        (
            "size and shape differ",
            safetensors(&tensor("F32", "[2]", 0, 4), 4),
        ),
        (
            "ends before it begins",
            safetensors(&tensor("F32", "[1]", 4, 0), 4),
        ),
        (
            "beyond the end",
            safetensors(&tensor("F32", "[1]", 4, 8), 4),
        ),
        (
            "three offsets",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#,
                8,
            ),
        ),
        (
            "no offsets",
            safetensors(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4),
        ),
        (
            "overlapping",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
        ),
        (
            "the same bytes twice",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
                8,
            ),
        ),
        (
            "a hole",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
                12,
            ),
        ),
        (
            "a name twice",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                8,
            ),
        ),
        (
            "a right file of another network",
            safetensors(&tensor("F32", "[1]", 0, 4), 4),
        ),
    ];
    let before = peak_bytes();
    for (what, bytes) in cases {
        std::fs::write(folder.path().join(UNET), bytes).unwrap();
        expect_refused(what, folder.path(), UNET, "");
    }
    let grown = peak_bytes().saturating_sub(before);
    assert!(
        grown < 512 << 20,
        "{grown} bytes were reserved for broken headers"
    );
}

/// The process's largest address space so far; 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .unwrap_or("0 kB");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or(0)
        * 1024
}

/// Rewrites a file's header with `change` applied to its JSON.
fn edit_header(path: &Path, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let whole = std::fs::read(path).unwrap();
    let end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&whole[8..end]).unwrap();
    change(&mut header);
    let text = serde_json::to_vec(&header).unwrap();
    let bytes = [
        (text.len() as u64).to_le_bytes().to_vec(),
        text,
        whole[end..].to_vec(),
    ]
    .concat();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn wrong_tensors_are_named() {
    let name = "conv_in.weight";
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 3] = [
        ("another shape", |tensor| {
            tensor["shape"] = json!([16, 36, 1, 1])
        }),
        ("integers", |tensor| tensor["dtype"] = json!("I16")),
        ("transposed", |tensor| {
            tensor["shape"] = json!([4, 16, 3, 3])
        }),
    ];
    for (what, change) in cases {
        let folder = copy("plain");
        edit_header(&folder.path().join(UNET), |header| {
            change(&mut header[name])
        });
        expect_refused(what, folder.path(), UNET, name);
    }
    let folder = copy("plain");
    edit_header(&folder.path().join(UNET), |header| {
        let tensor = header.remove(name).unwrap();
        header.insert("renamed".to_owned(), tensor);
    });
    expect_refused("missing", folder.path(), UNET, name);

    let folder = copy("plain");
    let path = folder.path().join(UNET);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&0x7e00_u16.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    expect_refused("not a number", folder.path(), UNET, "");
}

#[test]
fn every_missing_file_is_named() {
    for name in ["plain", "sd1", "inpainting", "mixed"] {
        let mut tried = 0;
        for file in files_of(&model(name), "") {
            let folder = copy(name);
            std::fs::remove_file(folder.path().join(&file)).unwrap();
            let optional = file.ends_with("tokenizer_config.json")
                || file.ends_with("special_tokens_map.json");
            if optional {
                let _either = verdict(folder.path());
                continue;
            }
            let error =
                verdict(folder.path()).unwrap_or_else(|| panic!("{name} without {file}: accepted"));
            let text = error.to_string();
            // Weights and tokenizers may have other names: the usual one is what is missing then.
            let part = file.split('/').next().unwrap();
            assert!(text.contains(part), "{name} without {file}: {text}");
            assert!(
                text.contains(&file) || file.contains(".safetensors") || part == "tokenizer",
                "{name} without {file}: {text}"
            );
            tried += 1;
        }
        assert!(tried > 8);
    }
}

fn files_of(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_of(&entry.path(), &format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found
}

/// Rewrites one field of a JSON file.
fn set(folder: &Path, file: &str, field: &str, value: Value) {
    let path = folder.join(file);
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    std::fs::write(path, serde_json::to_vec(&config).unwrap()).unwrap();
}

#[test]
fn settings_beyond_this_build_are_named_never_ignored() {
    let unet = "unet/config.json";
    let vae = "vae/config.json";
    let text = "text_encoder/config.json";
    let scheduler = "scheduler/scheduler_config.json";
    let cases: Vec<(&str, &str, Value)> = vec![
        (unet, "addition_embed_type", json!("text_image")),
        (unet, "class_embed_type", json!("timestep")),
        (unet, "num_class_embeds", json!(10)),
        (unet, "resnet_time_scale_shift", json!("scale_shift")),
        (unet, "act_fn", json!("gelu")),
        (unet, "time_embedding_type", json!("fourier")),
        (unet, "encoder_hid_dim_type", json!("text_proj")),
        (
            unet,
            "mid_block_type",
            json!("UNetMidBlock2DSimpleCrossAttn"),
        ),
        (
            unet,
            "down_block_types",
            json!(["SimpleCrossAttnDownBlock2D", "DownBlock2D"]),
        ),
        (unet, "dual_cross_attention", json!(true)),
        (unet, "only_cross_attention", json!(true)),
        (unet, "attention_type", json!("gated")),
        (unet, "resnet_skip_time_act", json!(true)),
        (unet, "cross_attention_norm", json!("layer_norm")),
        (unet, "from_the_future", json!("on")),
        (unet, "from_the_future", json!(0.25)),
        (vae, "_class_name", json!("VQModel")),
        (vae, "act_fn", json!("silu")),
        (vae, "from_the_future", json!(3)),
        (text, "hidden_act", json!("swish")),
        (text, "model_type", json!("t5")),
        (text, "from_the_future", json!(3)),
        (scheduler, "prediction_type", json!("flow")),
        (scheduler, "beta_schedule", json!("sigmoid")),
        (scheduler, "from_the_future", json!(3)),
    ];
    for (file, field, value) in cases {
        let folder = copy("plain");
        set(folder.path(), file, field, value.clone());
        let what = format!("{file}: {field} = {value}");
        let word = if field == "down_block_types" {
            "SimpleCrossAttnDownBlock2D"
        } else {
            field
        };
        expect_refused(&what, folder.path(), file, word);
    }
}

#[test]
fn impossible_numbers_are_refused_before_anything_is_allocated() {
    let unet = "unet/config.json";
    let cases: Vec<(&str, &str, Value)> = vec![
        (unet, "block_out_channels", json!([0, 32])),
        (unet, "block_out_channels", json!([1_000_000, 1_000_000])),
        (unet, "block_out_channels", json!([16.5, 32])),
        (unet, "block_out_channels", json!([])),
        (unet, "block_out_channels", json!("16")),
        (unet, "block_out_channels", json!([16, 32, 64])),
        (unet, "layers_per_block", json!(0)),
        (unet, "layers_per_block", json!(1_000_000)),
        (unet, "layers_per_block", json!(-1)),
        (unet, "attention_head_dim", json!(0)),
        (unet, "attention_head_dim", json!(7)),
        (unet, "transformer_layers_per_block", json!(1_000_000)),
        (unet, "norm_num_groups", json!(0)),
        (unet, "norm_num_groups", json!(5)),
        (unet, "norm_eps", json!("small")),
        (unet, "in_channels", json!(7)),
        (unet, "out_channels", json!(3)),
        (unet, "cross_attention_dim", json!(31)),
        (unet, "sample_size", json!(-4)),
        ("text_encoder/config.json", "hidden_size", json!(1u64 << 60)),
        (
            "text_encoder/config.json",
            "num_hidden_layers",
            json!(1_000_000),
        ),
        ("text_encoder/config.json", "num_attention_heads", json!(5)),
        (
            "text_encoder/config.json",
            "max_position_embeddings",
            json!(1),
        ),
        ("vae/config.json", "latent_channels", json!(0)),
        ("vae/config.json", "latent_channels", json!(1u64 << 40)),
        ("vae/config.json", "scaling_factor", json!(0)),
        (
            "scheduler/scheduler_config.json",
            "num_train_timesteps",
            json!(0),
        ),
        (
            "scheduler/scheduler_config.json",
            "num_train_timesteps",
            json!(u64::MAX),
        ),
        ("scheduler/scheduler_config.json", "beta_start", json!("x")),
        ("scheduler/scheduler_config.json", "beta_end", json!(5.0)),
        ("scheduler/scheduler_config.json", "steps_offset", json!(-3)),
    ];
    let before = peak_bytes();
    let mut accepted = Vec::new();
    for (file, field, value) in cases {
        let folder = copy("plain");
        set(folder.path(), file, field, value.clone());
        match verdict(folder.path()) {
            None => accepted.push(format!("{file}: {field} = {value}")),
            Some(error) => {
                let path = folder.path().to_string_lossy().into_owned();
                assert!(
                    error.to_string().contains(&path),
                    "{file}: {field} = {value}: {error}"
                );
            }
        }
    }
    assert!(
        accepted.is_empty(),
        "accepted:\n  {}",
        accepted.join("\n  ")
    );
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 1 << 30, "{grown} bytes were reserved");
}

#[test]
fn broken_json_is_named() {
    let broken: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("cut", b"{\"a\": [1, 2".to_vec()),
        ("a list", b"[]".to_vec()),
        ("binary", vec![0xff; 300]),
        ("deep", "[".repeat(500_000).into_bytes()),
        (
            "8 MB",
            [b"{\"a\":\"".to_vec(), vec![b'x'; 8 << 20], b"\"}".to_vec()].concat(),
        ),
    ];
    for file in [
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
    ] {
        for (what, bytes) in &broken {
            let folder = copy("plain");
            std::fs::write(folder.path().join(file), bytes).unwrap();
            expect_refused(&format!("{file}: {what}"), folder.path(), file, "");
        }
    }
}

#[test]
fn flipped_bytes_never_crash() {
    let mut state = 12345_u64;
    let mut random = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let files = [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
        "model_index.json",
        UNET,
    ];
    let folder = copy("plain");
    let mut refused = 0;
    for round in 0..280 {
        let file = files[round % files.len()];
        let path = folder.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        // Of weights, the header is what a reader trusts.
        let reach = bytes.len().min(20_000);
        for _ in 0..1 + random(4) {
            match random(3) {
                0 => bytes[random(reach)] = random(256) as u8,
                1 => bytes[random(reach)] ^= 1 << random(8),
                _ => {
                    let at = random(reach);
                    let digit = b'0' + random(10) as u8;
                    bytes.splice(at..at, [digit; 3]);
                }
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        refused += usize::from(verdict(folder.path()).is_some());
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(
        refused > 100,
        "only {refused} of 280 broken folders were refused"
    );
    assert_eq!(verdict(folder.path()), None);
}

#[test]
fn the_engine_reports_a_broken_model_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken");
    copy_folder(&model("plain"), &broken);
    copy_folder(&model("plain"), &folder.path().join("good"));
    let weights = broken.join("vae/diffusion_pytorch_model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let running = Running::with(Options {
        model_folders: vec![folder.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("good");
    let catalog = running.engine.catalog();
    assert!(catalog.find("broken").is_none());
    let problem = catalog
        .problems
        .iter()
        .find(|problem| problem.path == broken)
        .expect("it is listed");
    assert!(
        problem
            .error
            .to_string()
            .contains("diffusion_pytorch_model.safetensors"),
        "{}",
        problem.error
    );
    running.picture(recipe("good"));

    // A model that breaks after it was found: the job says so, and the next one runs once it is mended.
    let weights = folder.path().join("good").join(UNET);
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..1000]).unwrap();
    let error = running.pictures(request(recipe("good"))).unwrap_err();
    assert!(
        matches!(&error, EngineError::BadFile { path, .. } if *path == weights),
        "{error:?}"
    );
    std::fs::write(&weights, &whole).unwrap();
    running.picture(recipe("good"));
}
