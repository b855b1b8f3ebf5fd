//! `ddim`: the implicit sampler (Song et al. 2021, equation 12), deterministic unless eta is raised,
//! as diffusers' `DDIMScheduler`.

use super::{SamplerSpec, Trajectory, Uses, Walk, clipped, draw};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "ddim",
    label: "DDIM",
    hint: "The classic; exact for models with zero terminal SNR.",
    class: ReferenceClass::Ddim,
    uses: Uses {
        eta: Some(0.0),
        ..Uses::ANCESTRAL
    },
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
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let (keep, spread) = shares(step, trajectory.eta);
        // Where x0 is clipped, the noise is still taken from the unclipped one, as in the reference.
        let kept = x0.clone();
        let x0 = clipped(x0, trajectory)?;
        let mut moved = Latents::combine(&[
            (keep, &latents),
            (-step.from.alpha * keep, &kept),
            (step.to.alpha, &x0),
        ])?;
        if trajectory.eta > 0.0 {
            let fresh = draw(noise, &latents)?;
            let spread = spread * trajectory.knobs.s_noise;
            moved = Latents::combine(&[(1.0, &moved), (spread, &fresh)])?;
        }
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// The share of the old noise that is kept, and the deviation of the fresh noise (equation 16).
fn shares(step: &Step, eta: f64) -> (f64, f64) {
    let keep = step.to.sigma / step.from.sigma;
    if eta == 0.0 {
        return (keep, 0.0);
    }
    let added = 1.0 - (step.from.alpha / step.to.alpha).powi(2);
    let fresh = eta * keep * added.max(0.0).sqrt();
    let old = (step.to.sigma.powi(2) - fresh * fresh).max(0.0).sqrt();
    (old / step.from.sigma, fresh)
}
