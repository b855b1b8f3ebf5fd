//! Models in one file: which family runs it, and the diffusers folder it stands for. Everything is
//! told from the header; what could not be told for certain is said in a note.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::FAMILIES;
use super::model::Fit;
use crate::error::{EngineError, Result};
use crate::prompt::clip_vocabulary;
use crate::schedules::Prediction;
use crate::weights::files::{ByteSource, ModelFiles};
use crate::weights::single::SingleFile;

/// Largest `NAME.json` or `NAME.yaml` beside a model that is read.
const BESIDE_LIMIT_BYTES: u64 = 1 << 20;

/// A single file that a family runs.
pub struct Opened {
    /// Its files, as if they lay in a folder.
    pub files: ModelFiles,
    /// Id of its format, one of `weights::format::FORMATS`.
    pub format: &'static str,
    /// How its networks are stored: `f16`, `q4_k`…
    pub precision: &'static str,
    /// What was inferred and why, and what was left alone.
    pub notes: Vec<String>,
    /// What the file does not hold; without a lender `files` cannot be run.
    pub lacks: Option<Lacks>,
}

/// What a file with a network does not hold of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacks {
    /// What the network is, for people.
    pub network: String,
    /// The missing parts.
    pub parts: Vec<Lacking>,
    /// Models of this fit can lend them.
    pub fit: Fit,
}

/// A part of a model that its file does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its folder in the diffusers layout.
    pub folder: &'static str,
    /// Its name for people.
    pub name: &'static str,
}

impl Lacks {
    /// The missing parts for people.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.parts.iter().map(|part| part.name).collect();
        match names.as_slice() {
            [before @ .., last] if !before.is_empty() => {
                format!("{} and {last}", before.join(", "))
            }
            other => other.concat(),
        }
    }

    /// Their folders, tokenizers among them.
    fn folders(&self) -> impl Iterator<Item = String> {
        self.parts.iter().flat_map(|part| {
            let tokenizer = part.folder.replace("text_encoder", "tokenizer");
            [part.folder.to_owned(), tokenizer]
        })
    }
}

/// The files of a model's folder in the diffusers layout, made from a header.
#[derive(Default)]
pub struct Made {
    /// By path relative to the folder.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What was inferred and why.
    pub notes: Vec<String>,
    /// What the file does not hold.
    pub lacks: Option<Lacks>,
}

impl Made {
    /// Adds a configuration file.
    pub fn config(&mut self, relative: &str, fields: Value) {
        let bytes = fields.to_string().into_bytes();
        self.files.insert(relative.to_owned(), bytes.into());
    }

    /// Adds CLIP's tokenizer, for a text encoder that reads `context` tokens, marks included.
    pub fn clip_tokenizer(&mut self, folder: &str, context: usize, pad: &str) {
        let clip = clip_vocabulary::files();
        let mut add = |name: &str, bytes: &Arc<[u8]>| {
            self.files
                .insert(format!("{folder}/{name}"), Arc::clone(bytes));
        };
        add("vocab.json", &clip.vocabulary);
        add("merges.txt", &clip.merges);
        let options = serde_json::json!({"model_max_length": context, "pad_token": pad});
        self.config(&format!("{folder}/tokenizer_config.json"), options);
    }
}

/// What lies beside a model and says what its header cannot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// What the network predicts, and the file that says so.
    pub prediction: Option<(Prediction, PathBuf)>,
}

impl Beside {
    /// Reads `prediction_type` (`epsilon`, `v_prediction`) from `NAME.json`, or else LDM's
    /// `parameterization` (`eps`, `v`) from `NAME.yaml`.
    ///
    /// # Errors
    /// `BadFile` when such a field has another value, `Io` when a file cannot be read.
    pub fn read(model: &Path) -> Result<Self> {
        let mut beside = Self::default();
        for (path, field) in Self::paths(model)
            .into_iter()
            .zip(["prediction_type", "parameterization"])
        {
            if beside.prediction.is_some() || !path.is_file() {
                continue;
            }
            let bytes = ByteSource::open(&path)?.read_all(BESIDE_LIMIT_BYTES)?;
            let Some(word) = find_word(&bytes, field) else {
                continue;
            };
            let prediction = match word.as_str() {
                "eps" | "epsilon" => Prediction::Epsilon,
                "v" | "v_prediction" => Prediction::Velocity,
                other => {
                    return Err(EngineError::bad_file(
                        &path,
                        format!("“{field}” is “{other}”"),
                        "it must be “epsilon” or “v_prediction” (in .yaml files “eps” or “v”)",
                    ));
                }
            };
            beside.prediction = Some((prediction, path));
        }
        Ok(beside)
    }

    /// Where they lie, whether or not they are there.
    pub fn paths(model: &Path) -> [PathBuf; 2] {
        ["json", "yaml"].map(|extension| model.with_extension(extension))
    }
}

/// The word after `field:`, in JSON or YAML, without quotes. These files are written by many tools
/// and by hand: a broken one says nothing.
fn find_word(bytes: &[u8], field: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
        return fields.get(field).and_then(Value::as_str).map(str::to_owned);
    }
    let line = |line: &str| {
        let value = line
            .trim()
            .strip_prefix(field)?
            .trim_start()
            .strip_prefix(':')?;
        let value = value.split('#').next().unwrap_or(value);
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    text.lines().find_map(line)
}

/// Opens a single file and makes the folder it stands for.
///
/// # Errors
/// `BadFile` when it is broken, `UnsupportedModel` that says what it is when no family runs it.
pub fn open(path: &Path) -> Result<Opened> {
    open_with(path, None)
}

