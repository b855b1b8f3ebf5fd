//! `dpm_2_ancestral`: DPM2's steps, a bit too far down, then up again with fresh noise, as k-diffusion's
//! `sample_dpm_2_ancestral`.

use super::ancestral::{down_and_up, half_way};
use super::dpm_2::slope;
use super::{SamplerSpec, Trajectory, Uses, Walk, draw, move_towards, sigmas_ve};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpm_2_ancestral",
    label: "DPM2 ancestral",
    hint: "DPM2 with fresh noise in every step: rich detail, keeps changing with more steps.",
    class: ReferenceClass::KDiffusion,
    uses: Uses::ANCESTRAL,
    walk: Walk::WithoutPenultimate,
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
        let [of_guess, of_x0] = slope(&middle, down - from);
        let fresh = draw(noise, &latents)?;
        let alpha = step.to.alpha;
        let moved = Latents::combine(&[
            (alpha / step.from.alpha, &latents),
            (alpha * of_guess, &guess),
            (alpha * of_x0, &x0_there),
            (alpha * up * trajectory.knobs.s_noise, &fresh),
        ])?;
        latents = trajectory.arrive(index, moved, &x0_there, observer)?;
    }
    Ok(latents)
}
