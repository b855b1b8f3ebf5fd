//! `karras`: sigmas evenly spaced in their 7th root (Karras et al. 2022, equation 5).

use super::class::ReferenceClass;
use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, model, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "karras",
    label: "Karras",
    hint: "More steps near the clean end: finer detail at 20 to 30 steps.",
    steps,
};

/// Exponent of the paper.
const RHO: f64 = 7.0;

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let range = SigmaRange::of(table, count);
    let rho = table.rho.unwrap_or(RHO);
    let sigmas = bent(count, [range.largest, range.smallest], rho);
    let points = sigmas.into_iter().map(|sigma| {
        let timestep = table.sigmas.timestep_of(sigma);
        // diffusers' DPM++ rounds these timesteps, except on cosine tables, where the conversion
        // to integers cuts the fraction off; UniPC rounds them always.
        let timestep = match table.class {
            ReferenceClass::DpmMultistep if table.source.is_cosine() => timestep.trunc(),
            ReferenceClass::DpmMultistep | ReferenceClass::UniPc => timestep.round_ties_even(),
            _ => f64::from(timestep as f32),
        };
        (sigma, timestep)
    });
    Ok(chain_of_sigmas(points, range.end))
}

/// k-diffusion's `get_sigmas_karras` without its last 0: `count` sigmas from `largest` down to
/// `smallest`.
pub(crate) fn sigmas(count: usize, smallest: f64, largest: f64) -> Vec<f64> {
    bent(count, [largest, smallest], RHO)
}

/// `count` values between the ends, evenly spaced in their `rho`-th root.
fn bent(count: usize, [largest, smallest]: [f64; 2], rho: f64) -> Vec<f64> {
    let top = largest.powf(1.0 / rho);
    let bottom = smallest.powf(1.0 / rho);
    spacing::ramp(0.0, 1.0, count)
        .into_iter()
        .map(|share| (top + share * (bottom - top)).powf(rho))
        .collect()
}

/// The ends of a schedule that fills in sigmas between them.
pub(super) struct SigmaRange {
    pub(super) largest: f64,
    pub(super) smallest: f64,
    /// The level after the last step.
    pub(super) end: Level,
}

impl SigmaRange {
    /// The range the sampler's class would take: Euler and Heun take it from their own spaced
    /// timesteps, DPM++ and all classes without such a schedule from the whole table.
    pub(super) fn of(table: &ClassTable<'_>, count: usize) -> Self {
        let spaced = match table.class {
            ReferenceClass::Euler | ReferenceClass::Heun => model::spaced_sigmas(table, count),
            _ => Vec::new(),
        };
        let (largest, smallest) = match (spaced.first(), spaced.last()) {
            (Some(&(largest, _)), Some(&(smallest, _))) => (largest, smallest),
            _ => (
                f64::from(table.sigmas.largest()),
                f64::from(table.sigmas.smallest()),
            ),
        };
        Self {
            largest,
            smallest,
            end: table.end(),
        }
    }
}
