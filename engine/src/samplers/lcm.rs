//! `lcm`: multistep consistency sampling (Luo et al. 2023, algorithm 3), as diffusers'
//! `LCMScheduler`: each step jumps to the clean end, then back up with fresh noise.

use super::{SamplerSpec, Trajectory, Uses, Walk, clipped, draw};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "lcm",
    label: "LCM",
    hint: "For latent consistency models: 1 to 8 steps with guidance near 1.",
    class: ReferenceClass::Lcm,
    uses: Uses::NOTHING,
    walk: Walk::Scheduled,
    sample,
};

/// Standard deviation of the data that the boundary condition assumes.
const SIGMA_DATA: f64 = 0.5;

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = clipped(denoiser.denoise(&latents, &step.from)?, trajectory)?;
        let (skip, out) = boundary(step.from.timestep * trajectory.timestep_scaling);
        let clean = Latents::combine(&[(out, &x0), (skip, &latents)])?;
        let moved = if trajectory.is_last(index) {
            clean.clone()
        } else {
            let fresh = draw(noise, &latents)?;
            Latents::combine(&[(step.to.alpha, &clean), (step.to.sigma, &fresh)])?
        };
        latents = trajectory.arrive(index, moved, &clean, observer)?;
    }
    Ok(latents)
}

/// `c_skip` and `c_out` (appendix C), which make the result the latents themselves at time 0.
fn boundary(scaled_timestep: f64) -> (f64, f64) {
    let variance = SIGMA_DATA * SIGMA_DATA;
    let total = scaled_timestep * scaled_timestep + variance;
    (variance / total, scaled_timestep / total.sqrt())
}
