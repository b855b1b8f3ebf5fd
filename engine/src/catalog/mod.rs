//! Which models exist and what they are, from headers and config files alone.

pub mod hash;
pub mod matching;
pub mod scan;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// A snapshot of what can be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Usable models: built-in ones first, then by name.
    pub models: Vec<ModelInfo>,
    /// Folders that look like models but cannot be used, with the reason.
    pub problems: Vec<ModelProblem>,
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
    /// The folder; `None` for a model inside the program.
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
    /// What to start with.
    pub defaults: Defaults,
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

/// A folder that looks like a model but cannot be used.
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
