//! `ddim`: the deterministic implicit sampler (Song et al. 2021, equation 12 with eta = 0), as
//! diffusers' `DDIMScheduler`.

use super::{SamplerSpec, Trajectory, clipped};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "ddim",
    label: "DDIM",
    hint: "The classic; exact for models with zero terminal SNR.",
    class: ReferenceClass::Ddim,
    sample,
};

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    _noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let keep = step.to.sigma / step.from.sigma;
        // Where x0 is clipped, the noise is still taken from the unclipped one, as in the reference.
        let kept = x0.clone();
        let x0 = clipped(x0, trajectory)?;
        let moved = Latents::combine(&[
            (keep, &latents),
            (-step.from.alpha * keep, &kept),
            (step.to.alpha, &x0),
        ])?;
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}
