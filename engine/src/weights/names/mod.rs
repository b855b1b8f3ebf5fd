//! From every published layout to one: the parts of a model under the names diffusers gives their
//! tensors. Networks know no other names.
//!
//! Layouts: LDM (CompVis, Stability: `model.diffusion_model.…`, `first_stage_model.…`,
//! `cond_stage_model.…`), SGM (`conditioner.embedders.…`), networks alone (as ComfyUI's and city96's
//! files hold them), and diffusers' own names in one file.

mod autoencoder;
mod text;
mod unet;

use std::collections::BTreeMap;

use super::element::Entry;
pub use text::TextKind;
pub(crate) use unet::ldm_modules;

/// Tensors by name.
pub type Entries = BTreeMap<String, Entry>;

/// A file's tensors, part by part.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// By the part's folder in the diffusers layout (`unet`, `vae`, `text_encoder`,
    /// `text_encoder_2`), then by diffusers' name.
    pub parts: BTreeMap<String, Entries>,
    /// Whose text transformer each text encoder is.
    pub text: BTreeMap<String, TextKind>,
    /// Stored names that belong to no known part.
    pub rest: Vec<String>,
}

/// How a part's tensors are called in a file.
#[derive(Clone, Copy)]
enum Naming {
    LdmUnet,
    LdmAutoencoder,
    /// transformers' `CLIPTextModel`, or OpenCLIP.
    Text(TextKind),
    Diffusers,
}

/// Prefixes of the parts in whole checkpoints.
const PREFIXES: &[(&str, &str, Naming)] = &[
    ("model.diffusion_model.", "unet", Naming::LdmUnet),
    ("first_stage_model.", "vae", Naming::LdmAutoencoder),
    ("vae.", "vae", Naming::LdmAutoencoder),
    (
        "cond_stage_model.transformer.",
        "text_encoder",
        Naming::Text(TextKind::Clip),
    ),
    (
        "cond_stage_model.model.",
        "text_encoder",
        Naming::Text(TextKind::OpenClip),
    ),
    // As stable-diffusion.cpp renames the second one.
    (
        "cond_stage_model.1.transformer.",
        "text_encoder_2",
        Naming::Text(TextKind::Clip),
    ),
    (
        "conditioner.embedders.0.transformer.",
        "text_encoder",
        Naming::Text(TextKind::Clip),
    ),
    (
        "conditioner.embedders.0.model.",
        "text_encoder_2",
        Naming::Text(TextKind::OpenClip),
    ),
    (
        "conditioner.embedders.1.model.",
        "text_encoder_2",
        Naming::Text(TextKind::OpenClip),
    ),
];

/// Networks alone: the name of a tensor that only this network has, under its full name.
const ALONE: &[(&str, &str, Naming)] = &[
    ("input_blocks.0.0.weight", "unet", Naming::LdmUnet),
    (
        "down_blocks.0.resnets.0.conv1.weight",
        "unet",
        Naming::Diffusers,
    ),
    (
        "encoder.down.0.block.0.conv1.weight",
        "vae",
        Naming::LdmAutoencoder,
    ),
    (
        "encoder.down_blocks.0.resnets.0.conv1.weight",
        "vae",
        Naming::Diffusers,
    ),
    (
        "text_model.embeddings.token_embedding.weight",
        "text_encoder",
        Naming::Text(TextKind::Clip),
    ),
];

/// What checkpoints carry beside the networks: averages and optimizer states of the training, tables
/// that follow from the noise schedule, marks.
const IDLE: &[&str] = &[
    "model_ema.",
    "optimizer_states.",
    "denoiser.",
    "loss.",
    "alphas_cumprod",
    "betas",
    "log_one_minus_alphas_cumprod",
    "logvar",
    "lvlb_weights",
    "posterior_",
    "scale_factor",
    "sqrt_",
    "cond_stage_model.logit_scale",
    "edm_",
    "v_pred",
    "ztsnr",
];

/// Sorts a file's tensors into parts.
pub fn sort(stored: Entries) -> Sorted {
    let alone = ALONE.iter().find(|(name, _, _)| stored.contains_key(*name));
    let mut found: BTreeMap<&str, (Naming, Entries)> = BTreeMap::new();
    let mut sorted = Sorted::default();
    for (name, entry) in stored {
        let place = match alone {
            Some(&(_, part, naming)) => Some((name.as_str(), part, naming)),
            None => PREFIXES.iter().find_map(|&(prefix, part, naming)| {
                Some((name.strip_prefix(prefix)?, part, naming))
            }),
        };
        match place {
            Some((inner, part, naming)) => {
                let (_, entries) = found
                    .entry(part)
                    .or_insert_with(|| (naming, Entries::new()));
                entries.insert(inner.to_owned(), entry);
            }
            None if IDLE.iter().any(|idle| name.starts_with(idle)) => {}
            None => sorted.rest.push(name),
        }
    }
    for (part, (naming, entries)) in found {
        let entries = match naming {
            Naming::LdmUnet => unet::from_ldm(entries, &mut sorted.rest),
            Naming::LdmAutoencoder => autoencoder::from_ldm(entries, &mut sorted.rest),
            Naming::Text(names) => {
                // Alone of its kind, Stable Diffusion 2 reads the last layer but one.
                let shortened = part == "text_encoder";
                let (entries, kind) =
                    text::to_transformers(entries, names, shortened, &mut sorted.rest);
                sorted.text.insert(part.to_owned(), kind);
                entries
            }
            Naming::Diffusers => entries,
        };
        sorted.parts.insert(part.to_owned(), entries);
    }
    sorted
}

/// Splits a dotted name after its first `count` segments.
fn split_after(name: &str, count: usize) -> Option<(&str, &str)> {
    let (at, _) = name.match_indices('.').nth(count.checked_sub(1)?)?;
    Some((&name[..at], &name[at + 1..]))
}

/// Replaces a leading dotted part by the first pair of `table` that fits.
fn replace_start(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| {
        let rest = name.strip_prefix(from)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{to}{rest}"))
    })
}
