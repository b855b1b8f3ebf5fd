//! Levels typed by hand, in place of a schedule's.

use super::table::ClassTable;
use super::{Step, chain_of_sigmas};
use crate::denoiser::Level;

/// Steps through `sigmas` (sigma / alpha, noisiest first, a last 0 allowed) to the clean end; each
/// timestep is where the model's own table has that sigma.
pub(crate) fn steps(table: &ClassTable<'_>, sigmas: &[f64]) -> Vec<Step> {
    let points = sigmas
        .iter()
        .filter(|sigma| **sigma > 0.0)
        .map(|&sigma| (sigma, table.own_sigmas.timestep_of(sigma)));
    chain_of_sigmas(points, Level::CLEAN)
}
