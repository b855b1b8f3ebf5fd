//! PEFT's own settings beside the tensors: diffusers writes them into the file's metadata where
//! kohya writes an `alpha` for each module.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The text they lie in.
const KEY: &str = "lora_adapter_metadata";

/// Alphas by part and module.
#[derive(Debug, Default)]
pub(super) struct Alphas(Map<String, Value>);

impl Alphas {
    /// Malformed ones say nothing, as if they were not there.
    pub(super) fn read(metadata: &BTreeMap<String, String>) -> Self {
        let text = metadata.get(KEY);
        Self(
            text.and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        )
    }

    /// Factor on a module's product by these settings, for a rank; 1 where they say nothing.
    pub(super) fn scale(&self, folder: &str, module: &str, rank: usize) -> f64 {
        let field = |name: &str| self.0.get(&format!("{folder}.{name}"));
        let own = field("alpha_pattern")
            .and_then(Value::as_object)
            .and_then(|patterns| {
                let mut fitting = patterns.iter();
                let fitting = fitting.find(|(pattern, _)| module.ends_with(pattern.as_str()))?;
                fitting.1.as_f64()
            });
        let alpha = own.or_else(|| field("lora_alpha").and_then(Value::as_f64));
        let stabilised = field("use_rslora").and_then(Value::as_bool) == Some(true);
        let rank = rank as f64;
        let divisor = if stabilised { rank.sqrt() } else { rank };
        alpha
            .filter(|alpha| alpha.is_finite())
            .map_or(1.0, |alpha| alpha / divisor)
    }
}
