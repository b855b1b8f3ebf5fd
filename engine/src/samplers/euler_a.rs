//! `euler_a`: Euler steps that go a bit too far down and add fresh noise to come back up, as
//! k-diffusion's ancestral sampler and diffusers' `EulerAncestralDiscreteScheduler`.

use super::ancestral::down_and_up;
use super::{SamplerSpec, Trajectory, Uses, Walk, draw, sigmas_ve};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "euler_a",
    label: "Euler ancestral",
    hint: "Fresh noise in every step: varied and soft, keeps changing with more steps.",
    class: ReferenceClass::EulerAncestral,
    uses: Uses::ANCESTRAL,
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
        // Also drawn for the last step, where its share is 0: the reference does, and whoever goes
        // on with the same generator gets the same numbers.
        let fresh = draw(noise, &latents)?;
        let [of_latents, of_x0, of_noise] = coefficients(step, trajectory.eta);
        let of_noise = of_noise * trajectory.knobs.s_noise;
        let moved = Latents::combine(&[(of_latents, &latents), (of_x0, &x0), (of_noise, &fresh)])?;
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// Coefficients of latents, x0 and fresh noise.
fn coefficients(step: &Step, eta: f64) -> [f64; 3] {
    let (from, to) = sigmas_ve(step);
    let (down, up) = down_and_up(from, to, eta);
    let alpha = step.to.alpha;
    [
        alpha * down / step.from.sigma,
        alpha * (1.0 - down / from),
        alpha * up,
    ]
}
