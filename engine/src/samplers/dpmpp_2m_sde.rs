//! `dpmpp_2m_sde`: the stochastic second-order multistep DPM-Solver++ (Lu et al. 2022, appendix B),
//! as diffusers' `DPMSolverMultistepScheduler` with `sde-dpmsolver++` and, with another eta or a
//! Brownian path, k-diffusion's `sample_dpmpp_2m_sde`.

use super::dpmpp::{Memory, Stride};
use super::{SamplerSpec, Trajectory, Uses, Walk, draw_between};
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
    uses: Uses::SDE,
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
    let mut memory = Memory::default();
    let eta = trajectory.eta;
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        // Also drawn where its share is 0, as the reference does.
        let fresh = draw_between(noise, &latents, &step.from, &step.to)?;
        let stride = Stride::of(step);
        let decay_eta = stride.decay.powf(eta);
        let decay = stride.decay * decay_eta;
        let keep = step.to.sigma / step.from.sigma * decay_eta;
        let gain = step.to.alpha * (1.0 - decay);
        let spread = step.to.sigma * (1.0 - decay_eta * decay_eta).max(0.0).sqrt();
        let spread = spread * trajectory.knobs.s_noise;
        let moved = match memory.second_order(trajectory, index, &stride) {
            None => Latents::combine(&[(keep, &latents), (gain, &x0), (spread, &fresh)])?,
            Some((before, ratio)) => {
                let bend = if trajectory.dpm.heun {
                    step.to.alpha * ((decay - 1.0) / ((1.0 + eta) * stride.h) + 1.0)
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
