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
    for (kind, key) in [
        (AddOnKind::Lora, LORA_HASHES),
        (AddOnKind::Embedding, TI_HASHES),
    ] {
        let prefix = kind.prefix();
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
    let add_ons = &mut recipe.add_ons;
    let mut put = |kind: AddOnKind, name: &str, digits: &str| {
        let (name, digits) = (name.trim(), digits.trim().to_ascii_lowercase());
        let is_hash = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash && add_ons.pinned(kind, name).is_none() {
            add_ons.pin(kind, name, digits);
        }
    };
    for (key, value) in pairs {
        let kind = match key.as_str() {
            LORA_HASHES => AddOnKind::Lora,
            TI_HASHES => AddOnKind::Embedding,
            HASHES => {
                let all: Map<String, Value> = serde_json::from_str(value).unwrap_or_default();
                for (name, digits) in &all {
                    if let Some((kind, name)) = kind_of(name)
                        && let Some(digits) = digits.as_str()
                    {
                        put(kind, name, digits);
                    }
                }
                continue;
            }
            _ => continue,
        };
        for entry in value.split(',') {
            if let Some((name, digits)) = entry.rsplit_once(':') {
                put(kind, name, digits);
            }
        }
    }
}

/// Kind and name of a key of Civitai's object: `lora:NAME`, `lyco:NAME`, `embed:NAME`.
fn kind_of(key: &str) -> Option<(AddOnKind, &str)> {
    let (prefix, name) = key.split_once(':')?;
    match prefix {
        "lora" | "lyco" => Some((AddOnKind::Lora, name)),
        "embed" => Some((AddOnKind::Embedding, name)),
        _ => None,
    }
}
