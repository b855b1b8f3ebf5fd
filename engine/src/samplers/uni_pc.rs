//! `uni_pc`: the unified predictor-corrector of any order (Zhao et al. 2023, algorithms 5 and 6 on
//! predicted x0), as diffusers' `UniPCMultistepScheduler`.

use super::dpmpp::Stride;
use super::{SamplerSpec, Trajectory, Uses, Walk, lambda};
use crate::denoiser::{Denoiser, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{ReferenceClass, Step};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "uni_pc",
    label: "UniPC",
    hint: "Corrects each step with the next call's result: good pictures in 8 to 15 steps.",
    class: ReferenceClass::UniPc,
    uses: Uses::NOTHING,
    walk: Walk::Scheduled,
    sample,
};

/// The latest steps first: their lambda and x0.
type Memory = Vec<(f64, Latents)>;

/// A step that was predicted and may be corrected.
struct Predicted {
    step: Step,
    order: usize,
    /// The latents it began with.
    start: Latents,
}

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    _noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    let options = &trajectory.uni_pc;
    let left_out = trajectory.planned.saturating_sub(trajectory.len());
    let mut memory = Memory::new();
    let mut before: Option<Predicted> = None;
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        if let Some(predicted) = before.take()
            && !options.uncorrected.contains(&(left_out + index - 1))
        {
            latents = moved(&predicted, &memory, Some(&x0), options.bh1)?;
        }
        let here = lambda(&step.from);
        // A step that stays on its level gives no slope.
        memory.retain(|(before, _)| *before != here);
        memory.insert(0, (here, x0.clone()));
        memory.truncate(trajectory.dpm.order);
        let most = if trajectory.dpm.lower_order_final {
            trajectory.len() - index
        } else {
            trajectory.len()
        };
        let predicted = Predicted {
            step: *step,
            order: memory.len().min(most),
            start: latents,
        };
        let next = moved(&predicted, &memory, None, options.bh1)?;
        before = Some(predicted);
        latents = trajectory.arrive(index, next, &x0, observer)?;
    }
    Ok(latents)
}

/// The end of a step: the prediction, or with `x0_there`, which the network saw in the prediction,
/// the correction. `memory` begins with the step's own x0.
fn moved(
    predicted: &Predicted,
    memory: &Memory,
    x0_there: Option<&Latents>,
    bh1: bool,
) -> Result<Latents> {
    let Predicted { step, order, start } = predicted;
    let stride = Stride::of(step);
    let gain = step.to.alpha * (1.0 - stride.decay);
    let mut of_x0 = gain;
    let mut terms = vec![(step.to.sigma / step.from.sigma, start)];
    let Some(((own_lambda, own), earlier)) = memory.split_first() else {
        return Latents::combine(&terms);
    };
    // To the clean end, and on one level, there is nothing to bend.
    if stride.h.is_finite() && stride.h != 0.0 {
        let earlier = &earlier[..earlier.len().min(order.saturating_sub(1))];
        // Where the x0 lie, in units of the step from its beginning; the end is 1.
        let mut places: Vec<f64> = earlier
            .iter()
            .map(|(lambda, _)| (lambda - own_lambda) / stride.h)
            .collect();
        let mut x0s: Vec<&Latents> = earlier.iter().map(|(_, x0)| x0).collect();
        if let Some(x0_there) = x0_there {
            places.push(1.0);
            x0s.push(x0_there);
        }
        let (scale, weights) = weights(&places, stride.h, bh1);
        for ((place, x0), weight) in places.iter().zip(x0s).zip(weights) {
            let weight = step.to.alpha * scale * weight / place;
            terms.push((weight, x0));
            of_x0 -= weight;
        }
    }
    terms.push((of_x0, own));
    Latents::combine(&terms)
}

/// `-B(h)`, and the weights of the differences at `places` (equation 9): those with which the
/// polynomial through all places is integrated exactly. A single one weighs one half.
fn weights(places: &[f64], h: f64, bh1: bool) -> (f64, Vec<f64>) {
    let hh = -h;
    let scale = if bh1 { hh } else { hh.exp_m1() };
    if places.len() < 2 {
        return (-scale, vec![0.5; places.len()]);
    }
    let mut phi = hh.exp_m1() / hh - 1.0;
    let mut factorial = 1.0;
    let mut moments = Vec::new();
    for power in 1..=places.len() {
        moments.push(phi * factorial / scale);
        factorial *= power as f64 + 1.0;
        phi = phi / hh - 1.0 / factorial;
    }
    (-scale, of_moments(places, moments))
}

/// The weights with `sum of weight * place^i = moments[i]` for all i (a transposed Vandermonde
/// system), by Björck and Pereyra's elimination (1970).
fn of_moments(places: &[f64], mut moments: Vec<f64>) -> Vec<f64> {
    let n = places.len();
    for (k, place) in places.iter().enumerate() {
        for i in (k + 1..n).rev() {
            moments[i] -= place * moments[i - 1];
        }
    }
    for k in (0..n - 1).rev() {
        for (i, moment) in moments.iter_mut().enumerate().skip(k + 1) {
            *moment /= places[i] - places[i - k - 1];
        }
        for i in k..n - 1 {
            moments[i] -= moments[i + 1];
        }
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_wanted_moments() {
        for places in [vec![-1.5, 1.0], vec![-0.7, -2.0, 1.0], vec![0.3]] {
            let moments: Vec<f64> = (0..places.len()).map(|i| 0.7 - 0.4 * i as f64).collect();
            let weights = of_moments(&places, moments.clone());
            for (power, moment) in moments.iter().enumerate() {
                let got = places.iter().zip(&weights);
                let got: f64 = got.map(|(place, w)| w * place.powi(power as i32)).sum();
                assert!((got - moment).abs() < 1e-12, "{places:?}: {got}");
            }
        }
    }
}
