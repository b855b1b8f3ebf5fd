//! `dpmpp_3m_sde`: the stochastic third-order multistep DPM-Solver++, as k-diffusion's
//! `sample_dpmpp_3m_sde`.

use super::dpmpp::Stride;
use super::{SamplerSpec, Trajectory, Uses, Walk, draw_between, lambda, move_towards};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "dpmpp_3m_sde",
    label: "DPM++ 3M SDE",
    hint: "Fresh noise with a long memory: smooth, rich pictures at 30 steps and more.",
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
    // The two steps before, the latest first: their lambda and x0.
    let mut memory: Vec<(f64, Latents)> = Vec::new();
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let moved = if step.to.sigma == 0.0 {
            move_towards(&latents, &x0, step)?
        } else {
            let fresh = draw_between(noise, &latents, &step.from, &step.to)?;
            let weights = Weights::of(step, trajectory.eta, &memory);
            let spread = weights.spread * trajectory.knobs.s_noise;
            let mut terms = vec![
                (weights.of_latents, &latents),
                (weights.of_x0[0], &x0),
                (spread, &fresh),
            ];
            let before = memory.iter().zip(&weights.of_x0[1..]);
            terms.extend(before.map(|((_, x0), weight)| (*weight, x0)));
            Latents::combine(&terms)?
        };
        let here = lambda(&step.from);
        // A step that stays on its level gives no slope.
        memory.retain(|(before, _)| *before != here);
        memory.insert(0, (here, x0.clone()));
        memory.truncate(2);
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// A step's coefficients; those of x0 with the newest first.
struct Weights {
    of_latents: f64,
    of_x0: [f64; 3],
    spread: f64,
}

impl Weights {
    fn of(step: &Step, eta: f64, memory: &[(f64, Latents)]) -> Self {
        let stride = Stride::of(step);
        let alpha = step.to.alpha;
        let decay_eta = stride.decay.powf(eta);
        let decay = stride.decay * decay_eta;
        let h = stride.h;
        let mut of_x0 = [alpha * (1.0 - decay), 0.0, 0.0];
        let mut add = |weight: f64, slope: [f64; 3]| {
            for (sum, part) in of_x0.iter_mut().zip(slope) {
                *sum += alpha * weight * part;
            }
        };
        let h_eta = h * (1.0 + eta);
        let phi_2 = (decay - 1.0) / h_eta + 1.0;
        let here = lambda(&step.from);
        // The divided differences of x0 over lambda, in units of this step's h.
        match memory {
            _ if h == 0.0 => {}
            [] => {}
            [(before, _)] => {
                let r = (here - before) / h;
                add(phi_2, [1.0 / r, -1.0 / r, 0.0]);
            }
            [(before, _), (earlier, _), ..] => {
                let (r0, r1) = ((here - before) / h, (before - earlier) / h);
                let phi_3 = phi_2 / h_eta - 0.5;
                let near = [1.0 / r0, -1.0 / r0, 0.0];
                let far = [0.0, 1.0 / r1, -1.0 / r1];
                let bend: [f64; 3] = std::array::from_fn(|i| (near[i] - far[i]) / (r0 + r1));
                let slope = std::array::from_fn(|i| near[i] + bend[i] * r0);
                add(phi_2, slope);
                add(-phi_3, bend);
            }
        }
        Self {
            of_latents: step.to.sigma / step.from.sigma * decay_eta,
            of_x0,
            spread: step.to.sigma * (1.0 - decay_eta * decay_eta).max(0.0).sqrt(),
        }
    }
}
