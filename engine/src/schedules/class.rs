//! The reference's scheduler classes, as far as they decide numbers: defaults of fields a model's
//! file leaves out, and which fields a class knows at all.

use super::config::{BetaCurve, Spacing};

/// A scheduler class of diffusers whose stepping a sampler follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceClass {
    /// `DDIMScheduler`
    Ddim,
    /// `EulerDiscreteScheduler`
    Euler,
    /// `EulerAncestralDiscreteScheduler`
    EulerAncestral,
    /// `HeunDiscreteScheduler`
    Heun,
    /// `DPMSolverMultistepScheduler`
    DpmMultistep,
    /// `LCMScheduler`
    Lcm,
}

impl ReferenceClass {
    /// The class of that name, if a sampler follows it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "DDIMScheduler" => Some(Self::Ddim),
            "EulerDiscreteScheduler" => Some(Self::Euler),
            "EulerAncestralDiscreteScheduler" => Some(Self::EulerAncestral),
            "HeunDiscreteScheduler" => Some(Self::Heun),
            "DPMSolverMultistepScheduler" => Some(Self::DpmMultistep),
            "LCMScheduler" => Some(Self::Lcm),
            _ => None,
        }
    }

    /// Whether the class has Karras and exponential schedules of its own.
    pub(super) const fn has_sigma_schedules(self) -> bool {
        matches!(self, Self::Euler | Self::Heun | Self::DpmMultistep)
    }

    /// Whether the class works on `x0 + sigma * noise`, whose scale grows with sigma.
    pub(crate) const fn variance_exploding(self) -> bool {
        matches!(self, Self::Euler | Self::EulerAncestral | Self::Heun)
    }

    /// Whether the class knows `rescale_betas_zero_snr`. diffusers' Heun does not: there it runs
    /// such a model on the table as it was before the rescale.
    pub(super) const fn knows_zero_terminal_snr(self) -> bool {
        !matches!(self, Self::Heun)
    }

    pub(super) const fn default_spacing(self) -> Spacing {
        match self {
            Self::Ddim | Self::Lcm => Spacing::Leading,
            Self::Euler | Self::EulerAncestral | Self::Heun | Self::DpmMultistep => {
                Spacing::Linspace
            }
        }
    }

    /// Default of `beta_start`, `beta_end` and `beta_schedule`.
    pub(super) const fn default_betas(self) -> (f64, f64, BetaCurve) {
        match self {
            Self::Lcm => (0.00085, 0.012, BetaCurve::ScaledLinear),
            Self::Heun => (0.00085, 0.012, BetaCurve::Linear),
            Self::Ddim | Self::Euler | Self::EulerAncestral | Self::DpmMultistep => {
                (0.0001, 0.02, BetaCurve::Linear)
            }
        }
    }

    /// Default of `clip_sample`; `None` for classes that never clip.
    pub(super) const fn default_clip(self) -> Option<bool> {
        match self {
            Self::Ddim => Some(true),
            Self::Lcm | Self::Heun => Some(false),
            Self::Euler | Self::EulerAncestral | Self::DpmMultistep => None,
        }
    }
}
