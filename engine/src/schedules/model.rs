//! `model`: the model's own schedule, as the sampler's class in diffusers reads the model's
//! scheduler config.

use super::class::ReferenceClass;
use super::config::{SigmaSchedule, Spacing};
use super::table::{ClassTable, level_of_sigma};
use super::{ScheduleSpec, Step, chain, chain_of_sigmas, exponential, karras, spacing};
use crate::denoiser::Level;
use crate::error::{EngineError, Result};

pub(super) const SPEC: ScheduleSpec = ScheduleSpec {
    id: "model",
    label: "Model's own",
    hint: "The noise levels the model's makers chose; the safe choice for every model.",
    steps,
};

fn steps(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    if table.class.has_sigma_schedules() {
        match table.source.own_schedule {
            Some(SigmaSchedule::Karras) => return (karras::SPEC.steps)(table, count),
            Some(SigmaSchedule::Exponential) => return (exponential::SPEC.steps)(table, count),
            None => {}
        }
    }
    match table.class {
        ReferenceClass::Euler
        | ReferenceClass::EulerAncestral
        | ReferenceClass::Heun
        | ReferenceClass::KDiffusion => {
            Ok(chain_of_sigmas(spaced_sigmas(table, count), table.end()))
        }
        ReferenceClass::DpmMultistep | ReferenceClass::UniPc => {
            let points = dpm_timesteps(table, count)?
                .into_iter()
                .map(|timestep| (table.sigmas.at(timestep), timestep));
            Ok(chain_of_sigmas(points, table.end()))
        }
        ReferenceClass::Ddim => ddim(table, count),
        ReferenceClass::Ddpm => ddpm(table, count),
        ReferenceClass::Lcm => Ok(chain(&distilled(table, count)?, Level::CLEAN)),
        // TCD's last step ends at the table's first level.
        ReferenceClass::Tcd => Ok(chain(&distilled(table, count)?, table.level(0))),
    }
}

/// Sigmas and timesteps of the Euler family: timesteps in f32, sigmas linear between neighbours.
pub(super) fn spaced_sigmas(table: &ClassTable<'_>, count: usize) -> Vec<(f64, f64)> {
    let train_steps = table.sigmas.len();
    let timesteps = match table.spacing {
        Spacing::Linspace => {
            let mut ramp = spacing::ramp(0.0, table.last() as f64, count);
            ramp.reverse();
            ramp
        }
        Spacing::Leading => spacing::leading(count, train_steps / count, table.steps_offset),
        Spacing::Trailing => spacing::trailing(count, train_steps, train_steps),
    };
    timesteps
        .into_iter()
        .map(|timestep| f64::from(timestep as f32))
        .map(|timestep| (table.sigmas.at(timestep), timestep))
        .collect()
}

/// DPM++'s and UniPC's timesteps: whole numbers, the last point of its linspace and leading grids left out,
/// levels beyond `lambda_min_clipped` left out.
fn dpm_timesteps(table: &ClassTable<'_>, count: usize) -> Result<Vec<f64>> {
    let lambda_min = match table.class {
        ReferenceClass::DpmMultistep => table.source.dpm.lambda_min,
        _ => f64::NEG_INFINITY,
    };
    let clipped = (0..table.sigmas.len())
        .rev()
        .take_while(|&timestep| {
            level_of_sigma(table.sigmas.at_index(timestep), 0.0).lambda() < lambda_min
        })
        .count();
    let top = table.sigmas.len() - clipped;
    if table.spacing == Spacing::Leading && count >= top {
        return Err(EngineError::invalid(
            "steps",
            format!(
                "{count} is out of range: this sampler takes 1 to {} here",
                top - 1
            ),
        ));
    }
    Ok(match table.spacing {
        Spacing::Linspace => {
            let ramp = spacing::ramp(0.0, top as f64 - 1.0, count + 1);
            let rounded = ramp.into_iter().map(f64::round_ties_even);
            let mut timesteps: Vec<f64> = rounded.skip(1).collect();
            timesteps.reverse();
            timesteps
        }
        Spacing::Leading => {
            let mut timesteps = spacing::leading(count + 1, top / (count + 1), table.steps_offset);
            timesteps.pop();
            timesteps
        }
        Spacing::Trailing => spacing::trailing(count, top, table.sigmas.len()),
    })
}

/// DDIM asks at its grid's timesteps and aims `train_steps / count` (rounded down) below each.
fn ddim(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let stride = table.sigmas.len() / count;
    Ok(grid(table, count)?
        .into_iter()
        .map(|timestep| Step {
            from: table.level(timestep),
            to: match timestep.checked_sub(stride) {
                Some(target) => table.level(target),
                None => table.final_level(),
            },
        })
        .collect())
}

/// DDPM walks DDIM's grid, each step to the next one's level, the last to the clean end.
fn ddpm(table: &ClassTable<'_>, count: usize) -> Result<Vec<Step>> {
    let levels: Vec<Level> = grid(table, count)?
        .into_iter()
        .map(|timestep| table.level(timestep))
        .collect();
    Ok(chain(&levels, Level::CLEAN))
}

/// The whole timesteps of DDIM and DDPM.
fn grid(table: &ClassTable<'_>, count: usize) -> Result<Vec<usize>> {
    let train_steps = table.sigmas.len();
    let stride = train_steps / count;
    let timesteps: Vec<f64> = match table.spacing {
        Spacing::Linspace => {
            let mut ramp = spacing::ramp(0.0, table.last() as f64, count);
            ramp.reverse();
            ramp.into_iter().map(f64::round_ties_even).collect()
        }
        Spacing::Leading => spacing::leading(count, stride, table.steps_offset),
        Spacing::Trailing => spacing::trailing(count, train_steps, train_steps),
    };
    if timesteps
        .first()
        .is_some_and(|&top| top >= train_steps as f64)
    {
        return Err(EngineError::invalid(
            "steps",
            format!(
                "{count} steps reach past the model's last training timestep ({}); fewer steps fit",
                table.last()
            ),
        ));
    }
    Ok(timesteps
        .into_iter()
        // The odd timestep -1 of some trailing grids: diffusers would read the table from its
        // other end there and put pure noise back, so this step is left out.
        .filter(|&timestep| timestep >= 0.0)
        .map(|timestep| timestep as usize)
        .collect())
}

/// LCM and TCD pick evenly among the timesteps it was distilled at (Luo et al. 2023, section 4.3).
fn distilled(table: &ClassTable<'_>, count: usize) -> Result<Vec<Level>> {
    let distilled = table.source.original_inference_steps;
    if count > distilled {
        return Err(EngineError::invalid(
            "steps",
            format!(
                "{count} is out of range: this sampler takes 1 to {distilled} with the model's own schedule"
            ),
        ));
    }
    let stride = table.sigmas.len() / distilled;
    Ok((0..count)
        // numpy.linspace(0, distilled, count, endpoint=False), rounded down.
        .map(|i| (i as f64 * (distilled as f64 / count as f64)).floor() as usize)
        .map(|index| table.level((distilled - index) * stride - 1))
        .collect())
}

impl ClassTable<'_> {
    /// Where a class that steps in sigmas ends: clean, or at the table's smallest sigma where
    /// `final_sigmas_type` says so (only Euler, DPM++ and UniPC know the field).
    pub(super) fn end(&self) -> Level {
        let knows = matches!(
            self.class,
            ReferenceClass::Euler | ReferenceClass::DpmMultistep | ReferenceClass::UniPc
        );
        if knows && self.source.ends_at_smallest_sigma {
            level_of_sigma(self.sigmas.smallest(), 0.0)
        } else {
            Level::CLEAN
        }
    }
}
