//! `dpmpp_2m_sde`: the stochastic second-order multistep DPM-Solver++ (Lu et al. 2022, appendix B),
//! as diffusers' `DPMSolverMultistepScheduler` with `sde-dpmsolver++`.

use super::dpmpp::{Memory, Stride};
use super::{SamplerSpec, Trajectory, draw};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpmpp_2m_sde",
    label: "DPM++ 2M SDE",
    hint: "Fresh noise in every step: rich detail at 25 steps and more.",
    class: ReferenceClass::DpmMultistep,
    sample,
};

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    let mut memory = Memory::default();
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        // Also drawn where its share is 0, as the reference does.
        let fresh = draw(noise, &latents)?;
        let stride = Stride::of(step);
        let decay_squared = stride.decay * stride.decay;
        let keep = step.to.sigma / step.from.sigma * stride.decay;
        let gain = step.to.alpha * (1.0 - decay_squared);
        let spread = step.to.sigma * (1.0 - decay_squared).max(0.0).sqrt();
        let moved = match memory.second_order(trajectory, index, &stride) {
            None => Latents::combine(&[(keep, &latents), (gain, &x0), (spread, &fresh)])?,
            Some((before, ratio)) => {
                let bend = if trajectory.dpm.heun {
                    step.to.alpha * ((decay_squared - 1.0) / (2.0 * stride.h) + 1.0)
                } else {
                    0.5 * gain
                };
                let bend = bend * ratio;
                Latents::combine(&[
                    (keep, &latents),
                    (gain + bend, &x0),
                    (-bend, before),
                    (spread, &fresh),
                ])?
            }
        };
        memory.keep(step, x0.clone());
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}
