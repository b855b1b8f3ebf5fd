//! A1111's text: prompt lines, `Negative prompt: ` lines, and a last line of `Key: value` pairs.
//! The most widely read dialect, so every picture carries it; whoever reads it gets what A1111
//! would have understood, with a note for each setting that has no counterpart here.

use super::super::{InpaintArea, MaskedContent, NoiseKind, Recipe, Record};
use super::{Dialect, DialectSpec, Foreign, blank, names};
use crate::prompt::{PromptSyntax, Weighting};
use crate::{samplers, schedules};

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::A1111,
    read: |texts| {
        let (recipe, notes) = read(texts.get("parameters")?, texts.size_px)?;
        Some(Foreign { recipe, notes })
    },
};
use super::{a1111_add_ons, a1111_knobs, a1111_network, a1111_refiner};

/// Our sampler id, A1111's name (of the last two: Forge's), and the schedule that A1111 takes when it
/// is left to choose; `model` for those that step through timesteps of their own.
const SAMPLERS: &[(&str, &str, &str)] = &[
    ("euler", "Euler", "normal"),
    ("euler_a", "Euler a", "normal"),
    ("heun", "Heun", "normal"),
    ("lms", "LMS", "normal"),
    ("dpm_2", "DPM2", "karras"),
    ("dpm_2_ancestral", "DPM2 a", "karras"),
    ("dpmpp_2s_ancestral", "DPM++ 2S a", "karras"),
    ("dpmpp_2m", "DPM++ 2M", "karras"),
    ("dpmpp_sde", "DPM++ SDE", "karras"),
    ("dpmpp_2m_sde", "DPM++ 2M SDE", "exponential"),
    ("dpmpp_3m_sde", "DPM++ 3M SDE", "exponential"),
    ("restart", "Restart", "karras"),
    ("ddim", "DDIM", "model"),
    ("uni_pc", "UniPC", "model"),
    ("lcm", "LCM", "model"),
    ("ddpm", "DDPM", "model"),
    ("tcd", "TCD", "model"),
];

/// Our schedule id and A1111's name (of the last: Forge's). See [`uniform`] for “Uniform”.
const SCHEDULES: &[(&str, &str)] = &[
    ("model", UNIFORM),
    ("karras", "Karras"),
    ("exponential", "Exponential"),
    ("polyexponential", "Polyexponential"),
    ("simple", "Simple"),
    ("normal", "Normal"),
    ("sgm_uniform", "SGM Uniform"),
    ("kl_optimal", "KL Optimal"),
    ("align_your_steps", "Align Your Steps"),
    ("beta", "Beta"),
    ("linear_quadratic", "Linear Quadratic"),
];

const UNIFORM: &str = "Uniform";

/// Schedules that are ComfyUI's here, and a bit different in A1111.
const OTHERWISE_IN_A1111: &[&str] = &["kl_optimal", "beta"];

/// What our own texts begin their version with.
const PROGRAM: &str = "Pentimento";

const CONTENTS: &[(MaskedContent, &str)] = &[
    (MaskedContent::Original, "original"),
    (MaskedContent::Fill, "fill"),
    (MaskedContent::Noise, "latent noise"),
    (MaskedContent::Nothing, "latent nothing"),
];

const NEGATIVE: &str = "Negative prompt:";

/// A last line with fewer pairs is prompt text.
const FEWEST_PAIRS: usize = 3;

/// Longest key that is looked for, in letters.
const LONGEST_KEY: usize = 64;

/// Keys that say nothing about the pixels, or that are read elsewhere.
const SILENT: &[&str] = &[
    "Version",
    "Hashes",
    "Lora hashes",
    "TI hashes",
    "Init image hash",
    "Schedule type",
    "Masked area padding",
    "Masked content",
    "Mask blur",
    "Inpaint area",
    "User",
    a1111_refiner::MODEL,
    a1111_refiner::SWITCH,
];

