//! Fooocus: JSON in `parameters` (its other scheme is A1111's text), `fooocus_scheme` beside it.

use serde_json::Value;

use super::{Dialect, DialectSpec, Foreign, Reader, Texts, json, number, text, without_our_words};

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::Fooocus,
    read,
};

/// Steps that stand behind the words for speed.
const PERFORMANCES: &[(&str, u32)] = &[
    ("Quality", 60),
    ("Speed", 30),
    ("Extreme Speed", 8),
    ("Lightning", 4),
    ("Hyper-SD", 4),
];

/// Settings that change the picture and have no counterpart here.
const UNKNOWN: &[&str] = &[
    "styles",
    "sharpness",
    "adm_guidance",
    "freeu",
    "adaptive_cfg",
    "inpaint_engine_version",
];

fn read(texts: &Texts) -> Option<Foreign> {
    let all = texts.get("parameters")?.trim_start();
    let all = all.starts_with('{').then(|| json(all))??;
    text(&all, "base_model").or_else(|| text(&all, "performance"))?;
    let mut reader = Reader::comfy(texts);
    reader.recipe.prompt = without_our_words(text(&all, "prompt").unwrap_or_default());
    let avoid = text(&all, "negative_prompt").unwrap_or_default();
    reader.recipe.negative_prompt = without_our_words(avoid);
    if let Some([width, height]) = text(&all, "resolution").and_then(resolution) {
        (reader.recipe.width_px, reader.recipe.height_px) = (width, height);
    }
    reader.seed(all.get("seed"));
    let performance = text(&all, "performance");
    let usual = PERFORMANCES
        .iter()
        .find(|(name, _)| performance == Some(*name));
    match (all.get("steps"), usual) {
        (None, Some((_, steps))) => reader.recipe.steps = *steps,
        (steps, _) => reader.steps(steps),
    }
    reader.guidance(all.get("guidance_scale"));
    reader.sampler(text(&all, "sampler"));
    reader.schedule(text(&all, "scheduler"));
    reader.model(text(&all, "base_model"), text(&all, "base_model_hash"));
    for lora in all
        .get("loras")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = lora.get(0).and_then(Value::as_str);
        reader.lora(name, lora.get(1).and_then(number), None);
    }
    for (key, value) in all.as_object().into_iter().flatten() {
        if key.starts_with("lora_combined_") {
            let both = value.as_str().unwrap_or_default();
            let (name, weight) = both.rsplit_once(" : ").unwrap_or((both, ""));
            reader.lora(Some(name), weight.trim().parse().ok(), None);
        }
    }
    reader.clip_skip(all.get("clip_skip").and_then(Value::as_i64));
    reader.vae(text(&all, "vae").unwrap_or_default());
    reader.no_counterpart(&all, UNKNOWN);
    if let Some(name) = text(&all, "refiner_model").filter(|name| !matches!(*name, "" | "None")) {
        reader.refiner(name, all.get("refiner_switch"));
        let why = "is counted in noise levels here, in steps there";
        reader.note("refiner_switch", why);
    }
    reader.finish()
}

/// `(1024, 768)`.
fn resolution(text: &str) -> Option<[u32; 2]> {
    let (width, height) = text.trim_matches(['(', ')', ' ']).split_once(',')?;
    Some([width.trim().parse().ok()?, height.trim().parse().ok()?])
}
