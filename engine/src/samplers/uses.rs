//! What a sampler listens to besides its levels, and how it walks them.

use crate::schedules::{LevelTable, Step};

/// Which of a recipe's knobs a sampler uses; menus, command line and metadata leave out the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uses {
    /// The sampler's own `eta`; `None`: it has no such knob.
    pub eta: Option<f64>,
    /// `s_churn`, `s_tmin`, `s_tmax`, and `s_noise` where there is churn.
    pub churn: bool,
    /// `s_noise`.
    pub fresh_noise: bool,
    /// `step_noise`.
    pub brownian: bool,
}

impl Uses {
    /// No knob.
    pub const NOTHING: Self = Self {
        eta: None,
        churn: false,
        fresh_noise: false,
        brownian: false,
    };
    /// Karras's churn.
    pub const CHURN: Self = Self {
        churn: true,
        ..Self::NOTHING
    };
    /// Noise of its own in each step.
    pub const ANCESTRAL: Self = Self {
        eta: Some(1.0),
        fresh_noise: true,
        ..Self::NOTHING
    };
    /// The same, from a Brownian path if wanted.
    pub const SDE: Self = Self {
        brownian: true,
        ..Self::ANCESTRAL
    };
}

/// How a sampler walks a schedule.
#[derive(Clone, Copy)]
pub enum Walk {
    /// Step by step.
    Scheduled,
    /// On a schedule of one step more, straight from the last but two levels to the end, as A1111 and
    /// ComfyUI run second-order samplers that a tiny last level would spoil.
    WithoutPenultimate,
    /// On steps of its own, made from the scheduled ones that are run; as many.
    Own(fn(Vec<Step>, &LevelTable) -> Vec<Step>),
}
