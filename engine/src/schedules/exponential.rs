//! `exponential`: sigmas evenly spaced in their logarithm, as k-diffusion's `get_sigmas_exponential`.

use super::class::ReferenceClass;
use super::karras::SigmaRange;
use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "exponential",
    label: "Exponential",
    hint: "Even steps in log noise: smooth backgrounds, softer detail.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let range = SigmaRange::of(table, count);
    let logs = spacing::ramp(range.largest.ln(), range.smallest.ln(), count);
    let points = logs.into_iter().map(|log| {
        let sigma = log.exp();
        let timestep = table.sigmas.timestep_of(sigma);
        // diffusers' DPM++ and UniPC keep their timesteps as integers and cut the fraction off here.
        let timestep = match table.class {
            ReferenceClass::DpmMultistep | ReferenceClass::UniPc => timestep.trunc(),
            _ => f64::from(timestep as f32),
        };
        (sigma, timestep)
    });
    Ok(chain_of_sigmas(points, range.end))
}