/// Writes a record as A1111 does, in its order of keys.
pub fn write(record: &Record) -> String {
    let recipe = &record.recipe;
    let mut text = recipe.prompt.trim().to_owned();
    text.push_str(&a1111_add_ons::tags(recipe));
    let negative = recipe.negative_prompt.trim();
    if !negative.is_empty() {
        text.push_str(&format!("\n{NEGATIVE} {negative}"));
    }
    let known = SAMPLERS.iter().find(|(id, ..)| *id == recipe.sampler);
    let label = || samplers::find(&recipe.sampler).map(|spec| spec.label);
    let sampler = match known {
        Some((_, name, _)) => name,
        None => label().unwrap_or(&recipe.sampler),
    };
    let known = SCHEDULES.iter().find(|(id, _)| *id == recipe.schedule);
    let label = || schedules::find(&recipe.schedule).map(|spec| spec.label);
    let schedule = match known {
        Some((_, name)) => name,
        None => label().unwrap_or(&recipe.schedule),
    };
    let mut pairs = vec![
        ("Steps", recipe.steps.to_string()),
        ("Sampler", sampler.to_owned()),
        ("Schedule type", schedule.to_owned()),
        ("CFG scale", recipe.guidance.to_string()),
        ("Seed", recipe.seed.to_string()),
        ("Size", format!("{}x{}", recipe.width_px, recipe.height_px)),
    ];
    if let Some(hash) = recipe.model.sha256.as_deref().and_then(|h| h.get(..10)) {
        pairs.push(("Model hash", hash.to_owned()));
    }
    pairs.push(("Model", recipe.model.id.clone()));
    a1111_network::write_vae(recipe, &mut pairs);
    if let Some(start) = &recipe.start {
        pairs.push(("Denoising strength", start.strength.to_string()));
    }
    let source = match recipe.noise_source {
        NoiseKind::TorchCpu => "CPU",
        NoiseKind::Philox => "NV",
    };
    pairs.push(("RNG", source.to_owned()));
    if recipe.guidance_rescale != 0.0 {
        pairs.push(("CFG Rescale", recipe.guidance_rescale.to_string()));
    }
    if let Some(scale) = recipe.image_guidance {
        pairs.push(("Image CFG scale", scale.to_string()));
    }
    a1111_knobs::write(recipe, &mut pairs);
    a1111_network::write(recipe, &mut pairs);
    a1111_refiner::write(recipe, &mut pairs);
    if let Some(inpaint) = recipe.start.as_ref().and_then(|s| s.inpaint.as_ref()) {
        pairs.push(("Mask blur", inpaint.blur_px.to_string()));
        if let InpaintArea::OnlyMasked { padding_px } = inpaint.area {
            pairs.push(("Inpaint area", "Only masked".to_owned()));
            pairs.push(("Masked area padding", padding_px.to_string()));
        }
        if let Some((_, name)) = CONTENTS.iter().find(|(kind, _)| *kind == inpaint.content)
            && inpaint.content != MaskedContent::Original
        {
            pairs.push(("Masked content", (*name).to_owned()));
        }
    }
    pairs.extend(a1111_add_ons::hashes(record));
    pairs.extend(emphasis(recipe).map(|name| ("Emphasis", name.to_owned())));
    if let Some(template) = &recipe.prompting.template {
        pairs.push(("Template", template.prompt.clone()));
        pairs.push(("Negative Template", template.negative_prompt.clone()));
    }
    let build = record.outcome.build.trim_start_matches("pentimento").trim();
    pairs.push(("Version", format!("{PROGRAM} {build}").trim().to_owned()));
    let line: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| match key {
            a1111_add_ons::HASHES => format!("{key}: {value}"),
            _ => format!("{key}: {}", quoted(value)),
        })
        .collect();
    text.push('\n');
    text.push_str(&line.join(", "));
    text
}

/// A1111's word for how weights are read, where it is not its default. Our third maths has none.
fn emphasis(recipe: &Recipe) -> Option<&'static str> {
    match (recipe.prompting.syntax, recipe.prompting.weighting) {
        (PromptSyntax::Plain, _) => Some("None"),
        (_, Weighting::A1111) => None,
        (_, Weighting::NoNorm) => Some("No norm"),
        (_, Weighting::ComfyUi) => Some("ComfyUI"),
    }
}

/// A1111 quotes what its own scanner would split.
fn quoted(value: String) -> String {
    if value.contains([',', ':', '\n', '"']) {
        serde_json::Value::String(value).to_string()
    } else {
        value
    }
}

/// Reads A1111's text. `size_px` is the picture's own size, used when the text names none. Returns
/// the recipe and a note for each setting that could not be honoured; `None` when the text is
/// another program's (it starts like JSON) or holds no settings.
pub fn read(text: &str, size_px: [u32; 2]) -> Option<(Recipe, Vec<String>)> {
    let text = text.trim();
    if text.starts_with('{') {
        return None;
    }
    let (body, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let pairs = pairs(last);
    if pairs.len() < FEWEST_PAIRS {
        return None;
    }
    let (prompt, negative_prompt) = prompts(body);
    let mut notes = Vec::new();
    let mut recipe = Recipe {
        prompt,
        negative_prompt,
        // A1111 leaves the key out for the graphics card's generator.
        noise_source: NoiseKind::Philox,
        ..blank(size_px)
    };
    let value = |key: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    };
    for key in ["Steps", "Seed", "CFG scale", "Sampler"] {
        if value(key).is_none() {
            notes.push(format!("{key}: not in the file, a usual value was taken"));
        }
    }
    if let Some(name) = value("Sampler") {
        sampler(&mut recipe, name, &value, &mut notes);
    }
    a1111_knobs::read(&mut recipe, &pairs, &mut notes);
    a1111_refiner::read(&mut recipe, &value, &mut notes);
    for (key, value) in &pairs {
        if let Some(note) = setting(&mut recipe, key, value) {
            notes.push(format!("{key}: {note}"));
        }
    }
    a1111_network::read(&mut recipe, &pairs, &mut notes);
    a1111_add_ons::read(&mut recipe, &pairs);
    Some((recipe, notes))
}

