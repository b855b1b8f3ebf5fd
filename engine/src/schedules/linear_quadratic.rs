//! `linear_quadratic`: short even steps first, then steps that grow quadratically (Movie Gen, Polyak
//! et al. 2024, section 3.4.2), as ComfyUI's `linear_quadratic_schedule`.

use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "linear_quadratic",
    label: "Linear quadratic",
    hint: "Lingers where composition is decided; made for flow and video models.",
    steps,
};

/// Share of the way that the linear half goes.
const THRESHOLD: f64 = 0.025;

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let largest = f64::from(table.own_sigmas.largest());
    let points = (0..count).map(|at| {
        let sigma = (1.0 - way(at, count)) * largest;
        (sigma, table.own_sigmas.timestep_of(sigma))
    });
    Ok(chain_of_sigmas(points, Level::CLEAN))
}

/// Share of the way down that is done at step `at` of `count`: the linear half's slope goes on
/// smoothly into the parabola that reaches 1 at `count`.
fn way(at: usize, count: usize) -> f64 {
    let linear = count / 2;
    if at < linear {
        return at as f64 * THRESHOLD / linear as f64;
    }
    if linear == 0 {
        // A single step starts at the top.
        return 0.0;
    }
    let (at, count, linear) = (at as f64, count as f64, linear as f64);
    let curved = count - linear;
    let left = linear - THRESHOLD * count;
    let quadratic = left / (linear * curved * curved);
    let slope = THRESHOLD / linear - 2.0 * left / (curved * curved);
    quadratic * at * at + slope * at + quadratic * linear * linear
}
