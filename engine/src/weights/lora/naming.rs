//! Which tensor of a model an add-on's module belongs to, in all namings: kohya's
//! (`lora_unet_down_blocks_…`), LDM's blocks under kohya's prefix (`lora_unet_input_blocks_…`),
//! diffusers', PEFT's and ComfyUI's dotted ones. No name is taken apart: the model's own names are brought to
//! every spelling, and looked up.

use std::collections::{BTreeSet, HashMap};

use crate::weights::names::ldm_modules;
use crate::weights::slot::Slots;

/// What a module's name begins with, and the part of the model it speaks of; longer ones first.
const PREFIXES: &[(&str, &str)] = &[
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("lycoris_", "unet"),
    ("unet.", "unet"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
];

/// What PEFT puts in front of a network's own names.
const PEFT: &str = "base_model.model.";

/// Names that former versions of diffusers gave to layers, and their names since, without dots.
const FORMER: &[(&str, &str)] = &[
    ("_processor_", "_"),
    ("_self_attn_to_q", "_self_attn_q_proj"),
    ("_self_attn_to_k", "_self_attn_k_proj"),
    ("_self_attn_to_v", "_self_attn_v_proj"),
    ("_self_attn_to_out", "_self_attn_out_proj"),
];

/// A part of a model with the places of its tensors.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its folder in the diffusers layout: `unet`, `text_encoder`, `text_encoder_2`.
    pub folder: String,
    /// Its tensors.
    pub slots: Slots,
}

impl Part {
    /// Whether it reads text: add-ons have a weight of their own for that.
    pub fn is_text(&self) -> bool {
        self.folder.starts_with("text_encoder")
    }
}

/// Every spelling of a model's modules.
pub(super) struct Names {
    /// By part's folder and module without dots: the part's index and the module's own name.
    known: HashMap<(String, String), (usize, String)>,
    folders: Vec<String>,
}

impl Names {
    pub(super) fn of(parts: &[Part]) -> Self {
        let mut names = Self {
            known: HashMap::new(),
            folders: parts.iter().map(|part| part.folder.clone()).collect(),
        };
        for (index, part) in parts.iter().enumerate() {
            let modules: BTreeSet<&str> = part.slots.names().filter_map(module_of).collect();
            for &module in &modules {
                names.add(&part.folder, index, module, module);
                if part.is_text() {
                    // With and without the outer name, which versions of transformers differ in.
                    let bare = module.strip_prefix("text_model.").unwrap_or(module);
                    let full = format!("text_model.{bare}");
                    names.add(&part.folder, index, &full, module);
                    names.add(&part.folder, index, bare, module);
                }
                if let Some(bare) = module.strip_suffix(".to_out.0") {
                    names.add(&part.folder, index, &format!("{bare}.to_out"), module);
                }
            }
            if !part.is_text() {
                for (ldm, module) in ldm_modules(&modules) {
                    names.add(&part.folder, index, &ldm, module);
                }
            }
        }
        names
    }

    fn add(&mut self, folder: &str, index: usize, spelling: &str, module: &str) {
        let key = (folder.to_owned(), spelling.replace('.', "_"));
        self.known
            .entry(key)
            .or_insert_with(|| (index, module.to_owned()));
    }

    /// The part (by index) and module that an add-on's module belongs to.
    pub(super) fn find(&self, module: &str) -> Option<(usize, &str)> {
        let bare = module.strip_prefix(PEFT).unwrap_or(module);
        let prefix = PREFIXES.iter().find(|(prefix, _)| bare.starts_with(prefix));
        let (inner, folder) = match prefix {
            Some((prefix, folder)) => (&bare[prefix.len()..], Some(*folder)),
            None => (bare, None),
        };
        let inner = inner.strip_prefix(PEFT).unwrap_or(inner);
        let mut spelling = inner.replace('.', "_");
        for (former, since) in FORMER {
            spelling = spelling.replace(former, since);
        }
        let look = |folder: &str| {
            let found = self.known.get(&(folder.to_owned(), spelling.clone()))?;
            Some((found.0, found.1.as_str()))
        };
        match folder {
            Some(folder) => look(folder),
            None => self.folders.iter().find_map(|folder| look(folder)),
        }
    }
}

/// A tensor's module.
fn module_of(name: &str) -> Option<&str> {
    name.strip_suffix(".weight")
        .or_else(|| name.strip_suffix(".bias"))
}
