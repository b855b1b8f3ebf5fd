//! Which models exist and what they are, from headers and config files alone.

pub mod add_ons;
mod beside;
pub mod decoders;
pub mod hash;
mod kin;
pub mod lending;
pub mod matching;
pub mod scan;
mod walk;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use add_ons::AddOnInfo;

use crate::error::EngineError;
use crate::families::model::LatentFacts;
use decoders::AutoencoderInfo;
pub use lending::Borrowed;

/// A snapshot of what can be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Usable models: built-in ones first, then by name.
    pub models: Vec<ModelInfo>,
    /// LoRA, their kin and embeddings, by name.
    #[serde(default)]
    pub add_ons: Vec<AddOnInfo>,
    /// Folders and files that look like models but cannot be used, with the reason.
    pub problems: Vec<ModelProblem>,
    /// Autoencoders in files of their own, by name.
    #[serde(default)]
    pub autoencoders: Vec<AutoencoderInfo>,
    /// Samplers, in menu order.
    pub samplers: Vec<Choice>,
    /// Schedules, in menu order.
    pub schedules: Vec<Choice>,
}

impl Catalog {
    /// The model of that id, or whose path it is.
    pub fn find(&self, wanted: &str) -> Option<&ModelInfo> {
        self.models.iter().find(|model| {
            model.id == wanted
                || model
                    .path
                    .as_deref()
                    .is_some_and(|path| path.as_os_str() == wanted)
        })
    }
}

/// One usable model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Unique id: what recipes name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// One or two sentences on what it can and cannot draw; may be empty.
    pub description: String,
    /// The folder or file; `None` for a model inside the program.
    pub path: Option<PathBuf>,
    /// Family id, one of `families::FAMILIES`.
    pub family: String,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// Hash of its files (see `Recipe`), once it has been computed in the background.
    pub sha256: Option<String>,
    /// Native picture size, width and height in pixels.
    pub native_px: [u32; 2],
    /// Sizes are padded to a multiple of this and cropped back.
    pub multiple_px: u32,
    /// Tokens of text it reads, without start and end marks.
    pub context_tokens: u32,
    /// `epsilon` or `v_prediction`.
    pub prediction: String,
    /// Whether the UNet takes mask and masked picture (9 channels).
    pub inpainting: bool,
    /// Whether it changes a picture that it is given (InstructPix2Pix, 8 channels).
    #[serde(default)]
    pub edits: bool,
    /// How it is stored, and what lies beside it.
    #[serde(default)]
    pub storage: Storage,
    /// What to start with.
    pub defaults: Defaults,
}

impl ModelInfo {
    /// What A1111 and its kin call the model's hash: the first ten digits of its file's SHA-256.
    /// `None` for folders, which they do not load, and until the hash is computed.
    pub fn short_hash(&self) -> Option<&str> {
        let whole = self.storage.format != FOLDER_FORMAT;
        self.sha256.as_deref().filter(|_| whole)?.get(..10)
    }
}

impl ModelInfo {
    /// Why this model cannot take over from `first` at low noise, as far as the catalogue knows.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn check_refines(&self, first: &Self) -> Result<(), &'static str> {
        let latents = |model: &Self| {
            let LatentFacts {
                channels, space, ..
            } = model.storage.latents;
            (channels, space, model.multiple_px)
        };
        if latents(self) != latents(first) {
            return Err(
                "its latents are of another kind than the model's: choose one of the same family",
            );
        }
        if self.inpainting || self.edits {
            return Err(
                "a model for inpainting or for changing pictures cannot refine: choose another",
            );
        }
        Ok(())
    }
}

/// [`Storage::format`] of a folder in the diffusers layout.
pub const FOLDER_FORMAT: &str = "diffusers";

/// How a model is stored, and what lies beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// [`FOLDER_FORMAT`], or the file's: `safetensors`, `ckpt`, `gguf`.
    pub format: String,
    /// Family and version for people: `Stable Diffusion 2.x inpainting`…
    pub variant: String,
    /// The number type that holds most of it: `f32`, `f16`, `bf16`, `f8_e4m3`, `q4_k`…
    pub precision: String,
    /// Bytes of its text encoders.
    pub text_bytes: u64,
    /// Bytes of its denoising network.
    pub network_bytes: u64,
    /// What autoencoders may stand in for its own.
    pub latents: LatentFacts,
    /// A picture of what it does.
    pub preview: Option<PathBuf>,
    /// Notes of its owner; may be empty.
    pub notes: String,
    /// What was inferred about it and why, and what in its files was left alone.
    pub inferred: Vec<String>,
    /// What its file does not hold and another model lends; `None` for whole models.
    pub borrowed: Option<Borrowed>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            format: FOLDER_FORMAT.to_owned(),
            variant: String::new(),
            precision: String::new(),
            text_bytes: 0,
            network_bytes: 0,
            latents: LatentFacts::default(),
            preview: None,
            notes: String::new(),
            inferred: Vec::new(),
            borrowed: None,
        }
    }
}

/// What to start with for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// Sampling steps.
    pub steps: u32,
    /// Guidance scale.
    pub guidance: f64,
    /// Sampler id.
    pub sampler: String,
    /// Schedule id.
    pub schedule: String,
    /// Prompts that show what it can do; may be empty.
    #[serde(default)]
    pub example_prompts: Vec<String>,
}

/// A folder or file that looks like a model but cannot be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelProblem {
    /// The folder or file.
    pub path: PathBuf,
    /// Why.
    pub error: EngineError,
}

/// An entry of a menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Stable id, as in recipes and on the command line.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// One sentence on when to choose it.
    pub hint: String,
}
