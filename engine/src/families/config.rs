//! Strict reading of a model's `config.json`: every field is used, or checked to be at its default,
//! or an error that names it. Nothing is ignored silently.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::error::{EngineError, Result};
use crate::weights::files::ModelFiles;

/// A config file being read.
pub struct Config {
    path: PathBuf,
    fields: Map<String, Value>,
    seen: BTreeSet<String>,
}

impl Config {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// As [`ModelFiles::config`].
    pub fn read(files: &ModelFiles, relative: &str) -> Result<Self> {
        let fields = files.config(relative)?;
        Ok(Self {
            path: files.label(relative),
            fields,
            seen: BTreeSet::new(),
        })
    }

    /// The value of a field; `None` when absent or null.
    pub fn value(&mut self, name: &str) -> Option<&Value> {
        self.seen.insert(name.to_owned());
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_null)
    }

    /// A whole number in 1 to 2^20, or the default.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn count(&mut self, name: &str, default: usize) -> Result<usize> {
        Ok(self.optional_count(name)?.unwrap_or(default))
    }

    /// A whole number in 1 to 2^20, if present.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn optional_count(&mut self, name: &str) -> Result<Option<usize>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match as_count(value) {
                Some(count) => Ok(Some(count)),
                None => Err(self.bad(name, "must be a whole number from 1 to 1048576")),
            },
        }
    }

    /// One count for all of `len` levels, or a list with one each.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn counts(&mut self, name: &str, len: usize, default: usize) -> Result<Vec<usize>> {
        match self.value(name).cloned() {
            None => Ok(vec![default; len]),
            Some(Value::Array(items)) if items.len() == len => items
                .iter()
                .map(as_count)
                .collect::<Option<_>>()
                .ok_or_else(|| self.bad(name, "must hold whole numbers from 1 to 1048576")),
            Some(Value::Array(_)) => Err(self.bad(name, &format!("must have {len} entries"))),
            Some(value) => match as_count(&value) {
                Some(count) => Ok(vec![count; len]),
                None => Err(self.bad(name, "must be a whole number or a list of them")),
            },
        }
    }

    /// A list of counts, of any length from 1 to 16.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn count_list(&mut self, name: &str, default: &[usize]) -> Result<Vec<usize>> {
        match self.value(name) {
            None => Ok(default.to_vec()),
            Some(Value::Array(items)) if (1..=16).contains(&items.len()) => {
                let counts: Option<Vec<_>> = items.iter().map(as_count).collect();
                counts.ok_or_else(|| self.bad(name, "must hold whole numbers from 1 to 1048576"))
            }
            Some(_) => Err(self.bad(name, "must be a list of 1 to 16 whole numbers")),
        }
    }

    /// A finite number, or the default.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn number(&mut self, name: &str, default: f64) -> Result<f64> {
        match self.value(name) {
            None => Ok(default),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(number),
                None => Err(self.bad(name, "must be a number")),
            },
        }
    }

    /// A yes or no, or the default.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(name, "must be true or false")),
        }
    }

    /// A text, or the default.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn text(&mut self, name: &str, default: &str) -> Result<String> {
        match self.value(name) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.bad(name, "must be a text")),
        }
    }

    /// A list of texts, or the default.
    ///
    /// # Errors
    /// `BadFile` for anything else.
    pub fn texts(&mut self, name: &str, default: &[&str]) -> Result<Vec<String>> {
        match self.value(name) {
            None => Ok(default.iter().map(|&text| text.to_owned()).collect()),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => Ok(items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()),
            Some(_) => Err(self.bad(name, "must be a list of texts")),
        }
    }

    /// Accepts a field only at one of these values (absent and null count as the first).
    ///
    /// # Errors
    /// `UnsupportedModel` that names the field and its value.
    pub fn only(&mut self, name: &str, accepted: &[Value]) -> Result<()> {
        let Some(value) = self.value(name).cloned() else {
            return Ok(());
        };
        let same = |wanted: &Value| match (wanted.as_f64(), value.as_f64()) {
            (Some(wanted), Some(value)) => (wanted - value).abs() < 1e-12,
            _ => *wanted == value,
        };
        if accepted.iter().any(same) {
            Ok(())
        } else {
            Err(self.unsupported(name, &value))
        }
    }

    /// Fields that have no effect on a finished network (training, housekeeping).
    pub fn skip(&mut self, names: &[&str]) {
        self.seen.extend(names.iter().map(|&name| name.to_owned()));
    }

    /// Ends the reading: fields that nobody read must be null, false, empty or start with `_`.
    ///
    /// # Errors
    /// `UnsupportedModel` that names the first other field.
    pub fn finish(self) -> Result<()> {
        for (name, value) in &self.fields {
            let idle = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                Value::String(text) => text.is_empty(),
                _ => false,
            };
            if !idle && !name.starts_with('_') && !self.seen.contains(name) {
                return Err(self.unsupported(name, value));
            }
        }
        Ok(())
    }

    /// A field of the wrong kind.
    pub fn bad(&self, name: &str, why: &str) -> EngineError {
        EngineError::bad_file(
            &self.path,
            format!("“{name}” {why}"),
            "copy the file again from where the model came from",
        )
    }

    /// A field at a value this build cannot run.
    pub fn unsupported(&self, name: &str, value: &Value) -> EngineError {
        let mut shown = value.to_string();
        if shown.len() > 80 {
            shown = shown.chars().take(80).chain("…".chars()).collect();
        }
        EngineError::UnsupportedModel {
            path: self.path.clone(),
            found: format!("“{name}” is {shown}"),
            remedy: "this version cannot run such a network: choose another model".to_owned(),
        }
    }
}

fn as_count(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .filter(|count| (1..=1 << 20).contains(count))
        .map(|count| count as usize)
}
