//! `polyexponential`: sigmas whose logarithm falls along a power of the way, as k-diffusion's
//! `get_sigmas_polyexponential`.

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "polyexponential",
    label: "Polyexponential",
    hint: "Exponential, bent by rho: above 1 it hurries to the clean end, at 1 it is straight.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let sigmas = &table.own_sigmas;
    let top = f64::from(sigmas.largest()).ln();
    let bottom = f64::from(sigmas.smallest()).ln();
    let rho = table.rho.unwrap_or(1.0);
    let points = spacing::ramp(1.0, 0.0, count).into_iter().map(|share| {
        let sigma = (share.powf(rho) * (top - bottom) + bottom).exp();
        (sigma, sigmas.timestep_of(sigma))
    });
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