/// As [`open`]; the parts that the file does not hold are the lender's.
///
/// # Errors
/// As [`open`], and for a lender whose configuration is broken.
pub fn open_with(path: &Path, lender: Option<&ModelFiles>) -> Result<Opened> {
    let file = SingleFile::open(path)?;
    let beside = Beside::read(path)?;
    let made = FAMILIES
        .iter()
        .find_map(|family| (family.single)(&file, &beside, lender));
    let mut made = made.unwrap_or_else(|| Err(unknown(&file)))?;
    made.notes.extend(file.notes);
    let files = match (lender, &made.lacks) {
        (Some(lender), Some(lacks)) => {
            ModelFiles::single_with(path, made.files, lacks.folders(), lender)
        }
        _ => ModelFiles::single(path, made.files),
    };
    Ok(Opened {
        files,
        lacks: made.lacks,
        format: file.format,
        precision: file.precision.map_or("", |element| element.id()),
        notes: made.notes,
    })
}

/// What else is known: a piece of a stored name that only such files have, and what they are.
const KINDS: &[(&str, Kind)] = &[
    ("lora_unet_", Kind::AddOn("a LoRA")),
    ("lora_te", Kind::AddOn("a LoRA")),
    (".lora_A.weight", Kind::AddOn("a LoRA")),
    (".lora_down.weight", Kind::AddOn("a LoRA")),
    (".lora.down.weight", Kind::AddOn("a LoRA")),
    ("hada_w1_a", Kind::AddOn("a LyCORIS")),
    ("lokr_w1", Kind::AddOn("a LyCORIS")),
    ("string_to_param", Kind::AddOn("a textual inversion")),
    ("emb_params", Kind::AddOn("a textual inversion")),
    ("clip_l", Kind::AddOn("a textual inversion")),
    ("control_model.", Kind::AddOn("a ControlNet")),
    ("controlnet_cond_embedding.", Kind::AddOn("a ControlNet")),
    ("motion_modules.", Kind::AddOn("a motion module")),
    ("ip_adapter.", Kind::AddOn("an IP-Adapter")),
    ("body.0.rdb1.", Kind::AddOn("an upscaler")),
    ("model.0.weight", Kind::AddOn("an upscaler")),
    ("joint_blocks.", Kind::Model("Stable Diffusion 3")),
    ("double_blocks.0.img_attn.", Kind::Model("FLUX")),
    ("time_stack.", Kind::Model("Stable Video Diffusion")),
    ("cap_embedder.", Kind::Model("Lumina or Z-Image")),
    ("vision_model.", Kind::AddOn("an image encoder")),
    (
        "encoder.block.0.layer.0.SelfAttention",
        Kind::AddOn("a T5 text encoder"),
    ),
];

/// What UNets with further embeddings are that no family runs, by those: XL's and its refiner's take
/// 2816 and 2560 channels of text and sizes, and are whole where the family takes them.
fn embedded_kind(file: &SingleFile) -> Option<Kind> {
    let side = |name: &str| file.entry("unet", name)?.shape.get(1).copied();
    let classes = side("class_embedding.weight").map(|_| "the Stable Diffusion upscaler");
    let what = side("add_embedding.linear_1.weight").map(|channels| match channels {
        2816 | 2560 => "Stable Diffusion XL, but with blocks missing",
        _ => "Stable Diffusion with picture embeddings (unCLIP)",
    });
    what.or(classes).map(Kind::Model)
}

#[derive(Clone, Copy)]
enum Kind {
    AddOn(&'static str),
    Model(&'static str),
}

/// What an [`EngineError::UnsupportedModel`] found ends with where the file is no model at all.
const NO_MODEL: &str = ", no model of its own";

/// Whether what was found is something that belongs to models.
pub fn is_add_on(found: &str) -> bool {
    found.ends_with(NO_MODEL)
}

fn unknown(file: &SingleFile) -> EngineError {
    let path = file.source.label().to_owned();
    let has = |piece: &str| file.stored.iter().any(|name| name.contains(piece));
    let kind = KINDS
        .iter()
        .find(|(piece, _)| has(piece))
        .map(|(_, kind)| *kind);
    let kind = embedded_kind(file).or(kind);
    let parts: Vec<&str> = file.parts.keys().map(String::as_str).collect();
    let (found, remedy) = match kind {
        Some(Kind::AddOn(what)) => (
            format!("{what}{NO_MODEL}"),
            "choose a whole model: this belongs to one",
        ),
        Some(Kind::Model(what)) => (
            format!("a model of the kind {what}"),
            "this version cannot run it: choose another model",
        ),
        None if !parts.is_empty() && !parts.contains(&"unet") => (
            format!("{} alone{NO_MODEL}", parts.join(", ")),
            "choose a whole model: this belongs to one",
        ),
        None => {
            let first = file.stored.first().map_or("", String::as_str);
            (
                format!(
                    "{} tensors of an unknown network, the first is “{first}”",
                    file.stored.len()
                ),
                "this version cannot run it: choose another model",
            )
        }
    };
    EngineError::UnsupportedModel {
        path,
        found,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_is_read_from_yaml_and_json() {
        let yaml = b"model:\n  params:\n    parameterization: \"v\"  # 768\n";
        assert_eq!(find_word(yaml, "parameterization").as_deref(), Some("v"));
        let json = br#"{"notes": "x", "prediction_type": "epsilon"}"#;
        assert_eq!(
            find_word(json, "prediction_type").as_deref(),
            Some("epsilon")
        );
        assert_eq!(find_word(b"\xff{ broken", "prediction_type"), None);
    }
}
