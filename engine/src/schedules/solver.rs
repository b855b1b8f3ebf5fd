//! What a model's file asks of the multistep solvers, and of DDPM's noise.

use super::class::ReferenceClass;
use super::config::{DdpmNoise, NoiseTable};
use super::fields::Fields;
use crate::error::{EngineError, Result};

/// Options of the DPM-Solver++ samplers (diffusers' `DPMSolverMultistepScheduler`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmOptions {
    /// Order of the multistep update: 1 or 2; UniPC's up to 3.
    pub order: usize,
    /// Second-order term by Heun's rule instead of the midpoint rule.
    pub heun: bool,
    /// First order for the last step of runs under 15 steps; UniPC: falling orders at every run's end.
    pub lower_order_final: bool,
    /// First order for the last step of every run.
    pub euler_at_final: bool,
    /// Levels with `ln(alpha / sigma)` below this are left out.
    pub lambda_min: f64,
}

/// Options of UniPC alone (diffusers' `UniPCMultistepScheduler`).
#[derive(Clone, Debug, PartialEq)]
pub struct UniPcOptions {
    /// `B(h) = h` instead of `exp(h) - 1`.
    pub bh1: bool,
    /// Steps, counted from 0 over the whole schedule, whose result is not corrected.
    pub uncorrected: Vec<usize>,
    /// The solver works on predicted x0.
    predicts_x0: bool,
}

impl DpmOptions {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let lambda_min = match fields.word("lambda_min_clipped") {
            Ok(Some("-Infinity")) => f64::NEG_INFINITY,
            _ => fields
                .number("lambda_min_clipped")?
                .unwrap_or(f64::NEG_INFINITY),
        };
        Ok(Self {
            order: fields.count("solver_order")?.unwrap_or(2),
            heun: fields
                .choice(
                    "solver_type",
                    // The names of other multistep solvers stand for the midpoint rule, as in diffusers.
                    &[
                        ("midpoint", false),
                        ("heun", true),
                        ("logrho", false),
                        ("bh1", false),
                        ("bh2", false),
                    ],
                )?
                .unwrap_or(false),
            lower_order_final: fields.flag("lower_order_final")?.unwrap_or(true),
            euler_at_final: fields.flag("euler_at_final")?.unwrap_or(false),
            lambda_min,
        })
    }
}

impl UniPcOptions {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        Ok(Self {
            // All other names stand for the second kind, as in diffusers.
            bh1: fields.word("solver_type")? == Some("bh1"),
            uncorrected: fields.counts("disable_corrector")?.unwrap_or_default(),
            predicts_x0: fields.flag("predict_x0")?.unwrap_or(true),
        })
    }
}

impl NoiseTable {
    /// Options of the multistep solvers; whatever they are for a class that does not know them.
    ///
    /// # Errors
    /// `UnsupportedModel` when the file asks `class` for an order or a form that is not there.
    pub(crate) fn dpm_options_for(&self, class: ReferenceClass) -> Result<DpmOptions> {
        let most = match class {
            ReferenceClass::DpmMultistep => 2,
            ReferenceClass::UniPc => 3,
            _ => return Ok(self.dpm),
        };
        if !(1..=most).contains(&self.dpm.order) {
            return Err(self.cannot(
                format!("`solver_order`: {}", self.dpm.order),
                format!("choose another sampler: this one runs with order 1 to {most}"),
            ));
        }
        if class == ReferenceClass::UniPc && !self.uni_pc.predicts_x0 {
            return Err(self.cannot(
                "`predict_x0`: false".to_owned(),
                "choose another sampler: UniPC runs on predicted x0 only".to_owned(),
            ));
        }
        Ok(self.dpm)
    }

    /// Options of UniPC.
    pub(crate) fn uni_pc_options(&self) -> UniPcOptions {
        self.uni_pc.clone()
    }

    /// DDPM's noise; that of the default for every other class.
    ///
    /// # Errors
    /// `UnsupportedModel` for the one kind that gives no numbers in the reference either.
    pub(crate) fn ddpm_noise_for(&self, class: ReferenceClass) -> Result<DdpmNoise> {
        match self.ddpm_noise {
            Some(noise) => Ok(noise),
            None if class != ReferenceClass::Ddpm => Ok(DdpmNoise::Small),
            None => Err(self.cannot(
                "`variance_type`: fixed_large_log".to_owned(),
                "choose another sampler than DDPM".to_owned(),
            )),
        }
    }

    fn cannot(&self, found: String, remedy: String) -> EngineError {
        EngineError::UnsupportedModel {
            path: self.path.clone(),
            found,
            remedy,
        }
    }
}
