//! `dpmpp_sde`: the stochastic second-order singlestep DPM-Solver++ (r = 1/2), as k-diffusion's
//! `sample_dpmpp_sde` and diffusers' `DPMSolverSDEScheduler`.

use super::ancestral::{down_and_up, half_way, land};
use super::{SamplerSpec, Trajectory, Uses, Walk, draw_between, move_towards, sigmas_ve};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpmpp_sde",
    label: "DPM++ SDE",
    hint: "Crisp, photographic pictures in 8 to 15 steps, each twice the time of DPM++ 2M's.",
    class: ReferenceClass::KDiffusion,
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
    let s_noise = trajectory.knobs.s_noise;
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        if step.to.sigma == 0.0 {
            let moved = move_towards(&latents, &x0, step)?;
            latents = trajectory.arrive(index, moved, &x0, observer)?;
            continue;
        }
        let (from, to) = sigmas_ve(step);
        let middle = half_way(trajectory, step, to);
        let (down, up) = down_and_up(from, middle.sigma_ve(), trajectory.eta);
        let fresh = draw_between(noise, &latents, &step.from, &middle)?;
        let way = [&step.from, &middle];
        let guess = land(way, [down, up * s_noise], &latents, &x0, &fresh)?;
        let guess = observer.on_level(guess, &middle)?;
        let x0_there = denoiser.denoise(&guess, &middle)?;

        let (down, up) = down_and_up(from, to, trajectory.eta);
        let fresh = draw_between(noise, &latents, &step.from, &step.to)?;
        let way = [&step.from, &step.to];
        let moved = land(way, [down, up * s_noise], &latents, &x0_there, &fresh)?;
        latents = trajectory.arrive(index, moved, &x0_there, observer)?;
    }
    Ok(latents)
}
