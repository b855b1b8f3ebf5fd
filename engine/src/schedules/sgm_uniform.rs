//! `sgm_uniform`: timesteps evenly spaced from the noisiest towards 0, without 0 itself, as
//! ComfyUI's `normal_scheduler` with `sgm` (the spacing of Stability's generative-models).

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "sgm_uniform",
    label: "SGM uniform",
    hint: "Even timesteps from the noisiest down; suits Lightning and Hyper models.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let sigmas = &table.own_sigmas;
    let mut timesteps = spacing::ramp(table.last() as f64, 0.0, count + 1);
    timesteps.pop();
    let points = timesteps
        .into_iter()
        .map(|timestep| (sigmas.at_log(timestep), timestep));
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
