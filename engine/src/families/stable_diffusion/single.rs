//! The diffusers configuration of a Stable Diffusion checkpoint in one file, from the shapes of its
//! tensors: every width, depth and layer count shows there. What shapes cannot show is the same in
//! all published checkpoints: 32 groups a norm, the noise table, heads by the rule of each version.

use serde_json::{Value, json};

use super::prediction;
use crate::error::{EngineError, Result};
use crate::families::single::{Beside, Made};
use crate::weights::names::TextKind;
use crate::weights::single::SingleFile;

/// Norm groups of every published UNet and autoencoder of the family.
const GROUPS: usize = 32;
/// Attention heads of version 1 at every level.
const HEADS: usize = 8;
/// Channels a head of versions from 2 on, and of CLIP's text transformers.
const HEAD_CHANNELS: usize = 64;
/// Levels or layers looked for; hostile files name millions.
const COUNT_LIMIT: usize = 64;

/// What this family makes of a file; `None` when its UNet is of another family or not there.
pub(super) fn make(file: &SingleFile, beside: &Beside) -> Option<Result<Made>> {
    let unet = Shapes { file, part: "unet" };
    let ours = unet.side("conv_in.weight", 0).is_some()
        && unet
            .side("down_blocks.0.resnets.0.conv1.weight", 0)
            .is_some();
    // Stable Diffusion XL, unCLIP and the upscaler add further embeddings to the time's.
    let more = ["add_embedding.linear_1.weight", "class_embedding.weight"];
    if !ours || more.iter().any(|name| unet.side(name, 0).is_some()) {
        return None;
    }
    Some(make_checked(file, beside, &unet))
}

fn make_checked(file: &SingleFile, beside: &Beside, unet: &Shapes<'_>) -> Result<Made> {
    let missing: Vec<&str> = [
        ("text_encoder", "the text encoder"),
        ("vae", "the autoencoder"),
    ]
    .iter()
    .filter(|(part, _)| !file.parts.contains_key(*part))
    .map(|(_, name)| *name)
    .collect();
    let linear = unet.sides("down_blocks.0.attentions.0.proj_in.weight") == Some(2)
        || unet.sides("mid_block.attentions.0.proj_in.weight") == Some(2);
    let version = if linear { "2.x" } else { "1.x" };
    if !missing.is_empty() {
        return Err(EngineError::UnsupportedModel {
            path: file.source.label().to_owned(),
            found: format!(
                "a UNet of Stable Diffusion {version} without {}",
                missing.join(" and ")
            ),
            remedy: "choose a whole checkpoint, with all its parts in the file".to_owned(),
        });
    }
    let mut made = Made::default();
    let prediction = prediction::infer(file, beside, linear)?;
    made.notes.push(prediction.note.clone());
    let native_px = if linear && prediction.is_velocity() {
        768
    } else {
        512
    };

    let autoencoder = vae_config(file);
    let text = Shapes {
        file,
        part: "text_encoder",
    };
    let kind = file
        .text
        .get("text_encoder")
        .copied()
        .unwrap_or(TextKind::Clip);
    let context = text
        .side("text_model.embeddings.position_embedding.weight", 0)
        .unwrap_or(77);
    let in_channels = unet.side("conv_in.weight", 1).unwrap_or(4);
    let out_channels = unet.side("conv_out.weight", 0).unwrap_or(4);
    let distilled = unet.side("time_embedding.cond_proj.weight", 0).is_some();
    let class = match (distilled, in_channels > out_channels) {
        (true, _) => "LatentConsistencyModelPipeline",
        (false, true) => "StableDiffusionInpaintPipeline",
        (false, false) => "StableDiffusionPipeline",
    };
    made.config("model_index.json", json!({"_class_name": class}));
    let levels = autoencoder["block_out_channels"]
        .as_array()
        .map_or(1, Vec::len);
    let mut unet = unet_config(unet, linear);
    unet["sample_size"] = json!(native_px >> levels.saturating_sub(1).min(16));
    made.config("unet/config.json", unet);
    made.config("vae/config.json", autoencoder);
    made.config("text_encoder/config.json", text_config(&text, kind));
    made.config(
        "scheduler/scheduler_config.json",
        prediction.scheduler(distilled),
    );
    // OpenCLIP's reader fills up with zeros, which is “!”.
    let pad = match kind {
        TextKind::Clip => "<|endoftext|>",
        TextKind::OpenClip => "!",
    };
    made.clip_tokenizer("tokenizer", context, pad);
    Ok(made)
}

/// Shapes of a part's tensors.
struct Shapes<'a> {
    file: &'a SingleFile,
    part: &'static str,
}

impl Shapes<'_> {
    fn side(&self, name: &str, side: usize) -> Option<usize> {
        self.file.entry(self.part, name)?.shape.get(side).copied()
    }

    fn sides(&self, name: &str) -> Option<usize> {
        Some(self.file.entry(self.part, name)?.shape.len())
    }

    /// How many of `before0after`, `before1after`… there are.
    fn count(&self, before: &str, after: &str) -> usize {
        (0..COUNT_LIMIT)
            .take_while(|index| self.side(&format!("{before}{index}{after}"), 0).is_some())
            .count()
    }
}

