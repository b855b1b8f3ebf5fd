//! InvokeAI: `invokeai_metadata` (version 3 and later), `sd-metadata` and `Dream` before.

use serde_json::Value;

use super::{Dialect, DialectSpec, Foreign, Reader, Texts, json, names, number, text, whole};
use crate::recipe::NoiseKind;

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::InvokeAi,
    read,
};

/// Settings that change the picture and have no counterpart here.
const UNKNOWN: &[&str] = &[
    "seamless_x",
    "seamless_y",
    "controlnets",
    "ipAdapters",
    "t2iAdapters",
    "hrf_enabled",
    "positive_style_prompt",
    "negative_style_prompt",
    "regions",
];

/// Settings that a refiner has of its own there; here it takes over within one run.
const OF_REFINERS: &[&str] = &["refiner_steps", "refiner_cfg_scale", "refiner_scheduler"];

fn read(texts: &Texts) -> Option<Foreign> {
    if let Some(metadata) = texts.get("invokeai_metadata") {
        return metadata_json(texts, &json(metadata)?);
    }
    if let Some(metadata) = texts.get("sd-metadata") {
        return old_json(texts, &json(metadata)?);
    }
    dream(texts, texts.get("Dream")?)
}

fn metadata_json(texts: &Texts, all: &Value) -> Option<Foreign> {
    // Graphs that make no picture from a prompt carry neither.
    all.get("positive_prompt").or_else(|| all.get("steps"))?;
    let mut reader = Reader::new(texts);
    prompt(&mut reader, text(all, "positive_prompt"));
    reader.recipe.negative_prompt = text(all, "negative_prompt").unwrap_or_default().to_owned();
    reader.size(all.get("width"), all.get("height"));
    reader.seed(all.get("seed"));
    reader.steps(all.get("steps"));
    reader.guidance(all.get("cfg_scale"));
    if let Some(phi) = all.get("cfg_rescale_multiplier").and_then(number) {
        reader.recipe.guidance_rescale = phi.clamp(0.0, 1.0);
    }
    scheduler(&mut reader, text(all, "scheduler"));
    if text(all, "rand_device") == Some("cuda") {
        reader.recipe.noise_source = NoiseKind::Philox;
    }
    let model = all.get("model").unwrap_or(&Value::Null);
    let name = text(model, "name").or_else(|| text(model, "model_name"));
    // Its hashes are BLAKE3: only the name tells.
    reader.model(name, None);
    for lora in all
        .get("loras")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let model = lora.get("model").or_else(|| lora.get("lora"));
        let name =
            model.and_then(|model| text(model, "name").or_else(|| text(model, "model_name")));
        reader.lora(name, lora.get("weight").and_then(number), None);
    }
    if let Some(strength) = all
        .get("strength")
        .filter(|_| all.get("init_image").is_some())
    {
        let strength = number(strength).unwrap_or_default();
        let why =
            format!("{strength}; the start picture is not in the file, open it to repeat this");
        reader.note("strength", why);
    }
    let vae = all.get("vae").unwrap_or(&Value::Null);
    let vae = text(vae, "name").or_else(|| text(vae, "model_name"));
    reader.vae(vae.unwrap_or_default());
    // Layers left out.
    let left_out = all.get("clip_skip").and_then(Value::as_i64);
    reader.clip_skip(left_out.map(|count| count.saturating_add(1)));
    let refiner = all.get("refiner_model").unwrap_or(&Value::Null);
    if let Some(name) = text(refiner, "name").or_else(|| text(refiner, "model_name")) {
        reader.refiner(name, all.get("refiner_start"));
        reader.no_counterpart(all, OF_REFINERS);
    }
    reader.no_counterpart(all, UNKNOWN);
    reader.finish()
}

/// The first versions: one object, the prompt as text or as weighted parts.
fn old_json(texts: &Texts, all: &Value) -> Option<Foreign> {
    let image = all.get("image")?;
    let mut reader = Reader::new(texts);
    let words = match image.get("prompt")? {
        Value::Array(parts) => {
            let parts = parts.iter().filter_map(|part| text(part, "prompt"));
            parts.collect::<Vec<_>>().join(" ")
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    with_negative(&mut reader, &words);
    reader.size(image.get("width"), image.get("height"));
    reader.seed(image.get("seed"));
    reader.steps(image.get("steps"));
    reader.guidance(image.get("cfg_scale"));
    scheduler(&mut reader, text(image, "sampler"));
    reader.model(text(all, "model_weights"), text(all, "model_hash"));
    reader.no_counterpart(
        image,
        &["seamless", "hires_fix", "threshold", "perlin", "variations"],
    );
    reader.finish()
}

/// A command line: `"words [to avoid]" -s50 -S123 -W512 -H512 -C7.5 -Ak_lms`.
fn dream(texts: &Texts, line: &str) -> Option<Foreign> {
    let (words, options) = line.trim().strip_prefix('"')?.rsplit_once('"')?;
    let mut reader = Reader::new(texts);
    with_negative(&mut reader, words);
    let mut parts = options.split_whitespace().peekable();
    let mut size = [None, None];
    let (mut steps, mut seed, mut scale, mut sampler) = (None, None, None, None);
    while let Some(part) = parts.next() {
        let Some(option) = part.strip_prefix('-') else {
            continue;
        };
        let Some(letter) = option.chars().next() else {
            continue;
        };
        let value = match &option[letter.len_utf8()..] {
            "" => parts.next().unwrap_or_default(),
            glued => glued,
        };
        let value = Value::from(value.to_owned());
        match letter {
            's' => steps = Some(value),
            'S' => seed = Some(value),
            'W' => size[0] = Some(value),
            'H' => size[1] = Some(value),
            'C' => scale = Some(value),
            'A' => sampler = Some(value),
            other => reader.note(&format!("-{other}"), "has no counterpart here"),
        }
    }
    whole(seed.as_ref()?)?;
    reader.size(size[0].as_ref(), size[1].as_ref());
    reader.steps(steps.as_ref());
    reader.seed(seed.as_ref());
    reader.guidance(scale.as_ref());
    scheduler(&mut reader, sampler.as_ref().and_then(Value::as_str));
    reader.model(None, None);
    reader.finish()
}

/// Names such as `dpmpp_2m_k`: the `_k` is a Karras schedule.
fn scheduler(reader: &mut Reader, name: Option<&str>) {
    let Some(name) = name else {
        reader.sampler(None);
        return;
    };
    let name = name.strip_prefix("k_").unwrap_or(name);
    let (sampler, schedule) = names::with_schedule(name);
    reader.sampler(Some(sampler));
    reader.schedule(schedule);
}

fn prompt(reader: &mut Reader, words: Option<&str>) {
    let words = words.unwrap_or_default();
    reader.recipe.prompt = words.to_owned();
    let weighs = ["++", "--", ")+", ")-", ".swap(", ".blend(", ".and("];
    if weighs.iter().any(|sign| words.contains(sign)) {
        let why = "InvokeAI's own weights (+, -, swap, blend) are read as text";
        reader.note("prompt", why);
    }
}

/// What is to be avoided stood in square brackets.
fn with_negative(reader: &mut Reader, words: &str) {
    let mut positive = String::new();
    let mut negative: Vec<&str> = Vec::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, after)) = after.split_once(']') else {
            break;
        };
        positive.push_str(before);
        negative.push(inside);
        rest = after;
    }
    positive.push_str(rest);
    prompt(reader, Some(positive.trim()));
    reader.recipe.negative_prompt = negative.join(", ");
}
