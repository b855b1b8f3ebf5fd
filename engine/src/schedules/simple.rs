//! `simple`: every n-th sigma of the model's table from the noisiest down, as ComfyUI's
//! `simple_scheduler`.

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "simple",
    label: "Simple",
    hint: "Even steps through the model's own table; suits turbo and few-step models.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let sigmas = &table.own_sigmas;
    let stride = sigmas.len() as f64 / count as f64;
    let points = (0..count).map(|i| {
        let timestep = sigmas.len() - 1 - (i as f64 * stride) as usize;
        (f64::from(sigmas.at_index(timestep)), timestep as f64)
    });
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
