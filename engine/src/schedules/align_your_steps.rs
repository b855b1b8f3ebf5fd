//! `align_your_steps`: levels that were optimised for Stable Diffusion at 10 steps (Sabour et al.
//! 2024), stretched to other counts along straight lines in ln(sigma), as A1111's scheduler of that name.

use super::config::PipelineRules;
use super::table::ClassTable;
use super::{ScheduleSpec, Step, chain_of_sigmas, spacing};
use crate::denoiser::Level;
use crate::error::Result;

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "align_your_steps",
    label: "Align your steps",
    hint: "Levels tuned on Stable Diffusion for about 10 steps; best with DPM++ 2M.",
    steps,
};

/// Levels for Stable Diffusion 1.5, as sigma / alpha.
const STABLE_DIFFUSION: [f64; 11] = [
    14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029,
];
/// Levels for Stable Diffusion XL.
const STABLE_DIFFUSION_XL: [f64; 11] = [
    14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029,
];

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let tuned = match table.source.rules {
        PipelineRules::StableDiffusion => &STABLE_DIFFUSION,
        PipelineRules::AsWritten => &STABLE_DIFFUSION_XL,
    };
    // A single step starts at the noisiest level, where A1111 would start at the cleanest.
    let last = (tuned.len() - 1) as f64;
    let points = spacing::ramp(0.0, last, count).into_iter().map(|place| {
        let below = (place.floor() as usize).min(tuned.len() - 2);
        let share = place - below as f64;
        let (high, low) = (tuned[below].ln(), tuned[below + 1].ln());
        let sigma = (high + share * (low - high)).exp();
        (sigma, table.own_sigmas.timestep_of(sigma))
    });
    Ok(chain_of_sigmas(points, Level::CLEAN))
}
