//! Reads a diffusers `scheduler_config.json` into [`NoiseTable`]: the noise levels a model was trained
//! with and the choices its makers made about stepping through them. Every field is honoured, known
//! not to matter, or refused by name: none is ignored.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::class::ReferenceClass;
use crate::error::{EngineError, Result};

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
    pub(super) karras: bool,
    pub(super) exponential: bool,
    pub(super) clip_sample: Option<bool>,
    pub(super) clip_range: f64,
    pub(super) dpm: DpmOptions,
    pub(super) original_inference_steps: usize,
    pub(super) timestep_scaling: f64,
    sde: bool,
}

/// Options of the DPM-Solver++ samplers (diffusers' `DPMSolverMultistepScheduler`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmOptions {
    /// Order of the multistep update: 1 or 2.
    pub order: usize,
    /// Second-order term by Heun's rule instead of the midpoint rule.
    pub heun: bool,
    /// First order for the last step of runs under 15 steps.
    pub lower_order_final: bool,
    /// First order for the last step of every run.
    pub euler_at_final: bool,
    /// Levels with `ln(alpha / sigma)` below this are left out.
    pub lambda_min: f64,
}

impl NoiseTable {
    /// Parses the text of the scheduler config that lies at `path` (named in errors only).
    ///
    /// # Errors
    /// `BadFile` when it is no JSON object or a field has the wrong type or an impossible value;
    /// `UnsupportedModel` naming the field when a setting cannot be honoured.
    pub fn parse(path: &Path, text: &str, rules: PipelineRules) -> Result<Self> {
        let fields = Fields::read(path, text)?;
        fields.refuse_unsupported()?;
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
            karras: fields.flag("use_karras_sigmas")?.unwrap_or(false),
            exponential: fields.flag("use_exponential_sigmas")?.unwrap_or(false),
            clip_sample: fields.flag("clip_sample")?,
            clip_range: fields.number("clip_sample_range")?.unwrap_or(1.0),
            dpm: fields.dpm_options()?,
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

    /// Options of the DPM++ samplers; the defaults for every other class, which does not know them.
    ///
    /// # Errors
    /// `UnsupportedModel` when the file asks for an order that is not there.
    pub(crate) fn dpm_options_for(&self, class: ReferenceClass) -> Result<DpmOptions> {
        if class == ReferenceClass::DpmMultistep && !(1..=2).contains(&self.dpm.order) {
            return Err(EngineError::UnsupportedModel {
                path: self.path.clone(),
                found: format!("`solver_order`: {}", self.dpm.order),
                remedy: "choose another sampler: DPM++ runs with order 1 or 2 here".to_owned(),
            });
        }
        Ok(self.dpm)
    }

    /// LCM's factor on timesteps in its boundary condition.
    pub(crate) fn timestep_scaling(&self) -> f64 {
        self.timestep_scaling
    }

    /// Id of the sampler the model's own scheduler class names; DPM++ 2M for PNDM and classes that
    /// have no counterpart here.
    pub fn default_sampler(&self) -> &'static str {
        match ReferenceClass::named(&self.class_name) {
            Some(ReferenceClass::Ddim) => "ddim",
            Some(ReferenceClass::Euler) => "euler",
            Some(ReferenceClass::EulerAncestral) => "euler_a",
            Some(ReferenceClass::Heun) => "heun",
            Some(ReferenceClass::Lcm) => "lcm",
            Some(ReferenceClass::DpmMultistep) if self.sde => "dpmpp_2m_sde",
            Some(ReferenceClass::DpmMultistep) | None => "dpmpp_2m",
        }
    }
}

/// Settings that do not change any result here, whatever their value: `thresholding` and kin are
/// refused, so their parameters have no effect; the rest belongs to classes that are never run.
const WITHOUT_EFFECT: &[&str] = &[
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "flow_shift",
    "time_shift_type",
    "skip_prk_steps",
    "predict_x0",
    "disable_corrector",
    "solver_p",
    "lower_order_second",
];

/// Settings that are accepted at these values only (the reference's defaults).
const ONLY_AT: &[(&str, &[&str])] = &[
    ("thresholding", &["false"]),
    ("interpolation_type", &["\"linear\""]),
    ("timestep_type", &["\"discrete\""]),
    ("use_beta_sigmas", &["false"]),
    ("use_lu_lambdas", &["false"]),
    ("use_flow_sigmas", &["false"]),
    ("use_dynamic_shifting", &["false"]),
    ("sigma_min", &[]),
    ("sigma_max", &[]),
    // Only the noise of DDPM, which is not among the samplers, depends on these three.
    (
        "variance_type",
        &[
            "\"fixed_small\"",
            "\"fixed_small_log\"",
            "\"fixed_large\"",
            "\"fixed_large_log\"",
        ],
    ),
];

/// Fields read by [`NoiseTable::parse`].
const HONOURED: &[&str] = &[
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
    "steps_offset",
    "set_alpha_to_one",
    "rescale_betas_zero_snr",
    "final_sigmas_type",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "clip_sample",
    "clip_sample_range",
    "algorithm_type",
    "solver_order",
    "solver_type",
    "lower_order_final",
    "euler_at_final",
    "lambda_min_clipped",
    "original_inference_steps",
    "timestep_scaling",
];

