//! Broken and hostile add-ons: each a typed error that names file and tensor, within two seconds, and
//! the model as it was.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pentimento_engine::backend::Backend;
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::error::EngineError;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Model, Word};
use pentimento_engine::recipe::Precision;
use pentimento_engine::weights::embedding::EmbeddingFile;
use pentimento_engine::weights::files::ModelFiles;
use pentimento_engine::weights::lora::{Adapter, AddOnFile, Strengths};
use support::places::{fixture, model};
use tempfile::TempDir;

const VERDICT: Duration = Duration::from_secs(2);
/// A square layer of 16 channels.
const LAYER: &str = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";

fn load() -> Box<dyn Model> {
    let files = ModelFiles::folder(model("sd1"));
    let backend = Backend::open("cpu", Some(1)).unwrap();
    let compute = backend.compute(Precision::F32);
    (identify(&files).unwrap().load)(&files, &compute, &CancelToken::default()).unwrap()
}

/// A tensor: name, shape, and the value that fills it.
type Tensor<'a> = (&'a str, &'a [usize], f32);

fn write(path: &Path, tensors: &[Tensor<'_>]) {
    let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, value) in tensors {
        let begin = data.len();
        let count: usize = shape.iter().product();
        data.extend(value.to_le_bytes().repeat(count));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        entries.insert(format!("{LAYER}.{name}"), entry);
    }
    let header = serde_json::Value::Object(entries).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

fn apply(model: &mut dyn Model, path: &Path, strength: f64) -> Result<(), EngineError> {
    let adapter = Adapter {
        file: Arc::new(AddOnFile::open(path)?),
        identity: "a".to_owned(),
        strengths: Strengths {
            unet: strength,
            text: strength,
        },
    };
    model.adapt(&[adapter], &CancelToken::default()).map(|_| ())
}

#[track_caller]
fn expect_refused(what: &str, model: &mut dyn Model, path: &Path, strength: f64, word: &str) {
    let began = Instant::now();
    let refused = apply(model, path, strength);
    let Err(EngineError::BadFile {
        path: named,
        problem,
        remedy,
    }) = refused
    else {
        panic!("{what}: {refused:?}")
    };
    assert_eq!(named, path, "{what}");
    assert!(
        problem.contains(word),
        "{what}: “{problem}” does not say “{word}”"
    );
    assert!(!remedy.is_empty(), "{what}");
    assert!(began.elapsed() < VERDICT, "{what}: {:?}", began.elapsed());
    let nothing = model.adapt(&[], &CancelToken::default()).unwrap();
    assert!(!nothing.has_changed(), "{what}: something was changed");
}

#[test]
fn wrong_shapes_ranks_and_numbers() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.safetensors");
    let mut model = load();
    let (down, up) = ("lora_down.weight", "lora_up.weight");
    let good: [Tensor<'_>; 2] = [(down, &[2, 16], 0.1), (up, &[16, 2], 0.1)];
    write(&path, &good);
    apply(model.as_mut(), &path, 1.0).unwrap();
    assert!(
        model
            .adapt(&[], &CancelToken::default())
            .unwrap()
            .has_changed()
    );
    let nan = f32::NAN;
    let cases: &[(&str, &[Tensor<'_>], &str)] = &[
        (
            "inputs",
            &[(down, &[2, 15], 0.1), (up, &[16, 2], 0.1)],
            "shape",
        ),
        (
            "outputs",
            &[(down, &[2, 16], 0.1), (up, &[17, 2], 0.1)],
            "shape",
        ),
        (
            "ranks differ",
            &[(down, &[2, 16], 0.1), (up, &[16, 3], 0.1)],
            "shape",
        ),
        (
            "no rank",
            &[(down, &[0, 16], 0.1), (up, &[16, 0], 0.1)],
            "rank",
        ),
        (
            "a huge rank",
            &[(down, &[20_000, 16], 0.1), (up, &[16, 20_000], 0.1)],
            "rank",
        ),
        ("no partner", &[(down, &[2, 16], 0.1)], "missing"),
        ("alpha", &[good[0], good[1], ("alpha", &[], nan)], "alpha"),
        (
            "alphas",
            &[good[0], good[1], ("alpha", &[2], 1.0)],
            "one number",
        ),
        ("numbers", &[(down, &[2, 16], nan), good[1]], "lora_down"),
        (
            "too much",
            &[(down, &[2, 16], 3e38), (up, &[16, 2], 3e38)],
            "finite",
        ),
        (
            "core",
            &[good[0], good[1], ("lora_mid.weight", &[3, 2, 1, 1], 0.1)],
            "shape",
        ),
        ("difference", &[("diff", &[15, 16], 0.1)], "shape"),
        (
            "offset",
            &[good[0], good[1], ("diff_b", &[15], 0.1)],
            "shape",
        ),
        (
            "lengths",
            &[good[0], good[1], ("dora_scale", &[5, 1], 1.0)],
            "lengths",
        ),
        (
            "factors",
            &[("weight", &[7], 1.0), ("on_input", &[], 0.0)],
            "factors",
        ),
        (
            "Kronecker",
            &[("lokr_w1", &[3, 4], 1.0), ("lokr_w2", &[4, 4], 1.0)],
            "divide",
        ),
        (
            "Kronecker of nothing",
            &[("lokr_w1", &[0, 4], 1.0), ("lokr_w2", &[4, 4], 1.0)],
            "divide",
        ),
        ("half a Kronecker", &[("lokr_w1", &[4, 4], 1.0)], "missing"),
        (
            "Hadamard",
            &[
                ("hada_w1_a", &[16, 2], 1.0),
                ("hada_w1_b", &[2, 16], 1.0),
                ("hada_w2_a", &[16, 2], 1.0),
                ("hada_w2_b", &[2, 8], 1.0),
            ],
            "shape",
        ),
        ("nothing known", &[("oft_diag", &[2, 2, 2], 1.0)], "no LoRA"),
        (
            "a network of its own",
            &[("weight", &[16, 16], 1.0)],
            "no LoRA",
        ),
    ];
    for (what, tensors, word) in cases {
        write(&path, tensors);
        expect_refused(what, model.as_mut(), &path, 1.0, word);
    }
    // A sound file at a strength that no number holds.
    write(&path, &[(down, &[2, 16], 1e15), (up, &[16, 2], 1e15)]);
    expect_refused("strength", model.as_mut(), &path, 1e30, "finite");
}

#[test]
fn wrong_rotations_and_factors_of_general_ones() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let mut model = load();
    let cases: [(&str, &[Tensor<'_>], &str); 5] = [
        (
            "rotations of other outputs",
            &[("oft_blocks", &[2, 2, 2], 1.0)],
            "outputs",
        ),
        (
            "rotations of no square",
            &[("oft_blocks", &[4, 4, 2], 1.0)],
            "square",
        ),
        (
            "stages without end",
            &[("oft_blocks", &[9, 4, 4, 4], 1.0)],
            "stages",
        ),
        (
            "factors of rotations",
            &[("oft_blocks", &[4, 4, 4], 1.0), ("rescale", &[7, 1], 1.0)],
            "factors",
        ),
        (
            "half of a general one",
            &[
                ("a1.weight", &[16, 2], 1.0),
                ("a2.weight", &[2, 16], 1.0),
                ("b1.weight", &[16, 2], 1.0),
            ],
            "missing",
        ),
    ];
    for (what, tensors, word) in cases {
        write(&path, tensors);
        expect_refused(what, model.as_mut(), &path, 1.0, word);
    }
}

#[test]
fn cut_anywhere() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.safetensors");
    let whole = std::fs::read(fixture("lora/kohya.safetensors")).unwrap();
    for at in [0, 4, 8, 100, 2000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..at]).unwrap();
        let refused = AddOnFile::open(&path);
        let named = match &refused {
            Err(EngineError::BadFile { path, .. }) => path.clone(),
            other => panic!("cut at {at}: {other:?}"),
        };
        assert_eq!(named, path, "cut at {at}");
    }
    let pickle = std::fs::read(fixture("lora/kohya.pt")).unwrap();
    let path = folder.path().join("cut.pt");
    for at in [10, pickle.len() / 3, pickle.len() - 1] {
        std::fs::write(&path, &pickle[..at]).unwrap();
        assert!(AddOnFile::open(&path).is_err(), "cut at {at}");
    }
}

/// A safetensors file of one tensor.
fn one_tensor(path: &Path, name: &str, shape: &[usize], value: f32) {
    let data = value.to_le_bytes().repeat(shape.iter().product());
    let entry =
        serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [0, data.len()]});
    let header = serde_json::json!({ name: entry }).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn broken_embeddings() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("word.safetensors");
    let word = |file: EmbeddingFile| Word {
        name: "word".to_owned(),
        file: Arc::new(file),
    };
    one_tensor(&path, "emb_params", &[2, 32], 0.1);
    let mut model = load();
    let good = word(EmbeddingFile::open(&path).unwrap());
    assert!(model.teach(&[good]).unwrap().is_empty());
    for (what, name, shape) in [
        ("no vectors", "emb_params", &[0, 32][..]),
        ("no channels", "emb_params", &[2, 0]),
        ("too many", "emb_params", &[2000, 4]),
        ("too wide", "emb_params", &[1, 40_000]),
        ("a cube", "emb_params", &[2, 2, 32]),
    ] {
        one_tensor(&path, name, shape, 0.1);
        let Err(EngineError::BadFile { path: named, .. }) = EmbeddingFile::open(&path) else {
            panic!("{what}");
        };
        assert_eq!(named, path, "{what}");
    }
    one_tensor(&path, "emb_params", &[2, 32], f32::NAN);
    let bad = word(EmbeddingFile::open(&path).unwrap());
    let refused = model.teach(&[bad]);
    let Err(EngineError::BadFile { path: named, .. }) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*named, path);
    let pickle = std::fs::read(fixture("embeddings/red-thing.pt")).unwrap();
    let path = folder.path().join("word.pt");
    for at in [0, 20, pickle.len() / 2, pickle.len() - 1] {
        std::fs::write(&path, &pickle[..at]).unwrap();
        assert!(EmbeddingFile::open(&path).is_err(), "cut at {at}");
    }
}
