//! `dpmpp_2s_ancestral`: the second-order singlestep DPM-Solver++ (Lu et al. 2022b, algorithm 1 with
//! r = 1/2), a bit too far down, then up again with fresh noise, as k-diffusion's
//! `sample_dpmpp_2s_ancestral`.

use super::ancestral::{down_and_up, half_way, land};
use super::{SamplerSpec, Trajectory, Uses, Walk, draw, move_towards, sigmas_ve};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpmpp_2s_ancestral",
    label: "DPM++ 2S ancestral",
    hint: "Second order with fresh noise: lively and detailed, for twice the time of Euler ancestral.",
    class: ReferenceClass::KDiffusion,
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
        let (from, to) = sigmas_ve(step);
        let (down, up) = down_and_up(from, to, trajectory.eta);
        if down == 0.0 {
            let moved = move_towards(&latents, &x0, step)?;
            latents = trajectory.arrive(index, moved, &x0, observer)?;
            continue;
        }
        let middle = half_way(trajectory, step, down);
        let guess = move_towards(
            &latents,
            &x0,
            &Step {
                from: step.from,
                to: middle,
            },
        )?;
        let guess = observer.on_level(guess, &middle)?;
        let x0_there = denoiser.denoise(&guess, &middle)?;
        let fresh = draw(noise, &latents)?;
        let up = up * trajectory.knobs.s_noise;
        let moved = land(
            [&step.from, &step.to],
            [down, up],
            &latents,
            &x0_there,
            &fresh,
        )?;
        latents = trajectory.arrive(index, moved, &x0_there, observer)?;
    }
    Ok(latents)
}