/// The file's fields with typed access and errors that name field and file.
struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn read(path: &'a Path, text: &str) -> Result<Self> {
        let remedy = "restore scheduler_config.json from the model's download";
        let value: Value = serde_json::from_str(&quote_python_numbers(text)).map_err(|error| {
            EngineError::bad_file(path, format!("no valid JSON: {error}"), remedy)
        })?;
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            _ => Err(EngineError::bad_file(path, "not a JSON object", remedy)),
        }
    }

    fn refuse_unsupported(&self) -> Result<()> {
        let class = self.word("_class_name")?.unwrap_or_default();
        if class.contains("FlowMatch") || class.contains("EDM") {
            return Err(self.unsupported("_class_name", "use a model with a discrete noise table"));
        }
        if self.flag("use_karras_sigmas")? == Some(true)
            && self.flag("use_exponential_sigmas")? == Some(true)
        {
            return Err(self.bad("use_exponential_sigmas", "excludes use_karras_sigmas"));
        }
        for (name, value) in &self.map {
            let name = name.as_str();
            if name.starts_with('_') || HONOURED.contains(&name) || WITHOUT_EFFECT.contains(&name) {
                continue;
            }
            let switched_off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            let accepted = ONLY_AT
                .iter()
                .find(|(known, _)| *known == name)
                .is_some_and(|(_, values)| values.contains(&value.to_string().as_str()));
            if !switched_off && !accepted {
                return Err(self.unsupported(
                    name,
                    "remove the field if the model works without it, or use another model",
                ));
            }
        }
        Ok(())
    }

    fn dpm_options(&self) -> Result<DpmOptions> {
        let lambda_min = match self.map.get("lambda_min_clipped") {
            Some(Value::String(word)) if word == "-Infinity" => f64::NEG_INFINITY,
            _ => self
                .number("lambda_min_clipped")?
                .unwrap_or(f64::NEG_INFINITY),
        };
        Ok(DpmOptions {
            order: self.count("solver_order")?.unwrap_or(2),
            heun: self
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
            lower_order_final: self.flag("lower_order_final")?.unwrap_or(true),
            euler_at_final: self.flag("euler_at_final")?.unwrap_or(false),
            lambda_min,
        })
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, Value::as_bool, "must be true or false")
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, Value::as_f64, "must be a number")
    }

    fn word(&self, name: &str) -> Result<Option<&str>> {
        self.typed(name, Value::as_str, "must be a string")
    }

    /// A number above 0 and below 1.
    fn unit(&self, name: &str) -> Result<Option<f64>> {
        let inside = |value: &Value| value.as_f64().filter(|number| (1e-9..1.0).contains(number));
        self.typed(name, inside, "must be a number above 0 and below 1")
    }

    fn count(&self, name: &str) -> Result<Option<usize>> {
        let whole = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        self.typed(name, whole, "must be a whole number, 0 or more")
    }

    fn betas(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let betas = |value: &Value| -> Option<Vec<f32>> {
            let numbers = value.as_array()?.iter().map(|beta| {
                let beta = beta.as_f64()?;
                (beta > 0.0 && beta < 1.0).then_some(beta as f32)
            });
            numbers.collect()
        };
        self.typed(name, betas, "must be a list of numbers above 0 and below 1")
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(word) = self.word(name)? else {
            return Ok(None);
        };
        match choices.iter().find(|(known, _)| *known == word) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let known: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
                Err(self.unsupported(name, &format!("supported: {}", known.join(", "))))
            }
        }
    }

    fn typed<'s, T>(
        &'s self,
        name: &str,
        read: impl Fn(&'s Value) -> Option<T>,
        want: &str,
    ) -> Result<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.bad(name, want)),
        }
    }

    fn bad(&self, name: &str, want: &str) -> EngineError {
        EngineError::bad_file(
            self.path,
            format!("field `{name}`: {want}"),
            "restore the file from the model's download",
        )
    }

    fn unsupported(&self, name: &str, remedy: &str) -> EngineError {
        let value = self.map.get(name).map(Value::to_string).unwrap_or_default();
        EngineError::UnsupportedModel {
            path: self.path.to_owned(),
            found: format!("`{name}`: {value}"),
            remedy: remedy.to_owned(),
        }
    }
}

/// Puts quotes around Python's `NaN`, `Infinity` and `-Infinity`, which diffusers writes but JSON
/// does not know.
fn quote_python_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut in_string, mut escaped) = (false, false);
    while let Some(letter) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            out.push('"');
            out.push_str(word);
            out.push('"');
            rest = &rest[word.len()..];
            continue;
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("PNDMScheduler", "dpmpp_2m"),
            ("SomethingNewScheduler", "dpmpp_2m"),
        ] {
            let table = parse(&format!(r#"{{"_class_name": "{class}"}}"#)).expect("valid");
            assert_eq!(table.default_sampler(), sampler, "{class}");
        }
    }
}
