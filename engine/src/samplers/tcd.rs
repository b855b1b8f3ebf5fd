//! `tcd`: trajectory consistency distillation (Zheng et al. 2024, algorithm 4), as diffusers'
//! `TCDScheduler`: each step jumps below its target, then back up to it with fresh noise.

use super::{SamplerSpec, Trajectory, Uses, Walk, draw, move_towards};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "tcd",
    label: "TCD",
    hint: "For TCD and Hyper models: 1 to 8 steps; a larger eta mends what few steps spoil.",
    class: ReferenceClass::Tcd,
    uses: Uses {
        // The paper's gamma.
        eta: Some(0.3),
        ..Uses::ANCESTRAL
    },
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
    let eta = trajectory.eta;
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let moved = if eta == 0.0 || trajectory.is_last(index) {
            move_towards(&latents, &x0, step)?
        } else {
            let below = ((1.0 - eta) * step.to.timestep).floor() as usize;
            let below = trajectory.levels.at_timestep(below);
            let jumped = move_towards(
                &latents,
                &x0,
                &Step {
                    from: step.from,
                    to: below,
                },
            )?;
            let fresh = draw(noise, &latents)?;
            let keep = (step.to.alpha / below.alpha).min(1.0);
            let spread = (1.0 - keep * keep).sqrt() * trajectory.knobs.s_noise;
            Latents::combine(&[(keep, &jumped), (spread, &fresh)])?
        };
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}