/// Sampler and schedule belong together: older files name both at once (“DPM++ 2M Karras”).
fn sampler<'a>(
    recipe: &mut Recipe,
    name: &str,
    value: &impl Fn(&str) -> Option<&'a str>,
    notes: &mut Vec<String>,
) {
    let suffix = SCHEDULES
        .iter()
        .filter_map(|(id, suffix)| Some((*id, name.strip_suffix(suffix)?.trim_end())))
        .filter(|(_, stem)| !stem.is_empty())
        .min_by_key(|(_, stem)| stem.len())
        // sd.cpp's spelling.
        .or_else(|| match names::with_schedule(name) {
            (stem, Some(schedule)) => Some((schedule, stem)),
            _ => None,
        });
    let stem = suffix.map_or(name, |(_, stem)| stem);
    let known = SAMPLERS
        .iter()
        .find(|(_, theirs, _)| theirs.eq_ignore_ascii_case(stem));
    let automatic = match (known, names::sampler(stem)) {
        (Some((id, _, automatic)), _) => {
            recipe.sampler = (*id).to_owned();
            // Before 1.9 a bare name meant even timesteps.
            if value("Version").is_some_and(is_before_1_9) {
                uniform(automatic, false)
            } else {
                automatic
            }
        }
        (None, Some(id)) => {
            recipe.sampler = id.to_owned();
            "model"
        }
        (None, None) => {
            notes.push(format!(
                "Sampler: “{name}” is not known here, DPM++ 2M is taken instead"
            ));
            "karras"
        }
    };
    let is_ours = value("Version").is_some_and(|version| version.starts_with(PROGRAM));
    let schedule = value("Schedule type").filter(|name| !name.eq_ignore_ascii_case("automatic"));
    recipe.schedule = match (schedule, suffix) {
        (Some(UNIFORM), _) => uniform(automatic, is_ours).to_owned(),
        (Some(name), _) => match names::schedule(name) {
            Some(id) => id.to_owned(),
            None => {
                notes.push(format!(
                    "Schedule type: “{name}” is not known here, {automatic} is taken instead"
                ));
                automatic.to_owned()
            }
        },
        (None, Some((id, _))) => id.to_owned(),
        (None, None) => automatic.to_owned(),
    };
    if !is_ours && OTHERWISE_IN_A1111.contains(&recipe.schedule.as_str()) {
        notes.push("Schedule type: ComfyUI's levels are taken, A1111's differ a bit".to_owned());
    }
}

/// What “Uniform” means: in our own texts the model's schedule, which A1111 has no name for; in
/// A1111's even timesteps, but for samplers (those with `model` by default) that heed no schedule.
fn uniform(automatic: &str, is_ours: bool) -> &'static str {
    if is_ours || automatic == "model" {
        "model"
    } else {
        "normal"
    }
}

fn is_before_1_9(version: &str) -> bool {
    let mut parts = version.strip_prefix('v').unwrap_or("").split('.');
    let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok());
    matches!((next(), next()), (Some(1), Some(minor)) if minor < 9)
}

/// Puts one setting into the recipe; a note when it cannot be honoured.
fn setting(recipe: &mut Recipe, key: &str, value: &str) -> Option<String> {
    fn put<T: std::str::FromStr>(slot: &mut T, value: &str) -> Option<String> {
        match value.parse() {
            Ok(parsed) => {
                *slot = parsed;
                None
            }
            Err(_) => Some(format!("“{value}” is not understood")),
        }
    }
    match key {
        "Steps" => put(&mut recipe.steps, value),
        "Seed" => put(&mut recipe.seed, value),
        "CFG scale" => put(&mut recipe.guidance, value),
        "Image CFG scale" => {
            let mut scale = Recipe::IMAGE_GUIDANCE;
            let note = put(&mut scale, value);
            recipe.image_guidance = Some(scale);
            note
        }
        "CFG Rescale" => put(&mut recipe.guidance_rescale, value),
        "Model" => put(&mut recipe.model.id, value),
        "Size" => {
            let size = value.split_once('x');
            match size.map(|(w, h)| (w.trim().parse(), h.trim().parse())) {
                Some((Ok(wide), Ok(high))) => {
                    (recipe.width_px, recipe.height_px) = (wide, high);
                    None
                }
                _ => Some(format!("“{value}” is not understood")),
            }
        }
        "RNG" => match value {
            "CPU" => {
                recipe.noise_source = NoiseKind::TorchCpu;
                None
            }
            // sd.cpp says “cuda”.
            "NV" | "GPU" | "cuda" => None,
            other => Some(format!("“{other}” is not known here")),
        },
        "Model hash" => {
            recipe.model.short_hash = Some(value.to_ascii_lowercase());
            None
        }
        "Emphasis" => emphasis_named(recipe, value),
        "Template" => {
            let template = recipe.prompting.template.get_or_insert_default();
            value.clone_into(&mut template.prompt);
            None
        }
        "Negative Template" => {
            let template = recipe.prompting.template.get_or_insert_default();
            value.clone_into(&mut template.negative_prompt);
            None
        }
        "Sampler" => None,
        "Denoising strength" => Some(format!(
            "{value}; the start picture is not in the file, open it to repeat this"
        )),
        key if SILENT.contains(&key) => None,
        key if a1111_knobs::is_known(key) || a1111_network::is_known(key) => None,
        _ => Some(format!("“{value}” has no counterpart here")),
    }
}

