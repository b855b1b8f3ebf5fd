//! `ddpm`: ancestral sampling of the original diffusion models (Ho et al. 2020, algorithm 2), as
//! diffusers' `DDPMScheduler`.

use super::{SamplerSpec, Trajectory, Uses, Walk, clipped, draw};
use crate::denoiser::{Denoiser, Level, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{DdpmNoise, ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "ddpm",
    label: "DDPM",
    hint: "The original, with all its noise: soft pictures that need 50 steps and more.",
    class: ReferenceClass::Ddpm,
    uses: Uses::NOTHING,
    walk: Walk::Scheduled,
    sample,
};

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = clipped(denoiser.denoise(&latents, &step.from)?, trajectory)?;
        let fresh = draw(noise, &latents)?;
        let [of_latents, of_x0, spread] = posterior(step, trajectory.ddpm_noise);
        let moved = Latents::combine(&[(of_latents, &latents), (of_x0, &x0), (spread, &fresh)])?;
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// Coefficients of latents and x0, and the noise's deviation (equations 6 and 7). The last step adds
/// none.
fn posterior(step: &Step, noise: DdpmNoise) -> [f64; 3] {
    let Step { from, to } = step;
    let variance = |level: &Level| level.sigma * level.sigma;
    let kept = (from.alpha / to.alpha).powi(2);
    let added = (1.0 - kept).max(0.0);
    let share = variance(to) / variance(from);
    let spread = match noise {
        _ if to.sigma == 0.0 => 0.0,
        DdpmNoise::Small => (share * added).sqrt(),
        DdpmNoise::Large => added.sqrt(),
    };
    [
        from.alpha / to.alpha * share,
        to.alpha * added / variance(from),
        spread,
    ]
}
