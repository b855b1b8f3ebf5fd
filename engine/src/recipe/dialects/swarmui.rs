//! SwarmUI: JSON in `parameters`, under `sui_image_params`.

use serde_json::Value;

use super::{Dialect, DialectSpec, Foreign, Reader, Texts, json, names, text, without_our_words};

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::SwarmUi,
    read,
};

/// Settings that change the picture and have no counterpart here.
const UNKNOWN: &[&str] = &[
    "refinermodel",
    "refinerupscale",
    "refinercontrolpercentage",
    "variationseed",
    "variationseedstrength",
    "seamlesstileable",
    "controlnetmodel",
    "initimage",
    "initimagecreativity",
    "maskimage",
    "freeuapplyto",
];

fn read(texts: &Texts) -> Option<Foreign> {
    let all = texts.get("parameters")?.trim_start();
    let all = all.starts_with('{').then(|| json(all))??;
    let params = all.get("sui_image_params")?;
    let mut reader = Reader::comfy(texts);
    let words = text(params, "prompt").unwrap_or_default();
    reader.recipe.prompt = without_our_words(words);
    let avoid = text(params, "negativeprompt").unwrap_or_default();
    reader.recipe.negative_prompt = without_our_words(avoid);
    if words.contains("<segment:") || words.contains("<region:") || words.contains("<object:") {
        reader.note("prompt", "parts for a segment or region are read as text");
    }
    reader.size(params.get("width"), params.get("height"));
    reader.seed(params.get("seed"));
    reader.steps(params.get("steps"));
    reader.guidance(params.get("cfgscale"));
    match text(params, "sampler") {
        Some(name) => reader.sampler(Some(name)),
        // Left to itself it takes Euler.
        None => reader.recipe.sampler = "euler".to_owned(),
    }
    reader.schedule(text(params, "scheduler"));
    let name = text(params, "model");
    reader.model(name, None);
    let weights = params.get("loraweights").map(words_of).unwrap_or_default();
    for (index, name) in params
        .get("loras")
        .map(words_of)
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let weight = weights
            .get(index)
            .and_then(|weight| weight.trim().parse().ok());
        reader.lora(Some(&name), weight, None);
    }
    let listed = all.get("sui_models").and_then(Value::as_array);
    for model in listed.into_iter().flatten() {
        let known = text(model, "name").map(names::stem) == name.map(names::stem);
        // Its hash covers the tensors only, so it can match no file's.
        let param = text(model, "param");
        if param == Some("loras") {
            reader.lora(text(model, "name"), None, None);
        } else if !known && let Some(other) = text(model, "name") {
            reader.add_on(param.unwrap_or("model"), names::stem(other));
        }
    }
    reader.vae(text(params, "vae").unwrap_or_default());
    // Counted from the end, as in Python.
    let layer = params.get("clipstopatlayer").and_then(Value::as_i64);
    reader.clip_skip(layer.and_then(i64::checked_neg));
    reader.no_counterpart(params, UNKNOWN);
    reader.finish()
}

/// A list of texts, or one text with commas.
fn words_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        Value::Array(items) => {
            let word = |item: &Value| match item {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            items.iter().map(word).collect()
        }
        _ => Vec::new(),
    }
}
