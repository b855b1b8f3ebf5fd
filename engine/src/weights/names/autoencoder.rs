//! LDM's autoencoder (`AutoencoderKL` of CompVis) to diffusers' `AutoencoderKL`.

use super::{Entries, replace_start, split_after};

/// Tensors outside the levels, the same in encoder and decoder.
const FIXED: &[(&str, &str)] = &[
    ("conv_in", "conv_in"),
    ("conv_out", "conv_out"),
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("mid.attn_1.norm", "mid_block.attentions.0.group_norm"),
    ("mid.attn_1.q", "mid_block.attentions.0.to_q"),
    ("mid.attn_1.k", "mid_block.attentions.0.to_k"),
    ("mid.attn_1.v", "mid_block.attentions.0.to_v"),
    ("mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"),
    // As tools write them that converted back from diffusers only half.
    ("mid.attn_1.group_norm", "mid_block.attentions.0.group_norm"),
    ("mid.attn_1.to_q", "mid_block.attentions.0.to_q"),
    ("mid.attn_1.to_k", "mid_block.attentions.0.to_k"),
    ("mid.attn_1.to_v", "mid_block.attentions.0.to_v"),
    ("mid.attn_1.to_out.0", "mid_block.attentions.0.to_out.0"),
];

/// Renames all tensors; the names of those that fit nowhere go to `rest`.
pub(super) fn from_ldm(stored: Entries, rest: &mut Vec<String>) -> Entries {
    // The decoder's levels are numbered from the finest, diffusers' from the coarsest.
    let levels = (0..)
        .take_while(|level| {
            stored.contains_key(&format!("decoder.up.{level}.block.0.conv1.weight"))
        })
        .count();
    let mut entries = Entries::new();
    for (name, entry) in stored {
        let Some(renamed) = rename(&name, levels) else {
            // The loss network and averages of the training.
            if !name.starts_with("loss.") && !name.starts_with("model_ema.") {
                rest.push(format!("first_stage_model.{name}"));
            }
            continue;
        };
        // The attention's projections were 1x1 convolutions.
        let flat = match entry.shape.as_slice() {
            &[out, from, 1, 1] | &[out, from, 1] if renamed.contains(".attentions.") => {
                entry.reshaped(&[out, from])
            }
            _ => None,
        };
        entries.insert(renamed, flat.unwrap_or(entry));
    }
    entries
}

fn rename(name: &str, levels: usize) -> Option<String> {
    if name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.") {
        return Some(name.to_owned());
    }
    let (half, inner) = split_after(name, 1)?;
    if !matches!(half, "encoder" | "decoder") {
        return None;
    }
    let renamed = replace_start(inner, FIXED).or_else(|| rename_in_level(inner, levels))?;
    Some(format!(
        "{half}.{}",
        renamed.replace("nin_shortcut", "conv_shortcut")
    ))
}

fn rename_in_level(inner: &str, levels: usize) -> Option<String> {
    let (place, part) = split_after(inner, 2)?;
    let (way, level) = place.split_once('.')?;
    let level: usize = level.parse().ok()?;
    let (block, parts): (_, &[_]) = match way {
        "down" => (
            format!("down_blocks.{level}"),
            &[("block", "resnets"), ("downsample", "downsamplers.0")],
        ),
        "up" => (
            format!("up_blocks.{}", levels.checked_sub(level.checked_add(1)?)?),
            &[("block", "resnets"), ("upsample", "upsamplers.0")],
        ),
        _ => return None,
    };
    Some(format!("{block}.{}", replace_start(part, parts)?))
}
