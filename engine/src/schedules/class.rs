//! The reference's scheduler classes, as far as they decide numbers: defaults of fields a model's
//! file leaves out, and which fields a class knows at all.

use super::config::{BetaCurve, Spacing};

/// Whose stepping a sampler follows: a scheduler class of diffusers, or k-diffusion.
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
    /// `DDPMScheduler`
    Ddpm,
    /// `UniPCMultistepScheduler`
    UniPc,
    /// `TCDScheduler`
    Tcd,
    /// k-diffusion, whose samplers step through whatever sigmas they are given: with the model's own
    /// schedule Euler's, else those of k-diffusion's functions on the whole table.
    KDiffusion,
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
            "DDPMScheduler" => Some(Self::Ddpm),
            "UniPCMultistepScheduler" => Some(Self::UniPc),
            "TCDScheduler" => Some(Self::Tcd),
            _ => None,
        }
    }

    /// Whether the class has Karras and exponential schedules of its own.
    pub(super) const fn has_sigma_schedules(self) -> bool {
        matches!(
            self,
            Self::Euler | Self::Heun | Self::DpmMultistep | Self::UniPc | Self::KDiffusion
        )
    }

    /// Whether the class works on `x0 + sigma * noise`, whose scale grows with sigma.
    pub(crate) const fn variance_exploding(self) -> bool {
        matches!(
            self,
            Self::Euler | Self::EulerAncestral | Self::Heun | Self::KDiffusion
        )
    }

    /// Whether the class knows `rescale_betas_zero_snr`. diffusers' Heun does not: there it runs
    /// such a model on the table as it was before the rescale.
    pub(super) const fn knows_zero_terminal_snr(self) -> bool {
        !matches!(self, Self::Heun)
    }

    pub(super) const fn default_spacing(self) -> Spacing {
        match self {
            Self::Ddim | Self::Lcm | Self::Ddpm | Self::Tcd => Spacing::Leading,
            Self::Euler
            | Self::EulerAncestral
            | Self::Heun
            | Self::DpmMultistep
            | Self::UniPc
            | Self::KDiffusion => Spacing::Linspace,
        }
    }

    /// Default of `beta_start`, `beta_end` and `beta_schedule`.
    pub(super) const fn default_betas(self) -> (f64, f64, BetaCurve) {
        match self {
            Self::Lcm | Self::Tcd => (0.00085, 0.012, BetaCurve::ScaledLinear),
            Self::Heun => (0.00085, 0.012, BetaCurve::Linear),
            Self::Ddim
            | Self::Ddpm
            | Self::Euler
            | Self::EulerAncestral
            | Self::DpmMultistep
            | Self::UniPc
            | Self::KDiffusion => (0.0001, 0.02, BetaCurve::Linear),
        }
    }

    /// Default of `clip_sample`; `None` for classes that never clip.
    pub(super) const fn default_clip(self) -> Option<bool> {
        match self {
            Self::Ddim | Self::Ddpm => Some(true),
            Self::Lcm | Self::Heun => Some(false),
            // TCD has the field but never clips.
            Self::Euler
            | Self::EulerAncestral
            | Self::DpmMultistep
            | Self::UniPc
            | Self::Tcd
            | Self::KDiffusion => None,
        }
    }
}
