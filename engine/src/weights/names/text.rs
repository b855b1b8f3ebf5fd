//! Text encoders: OpenCLIP's text transformer, and transformers' `CLIPTextModel` as checkpoints hold
//! it, to the names of `CLIPTextModel`.

use super::{Entries, replace_start, split_after};

/// Whose text transformer it is: shapes do not tell the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// OpenAI's, with the quick GELU.
    Clip,
    /// LAION's, with the exact GELU.
    OpenClip,
}

/// Channels from which on a text transformer under transformers' names is OpenCLIP's: OpenAI's
/// largest has 768, OpenCLIP's H and bigG have 1024 and 1280.
const OPEN_CLIP_CHANNELS: usize = 1024;
/// Layers that OpenCLIP's H keeps where the unused last one was cut off.
const SHORTENED_LAYERS: usize = 23;

/// OpenCLIP's names outside the layers.
const FIXED: &[(&str, &str)] = &[
    (
        "positional_embedding",
        "text_model.embeddings.position_embedding.weight",
    ),
    ("token_embedding", "text_model.embeddings.token_embedding"),
    ("ln_final", "text_model.final_layer_norm"),
];

/// OpenCLIP's names inside a layer.
const LAYER: &[(&str, &str)] = &[
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
    ("attn.in_proj_weight", "self_attn.in_proj.weight"),
    ("attn.in_proj_bias", "self_attn.in_proj.bias"),
];

/// Buffers that some versions save.
const IDLE: &[&str] = &[
    "logit_scale",
    "attn_mask",
    "position_ids",
    "embeddings.position_ids",
];

/// Renames all tensors; the names of those that fit nowhere go to `rest`. `names`: whose names they
/// have. `shortened`: where the transformer is OpenCLIP's, its last layer is not used.
pub(super) fn to_transformers(
    stored: Entries,
    names: TextKind,
    shortened: bool,
    rest: &mut Vec<String>,
) -> (Entries, TextKind) {
    let open = names == TextKind::OpenClip;
    let mut entries = Entries::new();
    for (name, entry) in stored {
        let bare = name.strip_prefix("text_model.").unwrap_or(&name);
        if IDLE.contains(&bare) {
            continue;
        }
        // OpenCLIP's own name, which it keeps where the rest was renamed: there this matrix is
        // multiplied from the other side.
        let turned = bare == "text_projection";
        let renamed = if turned {
            Some("text_projection.weight".to_owned())
        } else if open {
            rename(&name)
        } else if bare.starts_with("text_projection.") {
            Some(bare.to_owned())
        } else {
            Some(format!("text_model.{bare}"))
        };
        let Some(renamed) = renamed else {
            rest.push(name);
            continue;
        };
        let entry = if turned { transposed(entry) } else { entry };
        if !split_fused(&renamed, &entry, &mut entries) {
            entries.insert(renamed, entry);
        }
    }
    let channels = entries
        .get("text_model.final_layer_norm.weight")
        .map_or(0, |entry| entry.count());
    let kind = if open || channels >= OPEN_CLIP_CHANNELS {
        TextKind::OpenClip
    } else {
        TextKind::Clip
    };
    if shortened && kind == TextKind::OpenClip {
        drop_last_layer(&mut entries);
    }
    (entries, kind)
}

/// A matrix with rows for columns.
fn transposed(entry: super::Entry) -> super::Entry {
    let &[rows, columns] = entry.shape.as_slice() else {
        return entry;
    };
    let [down, right] = match entry.strides.as_deref() {
        Some(&[down, right]) => [down, right],
        _ => [columns, 1],
    };
    super::Entry {
        shape: vec![columns, rows],
        strides: Some(vec![right, down]),
        ..entry
    }
}

fn rename(name: &str) -> Option<String> {
    replace_start(name, FIXED).or_else(|| {
        let (layer, part) = split_after(name.strip_prefix("transformer.resblocks.")?, 1)?;
        let part = replace_start(part, LAYER)?;
        Some(format!("text_model.encoder.layers.{layer}.{part}"))
    })
}

/// Query, key and value in one tensor, one below the other: a third of its rows each.
fn split_fused(name: &str, entry: &super::Entry, entries: &mut Entries) -> bool {
    let Some((attention, kind)) = name
        .split_once(".in_proj.")
        .or_else(|| name.split_once(".in_proj_"))
    else {
        return false;
    };
    let third = entry.shape.first().map_or(0, |rows| rows / 3);
    for (index, part) in ["q_proj", "k_proj", "v_proj"].iter().enumerate() {
        let Some(rows) = entry.rows(index * third, (index + 1) * third) else {
            return false;
        };
        entries.insert(format!("{attention}.{part}.{kind}"), rows);
    }
    true
}

fn layer_of(name: &str) -> Option<usize> {
    let inner = name.strip_prefix("text_model.encoder.layers.")?;
    inner.split_once('.')?.0.parse().ok()
}

/// Stable Diffusion 2 reads what the last layer but one gives. Files that went through diffusers
/// have lost the last one already.
fn drop_last_layer(entries: &mut Entries) {
    let layers = entries.keys().filter_map(|name| layer_of(name)).max();
    let Some(last) = layers.filter(|last| last.checked_add(1) != Some(SHORTENED_LAYERS)) else {
        return;
    };
    entries.retain(|name, _| layer_of(name) != Some(last));
    entries.remove("text_projection.weight");
}
