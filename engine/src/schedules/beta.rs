//! `beta`: timesteps at the quantiles of a beta distribution, dense at both ends (Lee et al. 2024,
//! “Beta Sampling is All You Need”), as ComfyUI's `beta_scheduler`.

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "beta",
    label: "Beta",
    hint: "More steps at both ends: composition and fine detail, fewer between.",
    steps,
};

/// Both parameters of the distribution.
const SHAPE: f64 = 0.6;
/// The beta function of `SHAPE` and `SHAPE`.
const BETA: f64 = 2.415_344_208_002_472_3;

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let sigmas = &table.own_sigmas;
    let mut timesteps: Vec<usize> = (0..count)
        .map(|at| 1.0 - at as f64 / count as f64)
        .map(|share| (quantile(share) * table.last() as f64).round_ties_even() as usize)
        .collect();
    // Many steps crowd at the ends; a level that repeats is visited once.
    timesteps.dedup();
    let points = timesteps
        .into_iter()
        .map(|timestep| (f64::from(sigmas.at_index(timestep)), timestep as f64));
    Ok(chain_of_sigmas(points, Level::CLEAN))
}

/// Where the distribution function reaches `share`, 0 to 1. The distribution is symmetric.
fn quantile(share: f64) -> f64 {
    if share > 0.5 {
        return 1.0 - quantile(1.0 - share);
    }
    let (mut low, mut high) = (0.0, 0.5);
    // Halving 0.5 this often leaves nothing of f64's precision near 1 - x.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if distribution(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function for `x` up to 0.5 by its power series (Abramowitz and
/// Stegun 26.5.4, expanded in x).
fn distribution(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0 / SHAPE;
    for n in 1..64 {
        let n = f64::from(n);
        term *= x * (n - SHAPE) / n;
        sum += term / (SHAPE + n);
    }
    x.powf(SHAPE) * sum / BETA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy 1.17.1: scipy.stats.beta.ppf(share, 0.6, 0.6)
        let quantiles = [
            (0.0, 0.0),
            (0.001, 1.855_873_851_745_199e-5),
            (0.1, 0.039_584_405_588_780_85),
            (0.25, 0.175_680_378_652_694_98),
            (0.5, 0.5),
            (0.7, 0.765_982_996_124_764_3),
            (0.9999, 0.999_999_600_162_284_2),
            (1.0, 1.0),
        ];
        for (share, want) in quantiles {
            assert!((quantile(share) - want).abs() < 1e-12, "{share}");
        }
        assert!((distribution(0.5) - 0.5).abs() < 1e-14);
    }
}
