//! What is particular about a Stable Diffusion XL checkpoint in one file: two text encoders (the refiner
//! has the second alone), sizes beside the time, its own autoencoder's scale.

use serde_json::{Value, json};

use super::single::{Shapes, Source, Task, add_text};
use crate::error::{EngineError, Result};
use crate::families::single::{Lacking, Made};
use crate::weights::single::SingleFile;

/// The tensor whose second side says how much is added to the time embedding.
pub(super) const ADDED: &str = "add_embedding.linear_1.weight";
/// What unit variance takes in XL's autoencoder.
pub(super) const SCALING_FACTOR: f64 = 0.13025;
/// Channels of text and sizes together in the published base, and of text and score in the refiner.
const BASE_CHANNELS: usize = 2816;
const REFINER_CHANNELS: usize = 2560;

/// Whether a UNet with something added is XL's: by its published widths, by the text encoder that no
/// other model has, or, where there is no text encoder, by a first level that reads no text (unCLIP's
/// does).
pub(super) fn is_xl(source: &Source<'_>) -> bool {
    let unet = unet(source);
    let added = unet.side(ADDED, 1);
    let published = matches!(added, Some(BASE_CHANNELS | REFINER_CHANNELS));
    let first = unet.side("down_blocks.0.attentions.0.norm.weight", 0);
    let by_shape = is_alone(source) && first.is_none();
    published || added.is_some() && (source.has("text_encoder_2") || by_shape)
}

fn unet<'a>(source: &Source<'a>) -> Shapes<'a> {
    Shapes {
        file: source.file,
        part: "unet",
    }
}

/// Whether there is no text encoder that could tell.
fn is_alone(source: &Source<'_>) -> bool {
    !source.has("text_encoder") && !source.has("text_encoder_2")
}

/// Whether it is the refiner's.
fn is_refiner(source: &Source<'_>) -> bool {
    match unet(source).side(ADDED, 1) {
        Some(BASE_CHANNELS) => false,
        Some(REFINER_CHANNELS) => true,
        _ => !source.has("text_encoder") && !is_alone(source),
    }
}

/// What the model needs beside its UNet, and its name.
pub(super) fn parts(source: &Source<'_>) -> (&'static [Lacking], &'static str) {
    if is_refiner(source) {
        return (&PARTS[1..], "XL refiner");
    }
    (PARTS, "XL")
}

const PARTS: &[Lacking] = &[
    Lacking {
        folder: "text_encoder",
        name: "the first text encoder",
    },
    Lacking {
        folder: "text_encoder_2",
        name: "the second text encoder",
    },
    Lacking {
        folder: "vae",
        name: "the autoencoder",
    },
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
///
/// # Errors
/// For a lender whose configuration is broken.
pub(super) fn complete(source: &Source<'_>, config: &mut Value) -> Result<()> {
    let added = unet(source).side(ADDED, 1).unwrap_or(0);
    let numbers = added.saturating_sub(source.pooled_channels()?.unwrap_or(0));
    let count = if is_refiner(source) { 5 } else { 6 };
    config["addition_embed_type"] = json!("text_time");
    config["addition_time_embed_dim"] = json!(numbers / count);
    config["projection_class_embeddings_input_dim"] = json!(added);
    Ok(())
}

/// `model_index.json`. The base takes zeros for no negative prompt, the refiner does not.
pub(super) fn index(source: &Source<'_>, task: Task) -> Value {
    let refiner = is_refiner(source);
    let class = match (refiner, task) {
        (_, Task::Inpaint) => "StableDiffusionXLInpaintPipeline",
        (_, Task::Edit) => "StableDiffusionXLInstructPix2PixPipeline",
        (true, Task::Draw) => "StableDiffusionXLImg2ImgPipeline",
        (false, Task::Draw) => "StableDiffusionXLPipeline",
    };
    json!({
        "_class_name": class,
        "force_zeros_for_empty_prompt": !refiner,
        "requires_aesthetics_score": refiner,
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
