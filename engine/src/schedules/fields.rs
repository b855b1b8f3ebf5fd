//! The fields of a `scheduler_config.json`: typed access with errors that name field and file, and the
//! lists of what is honoured, what has no effect and what is refused.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{EngineError, Result};

/// Settings that do not change any result here, whatever their value: `thresholding` and kin are
/// refused, so their parameters have no effect; the rest belongs to classes that are never run.
const WITHOUT_EFFECT: &[&str] = &[
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "flow_shift",
    "time_shift_type",
    "skip_prk_steps",
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
    ("solver_p", &[]),
    // Of DDPM's noise, the kinds that no network has to predict.
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

/// Fields that `NoiseTable::parse` reads.
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
    "predict_x0",
    "disable_corrector",
];

/// The file's fields with typed access and errors that name field and file.
pub(super) struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(path: &'a Path, text: &str) -> Result<Self> {
        let remedy = "restore scheduler_config.json from the model's download";
        let value: Value = serde_json::from_str(&quote_python_numbers(text)).map_err(|error| {
            EngineError::bad_file(path, format!("no valid JSON: {error}"), remedy)
        })?;
        match value {
            Value::Object(map) => {
                let fields = Self { path, map };
                fields.refuse_unsupported()?;
                Ok(fields)
            }
            _ => Err(EngineError::bad_file(path, "not a JSON object", remedy)),
        }
    }

    fn refuse_unsupported(&self) -> Result<()> {
        let class = self.word("_class_name")?.unwrap_or_default();
        if class.contains("FlowMatch") || class.contains("EDM") {
            return Err(self.unsupported("_class_name", "use a model with a discrete noise table"));
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

    fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, Value::as_bool, "must be true or false")
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, Value::as_f64, "must be a number")
    }

    pub(super) fn word(&self, name: &str) -> Result<Option<&str>> {
        self.typed(name, Value::as_str, "must be a string")
    }

    /// A number above 0 and below 1.
    pub(super) fn unit(&self, name: &str) -> Result<Option<f64>> {
        let inside = |value: &Value| value.as_f64().filter(|number| (1e-9..1.0).contains(number));
        self.typed(name, inside, "must be a number above 0 and below 1")
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<usize>> {
        let whole = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        self.typed(name, whole, "must be a whole number, 0 or more")
    }

    pub(super) fn counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let counts = |value: &Value| -> Option<Vec<usize>> {
            let numbers = value.as_array()?.iter();
            numbers
                .map(|number| usize::try_from(number.as_u64()?).ok())
                .collect()
        };
        self.typed(name, counts, "must be a list of whole numbers, 0 or more")
    }

    pub(super) fn betas(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let betas = |value: &Value| -> Option<Vec<f32>> {
            let numbers = value.as_array()?.iter().map(|beta| {
                let beta = beta.as_f64()?;
                (beta > 0.0 && beta < 1.0).then_some(beta as f32)
            });
            numbers.collect()
        };
        self.typed(name, betas, "must be a list of numbers above 0 and below 1")
    }

    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
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

    pub(super) fn bad(&self, name: &str, want: &str) -> EngineError {
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
