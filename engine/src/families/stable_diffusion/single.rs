//! The diffusers configuration of a Stable Diffusion checkpoint in one file, from the shapes of its
//! tensors: every width, depth and layer count shows there. What shapes cannot show is the same in
//! all published checkpoints: 32 groups a norm, the noise table, heads by the rule of each version.

use serde_json::{Value, json};

use super::autoencoder::AutoencoderConfig;
use super::prediction::{self, Version};
use super::single_xl;
use super::text::TextConfig;
use crate::error::Result;
use crate::families::model::Fit;
use crate::families::single::{Beside, Lacking, Lacks, Made};
use crate::weights::files::ModelFiles;
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
pub(super) fn make(
    file: &SingleFile,
    beside: &Beside,
    lender: Option<&ModelFiles>,
) -> Option<Result<Made>> {
    let unet = Shapes { file, part: "unet" };
    // A ControlNet has the way down, not the way up.
    let ours = [
        "conv_in.weight",
        "down_blocks.0.resnets.0.conv1.weight",
        "conv_out.weight",
    ]
    .iter()
    .all(|name| unet.side(name, 0).is_some());
    // unCLIP and the upscaler add other embeddings to the time's.
    let source = Source { file, lender };
    let others = unet.side("class_embedding.weight", 0).is_some()
        || unet.side(single_xl::ADDED, 0).is_some() && !single_xl::is_xl(&source);
    if !ours || others {
        return None;
    }
    Some(make_checked(&source, beside, &unet))
}

/// A file, and the model that lends what it does not hold.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a SingleFile,
    lender: Option<&'a ModelFiles>,
}

impl Source<'_> {
    /// Whether either holds a part.
    pub(super) fn has(&self, part: &str) -> bool {
        let config = format!("{part}/config.json");
        let lends = |lender: &ModelFiles| lender.exists(&config);
        self.file.parts.contains_key(part) || self.lender.is_some_and(lends)
    }

    /// Channels of the vector that the second text encoder gives for the whole text.
    pub(super) fn pooled_channels(&self) -> Result<Option<usize>> {
        let part = "text_encoder_2";
        if self.file.parts.contains_key(part) {
            let text = Shapes {
                file: self.file,
                part,
            };
            return Ok(text.side("text_projection.weight", 0));
        }
        let read = |lender| TextConfig::read(lender, part);
        let config = self.lender.map(read).transpose()?;
        Ok(config.map(|config| config.projection))
    }

    /// Latent pixels of a picture's side.
    fn latent_side(&self, side_px: usize) -> Result<usize> {
        let own = self.file.parts.contains_key("vae");
        let factor = match self.lender.filter(|_| !own) {
            Some(lender) => AutoencoderConfig::read(lender)?.factor(),
            None => {
                let config = vae_config(self.file);
                let levels = config["block_out_channels"].as_array().map_or(1, Vec::len);
                1 << levels.saturating_sub(1).min(16)
            }
        };
        Ok(side_px / factor)
    }
}

