//! Add-ons in A1111's text: tags in the prompt, and beside it which files they meant.

use serde_json::{Map, Value};

use super::super::{AddOnKind, AddOnMade, Recipe, Record};
use crate::prompt::extra_networks::NamedAddOn;

const LORA_HASHES: &str = "Lora hashes";
const TI_HASHES: &str = "TI hashes";
/// Civitai's key: a JSON object, not quoted.
pub(super) const HASHES: &str = "Hashes";

/// Digits that A1111 gives of an add-on's hash.
const DIGITS: usize = 12;
/// Digits of a model's.
const MODEL_DIGITS: usize = 10;

/// The recipe's list as tags, to stand behind its prompt.
pub(super) fn tags(recipe: &Recipe) -> String {
    let used = recipe.add_ons.used.iter();
    let tag = |name: &str, unet: f64, text: f64| NamedAddOn {
        name: name.to_owned(),
        unet,
        text,
    };
    used.map(|one| format!(" {}", tag(&one.name, one.unet, one.text)))
        .collect()
}

/// `Lora hashes`, `TI hashes` and Civitai's `Hashes` of what took part in the picture.
pub(super) fn hashes(record: &Record) -> Vec<(&'static str, String)> {
    let made = &record.outcome.add_ons;
    let short = |one: &AddOnMade| one.hash.get(..DIGITS).unwrap_or(&one.hash).to_owned();
    let mut pairs = Vec::new();
    let mut all = Map::new();
    if let Some(model) = record.recipe.model.sha256.as_deref() {
        let digits = model.get(..MODEL_DIGITS).unwrap_or(model);
        all.insert("model".to_owned(), Value::from(digits));
    }
    for (kind, key, prefix) in [
        (AddOnKind::Lora, LORA_HASHES, "lora"),
        (AddOnKind::Embedding, TI_HASHES, "embed"),
    ] {
        let mut listed: Vec<String> = Vec::new();
        for one in made.iter().filter(|one| one.kind == kind) {
            let entry = format!("{}: {}", one.name, short(one));
            if !listed.contains(&entry) {
                listed.push(entry);
            }
            all.insert(format!("{prefix}:{}", one.name), Value::from(short(one)));
        }
        if !listed.is_empty() {
            pairs.push((key, listed.join(", ")));
        }
    }
    if !pairs.is_empty() {
        pairs.push((HASHES, Value::Object(all).to_string()));
    }
    pairs
}

/// Reads which files the names in the prompts meant.
pub(super) fn read(recipe: &mut Recipe, pairs: &[(String, String)]) {
    let hashes = &mut recipe.add_ons.hashes;
    let mut put = |name: &str, digits: &str| {
        let digits = digits.trim().to_ascii_lowercase();
        if digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            hashes.entry(name.trim().to_owned()).or_insert(digits);
        }
    };
    for (key, value) in pairs {
        match key.as_str() {
            LORA_HASHES | TI_HASHES => {
                for entry in value.split(',') {
                    if let Some((name, digits)) = entry.rsplit_once(':') {
                        put(name, digits);
                    }
                }
            }
            HASHES => {
                let all: Map<String, Value> = serde_json::from_str(value).unwrap_or_default();
                for (name, digits) in &all {
                    let add_on = name.split_once(':');
                    if let (Some((_, name)), Some(digits)) = (add_on, digits.as_str()) {
                        put(name, digits);
                    }
                }
            }
            _ => {}
        }
    }
}
