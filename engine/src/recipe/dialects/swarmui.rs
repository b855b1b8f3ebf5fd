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
    let listed = all.get("sui_models").and_then(Value::as_array);
    for model in listed.into_iter().flatten() {
        let known = text(model, "name").map(names::stem) == name.map(names::stem);
        // Its hash covers the tensors only, so it can match no file's.
        if !known && let Some(other) = text(model, "name") {
            reader.add_on(text(model, "param").unwrap_or("model"), names::stem(other));
        }
    }
    reader.vae(text(params, "vae").unwrap_or_default());
    // Counted from the end, as in Python.
    let layer = params.get("clipstopatlayer").and_then(Value::as_i64);
    reader.clip_skip(layer.and_then(i64::checked_neg));
    reader.no_counterpart(params, UNKNOWN);
    reader.finish()
}