fn make_checked(source: &Source<'_>, beside: &Beside, unet: &Shapes<'_>) -> Result<Made> {
    let file = source.file;
    let linear = unet.sides("down_blocks.0.attentions.0.proj_in.weight") == Some(2)
        || unet.sides("mid_block.attentions.0.proj_in.weight") == Some(2);
    let version = match (single_xl::is_xl(source), linear) {
        (true, _) => Version::Xl,
        (false, true) => Version::Second,
        (false, false) => Version::First,
    };
    if version == Version::Xl {
        single_xl::refuse_other_noise(file)?;
    }
    let prediction = prediction::infer(file, beside, version)?;
    let mut made = Made::default();
    made.notes.push(prediction.note.clone());
    let mut config = unet_config(unet, version != Version::First);
    made.lacks = lacks(source, &config, version);
    if made.lacks.is_some() && source.lender.is_none() {
        return Ok(made);
    }
    let native_px = match version {
        Version::Xl => 1024,
        Version::Second if prediction.is_velocity() => 768,
        Version::First | Version::Second => 512,
    };

    let distilled = unet.side("time_embedding.cond_proj.weight", 0).is_some();
    config["sample_size"] = json!(source.latent_side(native_px)?);
    let in_channels = unet.side("conv_in.weight", 1).unwrap_or(4);
    let out_channels = unet.side("conv_out.weight", 0).unwrap_or(4);
    let task = match (in_channels > out_channels, in_channels == 2 * out_channels) {
        (true, true) => Task::Edit,
        (true, false) => Task::Inpaint,
        (false, _) => Task::Draw,
    };
    if version == Version::Xl {
        single_xl::complete(source, &mut config)?;
        made.config("model_index.json", single_xl::index(source, task));
        single_xl::add_texts(&mut made, file);
    } else {
        let class = match (distilled, task) {
            (true, _) => "LatentConsistencyModelPipeline",
            (false, Task::Inpaint) => "StableDiffusionInpaintPipeline",
            (false, Task::Edit) => "StableDiffusionInstructPix2PixPipeline",
            (false, Task::Draw) => "StableDiffusionPipeline",
        };
        made.config("model_index.json", json!({"_class_name": class}));
        if file.parts.contains_key("text_encoder") {
            add_text(&mut made, file, "text_encoder", "tokenizer");
        }
    }
    made.config("unet/config.json", config);
    if file.parts.contains_key("vae") {
        let mut autoencoder = vae_config(file);
        if version == Version::Xl {
            autoencoder["scaling_factor"] = json!(single_xl::SCALING_FACTOR);
        }
        made.config("vae/config.json", autoencoder);
    }
    made.config(
        "scheduler/scheduler_config.json",
        prediction.scheduler(distilled, version),
    );
    Ok(made)
}

/// What the network's input is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Draw,
    /// Mask and masked picture beside the latents.
    Inpaint,
    /// A picture to change beside the latents.
    Edit,
}

/// What the file does not hold of its model.
fn lacks(source: &Source<'_>, unet: &Value, version: Version) -> Option<Lacks> {
    let (parts, name): (&[Lacking], _) = match version {
        Version::Xl => single_xl::parts(source),
        Version::Second => (PARTS, "2.x"),
        Version::First => (PARTS, "1.x"),
    };
    let is_missing = |part: &Lacking| !source.file.parts.contains_key(part.folder);
    let parts: Vec<Lacking> = parts.iter().copied().filter(is_missing).collect();
    let channels = |name: &str| unet[name].as_u64().unwrap_or(0) as usize;
    (!parts.is_empty()).then(|| Lacks {
        network: format!("Stable Diffusion {name}"),
        parts,
        fit: Fit {
            version: version.id(),
            text_channels: channels("cross_attention_dim"),
            latent_channels: channels("out_channels"),
        },
    })
}

/// What a model needs beside its UNet.
const PARTS: &[Lacking] = &[
    Lacking {
        folder: "text_encoder",
        name: "the text encoder",
    },
    Lacking {
        folder: "vae",
        name: "the autoencoder",
    },
];

/// Adds a text encoder's configuration and its tokenizer.
pub(super) fn add_text(
    made: &mut Made,
    file: &SingleFile,
    part: &'static str,
    tokenizer: &'static str,
) {
    let text = Shapes { file, part };
    let kind = file.text.get(part).copied().unwrap_or(TextKind::Clip);
    let context = text
        .side("text_model.embeddings.position_embedding.weight", 0)
        .unwrap_or(77);
    made.config(&format!("{part}/config.json"), text_config(&text, kind));
    // OpenCLIP's reader fills up with zeros, which is “!”.
    let pad = match kind {
        TextKind::Clip => "<|endoftext|>",
        TextKind::OpenClip => "!",
    };
    made.clip_tokenizer(tokenizer, context, pad);
}

/// Shapes of a part's tensors.
pub(super) struct Shapes<'a> {
    pub(super) file: &'a SingleFile,
    pub(super) part: &'static str,
}

impl Shapes<'_> {
    pub(super) fn side(&self, name: &str, side: usize) -> Option<usize> {
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
        "projection_dim": shapes.side("text_projection.weight", 0),
        "hidden_act": match kind {
            TextKind::Clip => "quick_gelu",
            TextKind::OpenClip => "gelu",
        },
    })
}
