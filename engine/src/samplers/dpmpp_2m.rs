//! `dpmpp_2m`: the second-order multistep DPM-Solver++ (Lu et al. 2022, algorithm 2), as diffusers'
//! `DPMSolverMultistepScheduler` with `dpmsolver++`.

use super::dpmpp::{Memory, Stride};
use super::{SamplerSpec, Trajectory, Uses, Walk};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpmpp_2m",
    label: "DPM++ 2M",
    hint: "Good pictures in 15 to 25 steps; a fine default.",
    class: ReferenceClass::DpmMultistep,
    uses: Uses::NOTHING,
    walk: Walk::Scheduled,
    sample,
};

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    _noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    let mut memory = Memory::default();
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let stride = Stride::of(step);
        let keep = step.to.sigma / step.from.sigma;
        let gain = step.to.alpha * (1.0 - stride.decay);
        let moved = match memory.second_order(trajectory, index, &stride) {
            None => Latents::combine(&[(keep, &latents), (gain, &x0)])?,
            Some((before, ratio)) => {
                let bend = if trajectory.dpm.heun {
                    step.to.alpha * ((stride.decay - 1.0) / stride.h + 1.0)
                } else {
                    0.5 * gain
                };
                let bend = bend * ratio;
                Latents::combine(&[(keep, &latents), (gain + bend, &x0), (-bend, before)])?
            }
        };
        memory.keep(step, x0.clone());
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}
