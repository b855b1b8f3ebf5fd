//! Knobs that most pictures leave alone: how much fresh noise a sampler adds, and where from; how a
//! schedule is bent; levels typed by hand.

use serde::{Deserialize, Serialize};

use super::StepNoise;
use crate::samplers::Uses;

/// Settings of samplers and schedules beyond their names, in k-diffusion's words. What a sampler does
/// not use (see [`Uses`]) has no effect on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Knobs {
    /// Share of fresh noise in each step, 0 to 1; `None`: the sampler's own ([`Uses::eta`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Noise added before each step, spread over the run (Karras et al. 2022, algorithm 2), 0 to 100.
    #[serde(skip_serializing_if = "is_zero")]
    pub s_churn: f64,
    /// Smallest sigma / alpha that is churned, 0 or more.
    #[serde(skip_serializing_if = "is_zero")]
    pub s_tmin: f64,
    /// Largest sigma / alpha that is churned; `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_tmax: Option<f64>,
    /// Factor on all fresh noise, 0 to 2.
    #[serde(skip_serializing_if = "is_one")]
    pub s_noise: f64,
    /// Bend of the Karras (7 if `None`) and polyexponential (1 if `None`) schedules, 0.1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// Where the fresh noise of SDE samplers comes from.
    #[serde(skip_serializing_if = "StepNoise::is_fresh")]
    pub step_noise: StepNoise,
    /// Levels typed by hand, as sigma / alpha, noisiest first, in place of the schedule's. A last 0
    /// may be left out. Not empty: the recipe's steps are their number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sigmas: Vec<f64>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            eta: None,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: None,
            s_noise: 1.0,
            rho: None,
            step_noise: StepNoise::Fresh,
            sigmas: Vec::new(),
        }
    }
}

impl Knobs {
    /// What a new recipe begins with: SDE samplers follow a path, as their users know them. The plain
    /// default is what recipes mean that say nothing, older ones among them.
    #[must_use]
    pub fn of_new_recipes() -> Self {
        Self {
            step_noise: StepNoise::Brownian,
            ..Self::default()
        }
    }

    /// The knobs that a sampler uses; the others back at rest. Those of the schedule stay.
    #[must_use]
    pub fn used_by(&self, uses: &Uses) -> Self {
        let rest = Self::default();
        let churns = uses.churn && self.s_churn > 0.0;
        Self {
            eta: self.eta.filter(|_| uses.eta.is_some()),
            s_churn: if churns { self.s_churn } else { rest.s_churn },
            s_tmin: if churns { self.s_tmin } else { rest.s_tmin },
            s_tmax: self.s_tmax.filter(|_| churns),
            s_noise: if churns || uses.fresh_noise {
                self.s_noise
            } else {
                rest.s_noise
            },
            rho: self.rho,
            step_noise: if uses.brownian {
                self.step_noise
            } else {
                rest.step_noise
            },
            sigmas: self.sigmas.clone(),
        }
    }

    /// Number of steps that the typed sigmas make; `None` where none are typed.
    pub fn typed_steps(&self) -> Option<usize> {
        let steps = self.sigmas.iter().filter(|sigma| **sigma != 0.0).count();
        (!self.sigmas.is_empty()).then_some(steps)
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}
