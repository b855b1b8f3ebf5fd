//! `kl_optimal`: sigmas evenly spaced in their arc tangent (Sabour et al. 2024, “Align Your Steps”,
//! appendix: optimal for Gaussian data), as ComfyUI's `kl_optimal_scheduler`. A1111's has the same
//! curve, but stops at the smallest sigma with its noise left in.

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "kl_optimal",
    label: "KL optimal",
    hint: "Even steps in angle between picture and noise; strong at 10 to 20 steps.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let sigmas = &table.own_sigmas;
    let top = f64::from(sigmas.largest()).atan();
    let bottom = f64::from(sigmas.smallest()).atan();
    let points = spacing::ramp(0.0, 1.0, count).into_iter().map(|share| {
        let sigma = (share * bottom + (1.0 - share) * top).tan();
        (sigma, sigmas.timestep_of(sigma))
    });
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