fn emphasis_named(recipe: &mut Recipe, name: &str) -> Option<String> {
    let prompting = &mut recipe.prompting;
    match name {
        "Original" => prompting.weighting = Weighting::A1111,
        "No norm" => prompting.weighting = Weighting::NoNorm,
        "ComfyUI" => prompting.weighting = Weighting::ComfyUi,
        "None" => prompting.syntax = PromptSyntax::Plain,
        other => return Some(format!("“{other}” is not known here")),
    }
    None
}

/// Prompt and negative prompt, each line trimmed.
fn prompts(body: &str) -> (String, String) {
    let (mut prompt, mut negative) = (Vec::new(), Vec::new());
    let mut in_negative = false;
    for line in body.lines() {
        let line = line.trim();
        match line.strip_prefix(NEGATIVE) {
            Some(rest) => {
                in_negative = true;
                negative.push(rest.trim());
            }
            None if in_negative => negative.push(line),
            None => prompt.push(line),
        }
    }
    (
        prompt.join("\n").trim().to_owned(),
        negative.join("\n").trim().to_owned(),
    )
}

/// The `Key: value` pairs of a line; a value is JSON-quoted or reaches to the next comma. What does
/// not look like a pair is skipped.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let from_word = rest.trim_start_matches(|letter: char| !is_word(letter));
        let Some((key, value)) = key(from_word) else {
            // Not a key: go on behind this word.
            rest = from_word.trim_start_matches(is_word);
            continue;
        };
        let value = value.trim_start();
        // Civitai's object is there once; looked for at every brace, a hostile text would take for ever.
        let is_first = key == a1111_add_ons::HASHES && !found.iter().any(|(known, _)| known == key);
        let object = is_first.then(|| object_value(value)).flatten();
        if let Some((text, after)) = object.or_else(|| quoted_value(value)) {
            found.push((key.to_owned(), text));
            rest = after;
        } else {
            let (text, after) = value.split_once(',').unwrap_or((value, ""));
            found.push((key.to_owned(), text.trim_end().to_owned()));
            rest = after;
        }
    }
    found
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Two or more letters of a key before a colon: key and what follows the colon.
fn key(text: &str) -> Option<(&str, &str)> {
    let end = text
        .char_indices()
        .take(LONGEST_KEY + 1)
        .find(|(_, letter)| !(is_word(*letter) || matches!(letter, ' ' | '-' | '/')))?;
    (end.1 == ':' && end.0 >= 2).then(|| (&text[..end.0], &text[end.0 + 1..]))
}

/// A JSON object as it is written: the object and what follows the comma behind it.
fn object_value(value: &str) -> Option<(String, &str)> {
    value.strip_prefix('{')?;
    let mut objects = serde_json::Deserializer::from_str(value).into_iter::<serde_json::Value>();
    objects.next()?.ok()?;
    let (object, after) = value.split_at(objects.byte_offset());
    Some((object.to_owned(), after.strip_prefix(',').unwrap_or(after)))
}

/// A JSON string that is followed by a comma or the end: its text and what follows the comma.
fn quoted_value(value: &str) -> Option<(String, &str)> {
    let inside = value.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.char_indices().find(|(_, letter)| {
        let closes = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        closes
    })?;
    let after = &inside[end.0 + 1..];
    let after = match after.strip_prefix(',') {
        Some(more) => more,
        None if after.is_empty() => after,
        None => return None,
    };
    let json = &value[..end.0 + 2];
    let text = serde_json::from_str(json).unwrap_or_else(|_| inside[..end.0].to_owned());
    Some((text, after))
}

#[cfg(test)]
#[path = "a1111_tests.rs"]
mod tests;
