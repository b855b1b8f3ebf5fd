//! Samplers: the update rules that walk latents from noise to a picture. A registry; one rule a file.
//!
//! A sampler is a function of (denoiser, latents, trajectory, noise source, observer). It knows no
//! model family and keeps no state between runs. All work on `alpha * x0 + sigma * epsilon` with
//! alpha² + sigma² = 1, also those that are usually written for `x0 + sigma * epsilon` (divide by
//! alpha to get there), so a model with zero terminal SNR needs no infinite sigma.

mod ancestral;
mod churn;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod contract_knobs;
mod ddim;
mod ddpm;
mod dpm_2;
mod dpm_2_ancestral;
mod dpmpp;
mod dpmpp_2m;
mod dpmpp_2m_sde;
mod dpmpp_2s_ancestral;
mod dpmpp_3m_sde;
mod dpmpp_sde;
mod euler;
mod euler_a;
mod heun;
mod lcm;
mod lms;
mod restart;
mod tcd;
mod trajectory;
mod uni_pc;
mod uses;

pub use trajectory::{Trajectory, trajectory};
pub use uses::{Uses, Walk};

use crate::denoiser::{Denoiser, Level, Observer};
use crate::error::{EngineError, Result};
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

/// Runs a sampler from latents at the trajectory's first level to finished latents, ready for the
/// decoder.
pub type Sample = fn(
    denoiser: &mut dyn Denoiser,
    latents: Latents,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents>;

/// A sampler by name.
pub struct SamplerSpec {
    /// Stable id, as in recipes and on the command line (k-diffusion's names).
    pub id: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// One sentence on when to choose it.
    pub hint: &'static str,
    /// Whose numbers it gives: those of a class of diffusers, or of k-diffusion.
    pub class: ReferenceClass,
    /// Which of a recipe's knobs it uses.
    pub uses: Uses,
    /// How it walks a schedule.
    pub walk: Walk,
    /// The update rule.
    pub sample: Sample,
}

/// Every sampler, in menu order.
pub static SAMPLERS: &[SamplerSpec] = &[
    dpmpp_2m::SPEC,
    dpmpp_2m_sde::SPEC,
    dpmpp_3m_sde::SPEC,
    dpmpp_sde::SPEC,
    dpmpp_2s_ancestral::SPEC,
    euler::SPEC,
    euler_a::SPEC,
    heun::SPEC,
    uni_pc::SPEC,
    dpm_2::SPEC,
    dpm_2_ancestral::SPEC,
    lms::SPEC,
    restart::SPEC,
    ddim::SPEC,
    ddpm::SPEC,
    lcm::SPEC,
    tcd::SPEC,
];

/// The sampler of that id.
///
/// # Errors
/// `InvalidRequest` on `sampler`, listing the known ids.
pub fn find(id: &str) -> Result<&'static SamplerSpec> {
    SAMPLERS.iter().find(|spec| spec.id == id).ok_or_else(|| {
        let known: Vec<&str> = SAMPLERS.iter().map(|spec| spec.id).collect();
        EngineError::invalid(
            "sampler",
            format!("“{id}” is unknown; known: {}", known.join(", ")),
        )
    })
}

/// Fresh standard-normal latents of the same shape and device.
fn draw(noise: &mut dyn NoiseSource, like: &Latents) -> Result<Latents> {
    let values = noise.standard_normal(like.len());
    Latents::from_values(values, like.shape(), like.tensor().device())
}

/// Noise for a step between two levels, of the same shape and device as `like`: fresh, or from a path.
fn draw_between(
    noise: &mut dyn NoiseSource,
    like: &Latents,
    from: &Level,
    to: &Level,
) -> Result<Latents> {
    let values = noise.between(like.len(), from.sigma_ve(), to.sigma_ve());
    Latents::from_values(values, like.shape(), like.tensor().device())
}

/// One first-order step with x0 held fixed: `alpha' x0 + sigma' epsilon`, where epsilon is what
/// `latents` hold besides x0. Euler's, DDIM's and first-order DPM-Solver++'s update are all this one.
fn move_towards(latents: &Latents, x0: &Latents, step: &Step) -> Result<Latents> {
    let keep = step.to.sigma / step.from.sigma;
    Latents::combine(&[
        (keep, latents),
        (step.to.alpha - step.from.alpha * keep, x0),
    ])
}

/// x0 within the bounds that the model's scheduler config sets, if any.
fn clipped(x0: Latents, trajectory: &Trajectory) -> Result<Latents> {
    match trajectory.clip {
        Some(limit) => x0.clamped(limit),
        None => Ok(x0),
    }
}

/// sigma / alpha as f64 of both ends of a step.
fn sigmas_ve(step: &Step) -> (f64, f64) {
    (step.from.sigma_ve(), step.to.sigma_ve())
}

/// What k-diffusion and diffusers call lambda, infinite at the clean end.
fn lambda(level: &Level) -> f64 {
    if level.sigma == 0.0 {
        f64::INFINITY
    } else {
        level.lambda()
    }
}
