//! Reads a diffusers `scheduler_config.json` into [`NoiseTable`]: the noise levels a model was trained
//! with and the choices its makers made about stepping through them. Every field is honoured, known
//! not to matter, or refused by name: none is ignored.

use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::solver::{DpmOptions, UniPcOptions};
use crate::error::Result;

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// `alpha * epsilon - sigma * x0` (Salimans and Ho 2022).
    Velocity,
    /// The clean picture itself.
    Sample,
}

impl Prediction {
    /// diffusers' name: `epsilon`, `v_prediction`, `sample`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::Velocity => "v_prediction",
            Self::Sample => "sample",
        }
    }
}

/// How the training timesteps are thinned out (Lin et al. 2023, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// From the clean end in whole strides; misses the noisiest steps.
    Leading,
    /// From the noisiest step down.
    Trailing,
    /// Both ends included.
    Linspace,
}

/// How the training betas grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BetaCurve {
    Linear,
    ScaledLinear,
    SquaredCosine,
}

/// Schedules that fill in sigmas between the ends of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigmaSchedule {
    Karras,
    Exponential,
}

/// How much noise DDPM puts back in each step (Ho et al. 2020, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DdpmNoise {
    /// The posterior's variance, right for clean pictures.
    Small,
    /// The forward step's variance, right for noise.
    Large,
}

/// What the reference's pipeline does to the file's values before the scheduler sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineRules {
    /// diffusers' Stable Diffusion 1.x and 2.x pipelines: they set `steps_offset` to 1 and
    /// `clip_sample` to false, whatever the file says.
    StableDiffusion,
    /// The file's values as they are (Stable Diffusion XL and the others).
    AsWritten,
}

/// A model's noise table with its makers' stepping choices, from `scheduler_config.json`.
///
/// Fields the file leaves out stay unset here: the reference fills them with the defaults of the
/// sampler's class, and those differ from class to class.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseTable {
    pub(super) path: PathBuf,
    pub(super) class_name: String,
    pub(super) rules: PipelineRules,
    pub(super) train_steps: usize,
    pub(super) beta_start: Option<f64>,
    pub(super) beta_end: Option<f64>,
    pub(super) beta_curve: Option<BetaCurve>,
    pub(super) trained_betas: Option<Vec<f32>>,
    pub(super) prediction: Prediction,
    pub(super) spacing: Option<Spacing>,
    pub(super) steps_offset: Option<usize>,
    pub(super) set_alpha_to_one: Option<bool>,
    pub(super) zero_terminal_snr: bool,
    pub(super) ends_at_smallest_sigma: bool,
    /// Which sigma schedule the file makes the model's own, where the sampler's class has such.
    pub(super) own_schedule: Option<SigmaSchedule>,
    pub(super) clip_sample: Option<bool>,
    pub(super) clip_range: f64,
    pub(super) dpm: DpmOptions,
    pub(super) uni_pc: UniPcOptions,
    /// DDPM's noise; `None`: one that the reference cannot draw.
    pub(super) ddpm_noise: Option<DdpmNoise>,
    pub(super) original_inference_steps: usize,
    pub(super) timestep_scaling: f64,
    sde: bool,
}

