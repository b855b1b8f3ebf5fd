//! Model families: architectures that the engine can run. A family is a folder and one line in
//! [`FAMILIES`]; nothing else names it.

pub mod config;
pub mod model;
pub mod replay;
pub mod reuse;
pub mod single;
pub mod stable_diffusion;

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::nn::Compute;
use crate::prompt::tokenizer::Tokenizer;
use crate::weights::files::ModelFiles;
use crate::weights::single::SingleFile;
use model::{Autoencoder, Model, ModelFacts, StandIn};
use single::{Beside, Made};

/// An architecture.
pub struct FamilySpec {
    /// Stable id.
    pub id: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// Pipeline classes of `model_index.json` that it runs.
    pub pipelines: &'static [&'static str],
    /// The diffusers folder that a model in one file stands for, what it does not hold lent by another
    /// model; `None` when it is of another family.
    pub single: fn(&SingleFile, &Beside, Option<&ModelFiles>) -> Option<Result<Made>>,
    /// Reads configuration files and the headers of all weights.
    pub inspect: fn(&ModelFiles) -> Result<ModelFacts>,
    /// Reads the tokenizer alone, to count tokens.
    pub tokenizer: fn(&ModelFiles) -> Result<Tokenizer>,
    /// Opens and checks everything. Weights are read when they are needed: [`Model::fetch`].
    pub load: fn(&ModelFiles, &Compute, &CancelToken) -> Result<Box<dyn Model>>,
    /// Opens an autoencoder in a file of its own, in place of that of one of its models; refuses one of
    /// other latents.
    pub stand_in: fn(&StandIn<'_>, &Compute, &CancelToken) -> Result<Box<dyn Autoencoder>>,
}

/// Every family, in order of preference.
pub static FAMILIES: &[FamilySpec] = &[stable_diffusion::SPEC];

/// The family that runs a model, by its `model_index.json`.
///
/// # Errors
/// `BadFile` when the index is missing or broken, `UnsupportedModel` when no family runs it.
pub fn identify(files: &ModelFiles) -> Result<&'static FamilySpec> {
    let index = files.config("model_index.json")?;
    let class = index
        .get("_class_name")
        .and_then(|class| class.as_str())
        .unwrap_or("nothing");
    let family = FAMILIES
        .iter()
        .find(|family| family.pipelines.contains(&class));
    family.ok_or_else(|| {
        let known: Vec<&str> = FAMILIES
            .iter()
            .flat_map(|family| family.pipelines)
            .copied()
            .collect();
        EngineError::UnsupportedModel {
            path: files.label("model_index.json"),
            found: format!("“_class_name” is {class}"),
            remedy: format!("this version runs {}", known.join(", ")),
        }
    })
}
