//! Schedules: which noise levels a run visits. A registry of named rules, each a file, over the
//! model's own [`NoiseTable`].
//!
//! Where the sampler's class in diffusers knows the schedule (`model` always, `karras` and
//! `exponential` for Euler, Heun, DPM++ and UniPC), the levels are those of that class, bit for bit in f32.
//! Where it does not, they are k-diffusion's and ComfyUI's, computed from the whole table.

mod align_your_steps;
mod beta;
mod class;
mod config;
mod exponential;
mod fields;
mod karras;
mod kl_optimal;
mod levels;
mod linear_quadratic;
mod model;
mod normal;
mod polyexponential;
mod sgm_uniform;
mod simple;
mod solver;
mod spacing;
mod table;
mod typed;

pub use class::ReferenceClass;
pub use config::{DdpmNoise, NoiseTable, PipelineRules, Prediction, Spacing};
pub(crate) use karras::sigmas as karras_sigmas;
pub use levels::LevelTable;
pub use solver::{DpmOptions, UniPcOptions};
pub use table::ClassTable;
pub(crate) use table::level_of_sigma;
pub(crate) use typed::steps as typed_steps;

use crate::denoiser::Level;
use crate::error::{EngineError, Result};

/// A schedule by name.
pub struct ScheduleSpec {
    /// Stable id, as in recipes and on the command line.
    pub id: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// One sentence on when to choose it.
    pub hint: &'static str,
    /// All steps of a run of that many, noisiest first.
    pub(crate) steps: fn(&ClassTable<'_>, usize) -> Result<Vec<Step>>,
}

/// Every schedule, in menu order; the first is the default.
pub static SCHEDULES: &[ScheduleSpec] = &[
    model::SPEC,
    karras::SPEC,
    exponential::SPEC,
    polyexponential::SPEC,
    simple::SPEC,
    normal::SPEC,
    sgm_uniform::SPEC,
    beta::SPEC,
    kl_optimal::SPEC,
    align_your_steps::SPEC,
    linear_quadratic::SPEC,
];

/// The schedule of that id.
///
/// # Errors
/// `InvalidRequest` on `schedule`, listing the known ids.
pub fn find(id: &str) -> Result<&'static ScheduleSpec> {
    SCHEDULES.iter().find(|spec| spec.id == id).ok_or_else(|| {
        let known: Vec<&str> = SCHEDULES.iter().map(|spec| spec.id).collect();
        EngineError::invalid(
            "schedule",
            format!("“{id}” is unknown; known: {}", known.join(", ")),
        )
    })
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The level the network is asked at.
    pub from: Level,
    /// The level the update aims at. Usually the next step's `from`; diffusers' DDIM, however, aims
    /// a whole stride of training steps down, wherever the next step begins.
    pub to: Level,
}

/// Steps through `levels`, then to `last`.
fn chain(levels: &[Level], last: Level) -> Vec<Step> {
    let targets = levels.iter().skip(1).copied().chain([last]);
    levels
        .iter()
        .zip(targets)
        .map(|(&from, to)| Step { from, to })
        .collect()
}

/// Steps through sigmas (f32 values as diffusers and k-diffusion keep them) and their timesteps,
/// then to `last`.
fn chain_of_sigmas(points: impl IntoIterator<Item = (f64, f64)>, last: Level) -> Vec<Step> {
    let levels: Vec<Level> = points
        .into_iter()
        .map(|(sigma, timestep)| level_of_sigma(sigma as f32, timestep))
        .collect();
    chain(&levels, last)
}