impl NoiseTable {
    /// Parses the text of the scheduler config that lies at `path` (named in errors only).
    ///
    /// # Errors
    /// `BadFile` when it is no JSON object or a field has the wrong type or an impossible value;
    /// `UnsupportedModel` naming the field when a setting cannot be honoured.
    pub fn parse(path: &Path, text: &str, rules: PipelineRules) -> Result<Self> {
        let fields = Fields::read(path, text)?;
        let train_steps = fields.count("num_train_timesteps")?.unwrap_or(1000);
        let trained_betas = fields.betas("trained_betas")?;
        if !(2..=100_000).contains(&train_steps) {
            return Err(fields.bad("num_train_timesteps", "must be 2 to 100000"));
        }
        if trained_betas
            .as_ref()
            .is_some_and(|betas| betas.len() != train_steps)
        {
            return Err(fields.bad("trained_betas", "must have num_train_timesteps entries"));
        }
        let own_schedule = match (
            fields.flag("use_karras_sigmas")?.unwrap_or(false),
            fields.flag("use_exponential_sigmas")?.unwrap_or(false),
        ) {
            (true, true) => {
                return Err(fields.bad("use_exponential_sigmas", "excludes use_karras_sigmas"));
            }
            (true, false) => Some(SigmaSchedule::Karras),
            (false, true) => Some(SigmaSchedule::Exponential),
            (false, false) => None,
        };
        let algorithm = fields.word("algorithm_type")?.unwrap_or("dpmsolver++");
        Ok(Self {
            class_name: fields.word("_class_name")?.unwrap_or_default().to_owned(),
            rules,
            train_steps,
            beta_start: fields.unit("beta_start")?,
            beta_end: fields.unit("beta_end")?,
            beta_curve: fields.choice(
                "beta_schedule",
                &[
                    ("linear", BetaCurve::Linear),
                    ("scaled_linear", BetaCurve::ScaledLinear),
                    ("squaredcos_cap_v2", BetaCurve::SquaredCosine),
                ],
            )?,
            trained_betas,
            prediction: fields
                .choice(
                    "prediction_type",
                    &[
                        ("epsilon", Prediction::Epsilon),
                        ("v_prediction", Prediction::Velocity),
                        ("sample", Prediction::Sample),
                    ],
                )?
                .unwrap_or(Prediction::Epsilon),
            spacing: fields.choice(
                "timestep_spacing",
                &[
                    ("leading", Spacing::Leading),
                    ("trailing", Spacing::Trailing),
                    ("linspace", Spacing::Linspace),
                ],
            )?,
            steps_offset: match fields.count("steps_offset")? {
                Some(offset) if offset >= train_steps => {
                    return Err(fields.bad("steps_offset", "must be below num_train_timesteps"));
                }
                offset => offset,
            },
            set_alpha_to_one: fields.flag("set_alpha_to_one")?,
            zero_terminal_snr: fields.flag("rescale_betas_zero_snr")?.unwrap_or(false),
            ends_at_smallest_sigma: fields
                .choice("final_sigmas_type", &[("zero", false), ("sigma_min", true)])?
                .unwrap_or(false),
            own_schedule,
            clip_sample: fields.flag("clip_sample")?,
            clip_range: fields.number("clip_sample_range")?.unwrap_or(1.0),
            dpm: DpmOptions::read(&fields)?,
            uni_pc: UniPcOptions::read(&fields)?,
            ddpm_noise: match fields.word("variance_type")? {
                Some("fixed_large") => Some(DdpmNoise::Large),
                Some("fixed_large_log") => None,
                _ => Some(DdpmNoise::Small),
            },
            original_inference_steps: fields
                .count("original_inference_steps")?
                .unwrap_or(50)
                .clamp(1, train_steps),
            timestep_scaling: fields.number("timestep_scaling")?.unwrap_or(10.0),
            sde: matches!(algorithm, "sde-dpmsolver++" | "sde-dpmsolver"),
            path: path.to_owned(),
        })
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Number of training timesteps, usually 1000.
    pub fn train_steps(&self) -> usize {
        self.train_steps
    }

    /// The scheduler's class, as the file names it.
    pub fn class_name(&self) -> &str {
        &self.class_name
    }

    /// Whether the model was trained down to no signal at all.
    pub fn has_zero_terminal_snr(&self) -> bool {
        self.zero_terminal_snr
    }

    /// Whether its makers step from the noisiest step down.
    pub fn is_trailing(&self) -> bool {
        self.spacing == Some(Spacing::Trailing)
    }

    /// LCM's factor on timesteps in its boundary condition.
    pub(crate) fn timestep_scaling(&self) -> f64 {
        self.timestep_scaling
    }

    /// Id of the sampler the model's own scheduler class names; DPM++ 2M for PNDM and classes that
    /// have no counterpart here.
    pub fn default_sampler(&self) -> &'static str {
        match self.class_name.as_str() {
            "DDIMScheduler" => "ddim",
            "DDPMScheduler" => "ddpm",
            "DPMSolverMultistepScheduler" if self.sde => "dpmpp_2m_sde",
            "DPMSolverSDEScheduler" => "dpmpp_sde",
            "EulerAncestralDiscreteScheduler" => "euler_a",
            "EulerDiscreteScheduler" => "euler",
            "HeunDiscreteScheduler" => "heun",
            "KDPM2AncestralDiscreteScheduler" => "dpm_2_ancestral",
            "KDPM2DiscreteScheduler" => "dpm_2",
            "LCMScheduler" => "lcm",
            "LMSDiscreteScheduler" => "lms",
            "TCDScheduler" => "tcd",
            "UniPCMultistepScheduler" => "uni_pc",
            _ => "dpmpp_2m",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EngineError;

    fn parse(text: &str) -> Result<NoiseTable> {
        NoiseTable::parse(
            Path::new("model/scheduler_config.json"),
            text,
            PipelineRules::AsWritten,
        )
    }

    #[test]
    fn infinities_as_python_writes_them_are_read() {
        let table = parse(
            r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity,
            "note_\"NaN\"": null, "algorithm_type": "sde-dpmsolver++"}"#,
        )
        .expect("valid");
        assert_eq!(table.dpm.lambda_min, f64::NEG_INFINITY);
        assert_eq!(table.default_sampler(), "dpmpp_2m_sde");
    }

    #[test]
    fn settings_that_cannot_be_honoured_are_named_with_their_file() {
        for (text, field) in [
            (r#"{"thresholding": true}"#, "thresholding"),
            (r#"{"use_beta_sigmas": true}"#, "use_beta_sigmas"),
            (r#"{"beta_schedule": "laplace"}"#, "beta_schedule"),
            (
                r#"{"interpolation_type": "log_linear"}"#,
                "interpolation_type",
            ),
            (r#"{"sigma_max": 80.0}"#, "sigma_max"),
            (r#"{"brand_new_switch": true}"#, "brand_new_switch"),
            (r#"{"variance_type": "learned_range"}"#, "variance_type"),
            (
                r#"{"_class_name": "FlowMatchEulerDiscreteScheduler"}"#,
                "_class_name",
            ),
        ] {
            match parse(text) {
                Err(EngineError::UnsupportedModel { path, found, .. }) => {
                    assert!(found.contains(field), "{found} should name {field}");
                    assert!(path.ends_with("scheduler_config.json"));
                }
                other => panic!("{text} gave {other:?}"),
            }
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_bad_files_that_name_the_field() {
        for (text, field) in [
            (r#"{"beta_start": "small"}"#, "beta_start"),
            (r#"{"beta_end": 2.0}"#, "beta_end"),
            (r#"{"num_train_timesteps": 1}"#, "num_train_timesteps"),
            (
                r#"{"num_train_timesteps": 10, "trained_betas": [0.1]}"#,
                "trained_betas",
            ),
            (r#"{"steps_offset": -1}"#, "steps_offset"),
            (r#"{"steps_offset": 1000}"#, "steps_offset"),
            (r#"{"clip_sample": 1}"#, "clip_sample"),
        ] {
            match parse(text) {
                Err(EngineError::BadFile { problem, .. }) => assert!(problem.contains(field)),
                other => panic!("{text} gave {other:?}"),
            }
        }
        for text in ["", "[]", "{"] {
            assert_eq!(parse(text).expect_err(text).code(), "bad_file");
        }
    }

    #[test]
    fn the_class_names_the_default_sampler() {
        for (class, sampler) in [
            ("DDIMScheduler", "ddim"),
            ("EulerDiscreteScheduler", "euler"),
            ("EulerAncestralDiscreteScheduler", "euler_a"),
            ("HeunDiscreteScheduler", "heun"),
            ("DPMSolverMultistepScheduler", "dpmpp_2m"),
            ("LCMScheduler", "lcm"),
            ("UniPCMultistepScheduler", "uni_pc"),
            ("TCDScheduler", "tcd"),
            ("DDPMScheduler", "ddpm"),
            ("LMSDiscreteScheduler", "lms"),
            ("KDPM2DiscreteScheduler", "dpm_2"),
            ("KDPM2AncestralDiscreteScheduler", "dpm_2_ancestral"),
            ("DPMSolverSDEScheduler", "dpmpp_sde"),
            ("PNDMScheduler", "dpmpp_2m"),
            ("SomethingNewScheduler", "dpmpp_2m"),
        ] {
            let table = parse(&format!(r#"{{"_class_name": "{class}"}}"#)).expect("valid");
            assert_eq!(table.default_sampler(), sampler, "{class}");
        }
    }
}
