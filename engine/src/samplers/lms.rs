//! `lms`: the fourth-order linear multistep method of Adams and Bashforth on Karras's ODE, as
//! k-diffusion's `sample_lms` and diffusers' `LMSDiscreteScheduler`.

use super::{SamplerSpec, Trajectory, Uses, Walk, sigmas_ve};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::ReferenceClass;

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "lms",
    label: "LMS",
    hint: "Remembers four steps; for 50 steps and more, DPM++ 2M needs fewer.",
    class: ReferenceClass::KDiffusion,
    uses: Uses::NOTHING,
    walk: Walk::Scheduled,
    sample,
};

/// Slopes that a step takes into account, its own included.
const ORDER: usize = 4;

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    _noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    // sigma / alpha and slope of the steps before, the latest first.
    let mut memory: Vec<(f64, Latents)> = Vec::new();
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let (from, to) = sigmas_ve(step);
        // A step that stays on its level has the slope of the one before anew.
        memory.retain(|(sigma, _)| *sigma != from);
        memory.truncate(ORDER - 1);
        let mut known = vec![from];
        known.extend(memory.iter().map(|(sigma, _)| *sigma));
        let weights = weights(&known, to);
        let alpha = step.to.alpha;
        // This step's own slope is (latents / alpha - x0) / s: put in here, where the largest terms
        // cancel exactly.
        let mut terms = vec![
            (alpha * (from + weights[0]) / step.from.sigma, &latents),
            (-alpha * weights[0] / from, &x0),
        ];
        let before = memory.iter().zip(&weights[1..]);
        terms.extend(before.map(|((_, slope), weight)| (alpha * weight, slope)));
        let moved = Latents::combine(&terms)?;
        let slope = Latents::combine(&[(1.0 / step.from.sigma, &latents), (-1.0 / from, &x0)])?;
        memory.insert(0, (from, slope));
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// The integrals from `known[0]` to `to` of the Lagrange polynomials through the known points (at
/// most four, all different), by the two-point rule of Gauss, which is exact for them.
fn weights(known: &[f64], to: f64) -> Vec<f64> {
    let from = known[0];
    let (centre, half) = (0.5 * (from + to), 0.5 * (to - from));
    let points = [-1.0, 1.0].map(|side| centre + side * half / 3.0_f64.sqrt());
    let polynomial = |at: usize, point: f64| -> f64 {
        let others = known.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .map(|(_, sigma)| (point - sigma) / (known[at] - sigma))
            .product()
    };
    (0..known.len())
        .map(|at| {
            half * points
                .iter()
                .map(|&point| polynomial(at, point))
                .sum::<f64>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_are_integrated_exactly() {
        let known = [3.0, 4.5, 7.0, 11.0];
        let cubic = |x: f64| 2.0 * x.powi(3) - x * x + 0.5 * x - 4.0;
        let antiderivative = |x: f64| 0.5 * x.powi(4) - x.powi(3) / 3.0 + 0.25 * x * x - 4.0 * x;
        let weights = weights(&known, 1.25);
        let sum: f64 = known.iter().zip(weights).map(|(x, w)| w * cubic(*x)).sum();
        let want = antiderivative(1.25) - antiderivative(3.0);
        assert!((sum - want).abs() < 1e-10, "{sum} is not {want}");
    }
}
