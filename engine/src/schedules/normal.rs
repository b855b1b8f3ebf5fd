//! `normal`: timesteps evenly spaced over the whole table, both ends included, as ComfyUI's
//! `normal_scheduler` and k-diffusion's `get_sigmas` (A1111's “Uniform”).

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "normal",
    label: "Normal",
    hint: "Even timesteps from the noisiest to the cleanest; what A1111 takes for Euler.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let points = spacing::ramp(table.last() as f64, 0.0, count)
        .into_iter()
        .map(|timestep| (table.own_sigmas.at_log(timestep), timestep));
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
