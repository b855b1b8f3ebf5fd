//! `euler`: Euler's method on the probability-flow ODE (Karras et al. 2022, algorithm 2 in its first
//! order), as diffusers' `EulerDiscreteScheduler`; its churn, where wanted, is k-diffusion's.

use super::churn::churned;
use super::{SamplerSpec, Trajectory, Uses, Walk, move_towards};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "euler",
    label: "Euler",
    hint: "Plain and predictable; the same picture grows sharper with more steps.",
    class: ReferenceClass::Euler,
    uses: Uses::CHURN,
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
        let (churned, step) = churned(trajectory, step, latents, noise)?;
        let x0 = denoiser.denoise(&churned, &step.from)?;
        let moved = move_towards(&churned, &x0, &step)?;
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}