fn unet_config(shapes: &Shapes<'_>, linear: bool) -> Value {
    let levels = shapes.count("down_blocks.", ".resnets.0.conv1.weight");
    let level = |way: &str, index: usize| format!("{way}_blocks.{index}");
    let attention = |block: &str| {
        shapes
            .side(&format!("{block}.attentions.0.norm.weight"), 0)
            .is_some()
    };
    let depth = |block: &str| {
        let blocks = format!("{block}.attentions.0.transformer_blocks.");
        shapes.count(&blocks, ".norm1.weight").max(1)
    };
    let (mut channels, mut layers, mut down, mut up) = (vec![], vec![], vec![], vec![]);
    let (mut depths, mut depths_up, mut heads) = (vec![], vec![], vec![]);
    for index in 0..levels {
        let (block, opposite) = (level("down", index), level("up", index));
        let width = shapes
            .side(&format!("{block}.resnets.0.conv1.weight"), 0)
            .unwrap_or(0);
        channels.push(width);
        layers.push(shapes.count(&format!("{block}.resnets."), ".conv1.weight"));
        down.push(if attention(&block) {
            "CrossAttnDownBlock2D"
        } else {
            "DownBlock2D"
        });
        up.push(if attention(&opposite) {
            "CrossAttnUpBlock2D"
        } else {
            "UpBlock2D"
        });
        depths.push(depth(&block));
        depths_up.push(depth(&opposite));
        heads.push(if linear {
            (width / HEAD_CHANNELS).max(1)
        } else {
            HEADS
        });
    }
    let middle = match shapes.side("mid_block.resnets.0.conv1.weight", 0) {
        None => Value::Null,
        Some(_) if attention("mid_block") => json!("UNetMidBlock2DCrossAttn"),
        Some(_) => json!("UNetMidBlock2D"),
    };
    let text_side = |block: &str| {
        let key = format!("{block}.attentions.0.transformer_blocks.0.attn2.to_k.weight");
        shapes.side(&key, 1)
    };
    let context = (0..levels)
        .flat_map(|index| [level("down", index), level("up", index)])
        .chain(["mid_block".to_owned()])
        .find_map(|block| text_side(&block));
    // The middle has the last level's depth, which shows only there where that level has none.
    if let (Some(last), Some(&"DownBlock2D")) = (depths.last_mut(), down.last()) {
        *last = depth("mid_block");
    }
    let mut config = json!({
        "in_channels": shapes.side("conv_in.weight", 1),
        "out_channels": shapes.side("conv_out.weight", 0),
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": down,
        "mid_block_type": middle,
        "up_block_types": up,
        "transformer_layers_per_block": depths,
        "attention_head_dim": heads,
        "cross_attention_dim": context,
        "use_linear_projection": linear,
        "norm_num_groups": GROUPS,
        "time_cond_proj_dim": shapes.side("time_embedding.cond_proj.weight", 1),
    });
    if depths_up.iter().rev().ne(depths.iter()) {
        config["reverse_transformer_layers_per_block"] = json!(depths_up);
    }
    config
}

/// The configuration of the autoencoder in a file, from the shapes of its tensors.
pub(super) fn vae_config(file: &SingleFile) -> Value {
    autoencoder_config(&Shapes { file, part: "vae" })
}

fn autoencoder_config(shapes: &Shapes<'_>) -> Value {
    let levels = shapes.count("encoder.down_blocks.", ".resnets.0.conv1.weight");
    let channels: Vec<_> = (0..levels)
        .map(|index| {
            shapes.side(
                &format!("encoder.down_blocks.{index}.resnets.0.conv1.weight"),
                0,
            )
        })
        .collect();
    let attention = shapes.side("decoder.mid_block.attentions.0.group_norm.weight", 0);
    json!({
        "_class_name": "AutoencoderKL",
        "latent_channels": shapes.side("decoder.conv_in.weight", 1),
        "block_out_channels": channels,
        "layers_per_block": shapes.count("encoder.down_blocks.0.resnets.", ".conv1.weight"),
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
        "norm_num_groups": GROUPS,
        "scaling_factor": 0.18215,
        "use_quant_conv": shapes.side("quant_conv.weight", 0).is_some(),
        "use_post_quant_conv": shapes.side("post_quant_conv.weight", 0).is_some(),
        "mid_block_add_attention": attention.is_some(),
    })
}

fn text_config(shapes: &Shapes<'_>, kind: TextKind) -> Value {
    let tokens = "text_model.embeddings.token_embedding.weight";
    let channels = shapes.side(tokens, 1).unwrap_or(0);
    json!({
        "model_type": "clip_text_model",
        "vocab_size": shapes.side(tokens, 0),
        "hidden_size": channels,
        "intermediate_size": shapes.side("text_model.encoder.layers.0.mlp.fc1.weight", 0),
        "num_hidden_layers": shapes.count("text_model.encoder.layers.", ".layer_norm1.weight"),
        "num_attention_heads": (channels / HEAD_CHANNELS).max(1),
        "max_position_embeddings": shapes.side("text_model.embeddings.position_embedding.weight", 0),
        "hidden_act": match kind {
            TextKind::Clip => "quick_gelu",
            TextKind::OpenClip => "gelu",
        },
    })
}
