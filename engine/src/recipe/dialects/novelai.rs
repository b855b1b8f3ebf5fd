//! NovelAI: JSON in `Comment`, the program's name in `Software`.

use serde_json::Value;

use super::{Dialect, DialectSpec, Foreign, Reader, Texts, json, number, text};

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::NovelAi,
    read,
};

/// Factor of one pair of `{ }`; `[ ]` divides by it.
const STEP: f64 = 1.05;

/// Settings that change the picture and have no counterpart here.
const UNKNOWN: &[&str] = &[
    "sm",
    "sm_dyn",
    "dynamic_thresholding",
    "reference_image",
    "reference_strength",
    "controlnet_model",
    "skip_cfg_above_sigma",
    "image",
];

fn read(texts: &Texts) -> Option<Foreign> {
    let comment = texts.get("Comment").and_then(json)?;
    let is_theirs = texts.get("Software") == Some("NovelAI");
    let fits = comment.get("uc").is_some() && comment.get("sampler").is_some();
    (is_theirs || fits).then_some(())?;
    let mut reader = Reader::new(texts);
    let words = text(&comment, "prompt").or_else(|| texts.get("Description"));
    reader.recipe.prompt = brackets(words.unwrap_or_default());
    reader.recipe.negative_prompt = brackets(text(&comment, "uc").unwrap_or_default());
    reader.size(comment.get("width"), comment.get("height"));
    reader.seed(comment.get("seed"));
    reader.steps(comment.get("steps"));
    reader.guidance(comment.get("scale"));
    if let Some(phi) = comment.get("cfg_rescale").and_then(number) {
        reader.recipe.guidance_rescale = phi.clamp(0.0, 1.0);
    }
    reader.sampler(text(&comment, "sampler"));
    reader.schedule(text(&comment, "noise_schedule"));
    reader.model(texts.get("Source"), None);
    reader.note("model", "NovelAI's models run on its own servers only");
    let parts = comment.pointer("/v4_prompt/caption/char_captions");
    if parts
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        reader.note(
            "v4_prompt",
            "prompts for single characters have no counterpart here",
        );
    }
    reader.no_counterpart(&comment, UNKNOWN);
    reader.finish()
}

/// `{x}` and `[x]` as weights in round brackets; brackets of our grammar become characters.
fn brackets(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut open = Vec::new();
    for letter in text.chars() {
        match letter {
            '{' | '[' => {
                open.push(letter);
                written.push('(');
            }
            '}' if open.last() == Some(&'{') => {
                open.pop();
                written.push_str(&format!(":{STEP})"));
            }
            ']' if open.last() == Some(&'[') => {
                open.pop();
                written.push_str(&format!(":{:.4})", 1.0 / STEP));
            }
            ']' | '(' | ')' | '\\' => written.extend(['\\', letter]),
            other => written.push(other),
        }
    }
    // What was never closed counts to the end.
    while let Some(bracket) = open.pop() {
        let factor = if bracket == '{' { STEP } else { 1.0 / STEP };
        written.push_str(&format!(":{factor:.4})"));
    }
    written
}
