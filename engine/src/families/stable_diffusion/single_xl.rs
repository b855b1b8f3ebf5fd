//! What is particular about a Stable Diffusion XL checkpoint in one file: two text encoders (the refiner
//! has the second alone), sizes beside the time, its own autoencoder's scale.

use serde_json::{Value, json};

use super::single::{Shapes, Task, add_text};
use crate::error::{EngineError, Result};
use crate::families::single::Made;
use crate::weights::single::SingleFile;

/// The tensor whose second side says how much is added to the time embedding.
pub(super) const ADDED: &str = "add_embedding.linear_1.weight";
/// What unit variance takes in XL's autoencoder.
pub(super) const SCALING_FACTOR: f64 = 0.13025;
/// Channels of text and sizes together in the published base, and of text and score in the refiner.
const BASE_CHANNELS: usize = 2816;
const REFINER_CHANNELS: usize = 2560;

/// Whether a UNet with something added is XL's: by its published widths, or by the text encoder that
/// no other model has.
pub(super) fn is_xl(unet: &Shapes<'_>) -> bool {
    let added = unet.side(ADDED, 1);
    let published = matches!(added, Some(BASE_CHANNELS | REFINER_CHANNELS));
    published || added.is_some() && unet.file.parts.contains_key("text_encoder_2")
}

/// Whether it is the refiner's.
fn is_refiner(unet: &Shapes<'_>) -> bool {
    match unet.side(ADDED, 1) {
        Some(BASE_CHANNELS) => false,
        Some(REFINER_CHANNELS) => true,
        _ => !unet.file.parts.contains_key("text_encoder"),
    }
}

/// What the model needs beside its UNet, and its name.
pub(super) fn parts(unet: &Shapes<'_>) -> (&'static [(&'static str, &'static str)], &'static str) {
    if is_refiner(unet) {
        return (&PARTS[1..], "XL refiner");
    }
    (PARTS, "XL")
}

const PARTS: &[(&str, &str)] = &[
    ("text_encoder", "the first text encoder"),
    ("text_encoder_2", "the second text encoder"),
    ("vae", "the autoencoder"),
];

/// Kin of XL that were trained on noise levels without steps carry their numbers.
///
/// # Errors
/// `UnsupportedModel` for such files.
pub(super) fn refuse_other_noise(file: &SingleFile) -> Result<()> {
    if !file.stores("edm_mean") && !file.stores("edm_vpred.sigma_max") {
        return Ok(());
    }
    Err(EngineError::UnsupportedModel {
        path: file.source.label().to_owned(),
        found: "a model of XL's kind with continuous noise levels (EDM, as Playground 2.5)"
            .to_owned(),
        remedy: "this version cannot run it: choose another model".to_owned(),
    })
}

/// Adds to the UNet's configuration what joins its time embedding.
pub(super) fn complete(unet: &Shapes<'_>, config: &mut Value) {
    let vector = Shapes {
        file: unet.file,
        part: "text_encoder_2",
    };
    let added = unet.side(ADDED, 1).unwrap_or(0);
    let numbers = added.saturating_sub(vector.side("text_projection.weight", 0).unwrap_or(0));
    let count = if is_refiner(unet) { 5 } else { 6 };
    config["addition_embed_type"] = json!("text_time");
    config["addition_time_embed_dim"] = json!(numbers / count);
    config["projection_class_embeddings_input_dim"] = json!(added);
}

/// `model_index.json`. The base takes zeros for no negative prompt, the refiner does not.
pub(super) fn index(unet: &Shapes<'_>, task: Task) -> Value {
    let class = match (is_refiner(unet), task) {
        (_, Task::Inpaint) => "StableDiffusionXLInpaintPipeline",
        (_, Task::Edit) => "StableDiffusionXLInstructPix2PixPipeline",
        (true, Task::Draw) => "StableDiffusionXLImg2ImgPipeline",
        (false, Task::Draw) => "StableDiffusionXLPipeline",
    };
    json!({
        "_class_name": class,
        "force_zeros_for_empty_prompt": !is_refiner(unet),
        "requires_aesthetics_score": is_refiner(unet),
    })
}

/// Adds the text encoders that are there, with their tokenizers.
pub(super) fn add_texts(made: &mut Made, file: &SingleFile) {
    for (part, tokenizer) in [
        ("text_encoder", "tokenizer"),
        ("text_encoder_2", "tokenizer_2"),
    ] {
        if file.parts.contains_key(part) {
            add_text(made, file, part, tokenizer);
        }
    }
}
