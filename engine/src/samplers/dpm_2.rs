//! `dpm_2`: DPM-Solver-2's midpoint in ln(sigma) on Karras's ODE (Lu et al. 2022, algorithm 1), as
//! k-diffusion's `sample_dpm_2`.

use super::ancestral::half_way;
use super::churn::churned;
use super::{SamplerSpec, Trajectory, Uses, Walk, move_towards, sigmas_ve};
use crate::denoiser::{Denoiser, Level, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpm_2",
    label: "DPM2",
    hint: "Looks half a step ahead: finer than Euler at the same steps, for twice the time.",
    class: ReferenceClass::KDiffusion,
    uses: Uses::CHURN,
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
        let (churned, step) = churned(trajectory, step, latents, noise)?;
        let x0 = denoiser.denoise(&churned, &step.from)?;
        if step.to.sigma == 0.0 {
            let moved = move_towards(&churned, &x0, &step)?;
            latents = trajectory.arrive(index, moved, &x0, observer)?;
            continue;
        }
        let middle = half_way(trajectory, &step, step.to.sigma_ve());
        let guess = move_towards(
            &churned,
            &x0,
            &Step {
                from: step.from,
                to: middle,
            },
        )?;
        let guess = observer.on_level(guess, &middle)?;
        let x0_there = denoiser.denoise(&guess, &middle)?;
        let (from, to) = sigmas_ve(&step);
        let [of_guess, of_x0] = slope(&middle, to - from);
        let alpha = step.to.alpha;
        let moved = Latents::combine(&[
            (alpha / step.from.alpha, &churned),
            (alpha * of_guess, &guess),
            (alpha * of_x0, &x0_there),
        ])?;
        latents = trajectory.arrive(index, moved, &x0_there, observer)?;
    }
    Ok(latents)
}

/// Coefficients of latents and x0 at level `at` that make `distance` times the slope there,
/// `(x - x0) / s` with x = latents / alpha and s = sigma / alpha.
pub(super) fn slope(at: &Level, distance: f64) -> [f64; 2] {
    [distance / at.sigma, -distance / at.sigma_ve()]
}
