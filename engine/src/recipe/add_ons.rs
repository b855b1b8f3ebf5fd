//! Add-ons of a recipe: LoRA and their kin beside the model, and embeddings that its prompts name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Recipe;
use crate::prompt::extra_networks::{NamedAddOn, take};
use crate::prompt::{PromptSyntax, comments};

/// Add-ons of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddOns {
    /// LoRA and their kin, applied in this order, before those that the prompt names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<AddOnUse>,
    /// What the names mean, here and in the prompts: the first 8 or more digits of a hash of each
    /// file (see [`AddOnMade::hash`], or the file's SHA-256), by `lora:NAME` and `embed:NAME`; in older
    /// recipes by the name alone, for either kind. Finds files that were renamed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<String, String>,
}

/// An add-on with its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddOnUse {
    /// File name without ending, or the alias that its maker gave it.
    pub name: String,
    /// Weight in the denoising network, -100 to 100; 0 is off.
    pub unet: f64,
    /// Weight in the text encoders, -100 to 100; 0 is off.
    pub text: f64,
}

/// What an add-on is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddOnKind {
    /// LoRA, LyCORIS and their kin: changes weights.
    Lora,
    /// A textual inversion: a word of its own.
    Embedding,
}

impl AddOnKind {
    /// What A1111 and Civitai put before the names of its kind.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Embedding => "embed",
        }
    }

    /// A name as the key of its hash.
    fn key(self, name: &str) -> String {
        format!("{}:{name}", self.prefix())
    }
}

/// An add-on that took part in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddOnMade {
    /// What it is.
    pub kind: AddOnKind,
    /// File name without ending.
    pub name: String,
    /// As A1111 hashes it: SHA-256 of a safetensors file's data behind its header, of any other file as
    /// a whole; in hex.
    pub hash: String,
    /// Weight in the denoising network.
    pub unet: f64,
    /// Weight in the text encoders.
    pub text: f64,
}

impl AddOns {
    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty() && self.hashes.is_empty()
    }

    /// The digits that a name is pinned to.
    pub fn pinned(&self, kind: AddOnKind, name: &str) -> Option<&str> {
        let own = self.hashes.get(&kind.key(name));
        let digits = own.or_else(|| self.hashes.get(name))?.as_str();
        (digits.len() >= 8).then_some(digits)
    }

    /// Pins a name to the file with these first digits of its hash.
    pub fn pin(&mut self, kind: AddOnKind, name: &str, digits: String) {
        self.hashes.insert(kind.key(name), digits);
    }

    /// Lets a name mean the file that is called so here: it was chosen anew.
    pub fn unpin(&mut self, kind: AddOnKind, name: &str) {
        self.hashes.remove(&kind.key(name));
        self.hashes.remove(name);
    }

    /// Puts another list in the place of `used`. Names that were not in it mean the files called so
    /// here, whatever the recipe meant by them before.
    pub fn choose(&mut self, used: Vec<AddOnUse>) {
        let before = std::mem::replace(&mut self.used, used);
        let is_new = |one: &&AddOnUse| !before.iter().any(|known| known.name == one.name);
        let new: Vec<String> = self
            .used
            .iter()
            .filter(is_new)
            .map(|one| one.name.clone())
            .collect();
        for name in new {
            self.unpin(AddOnKind::Lora, &name);
        }
    }

    /// Adds one to the list, or puts it in the place of its namesake, as a file chosen anew.
    pub fn add(&mut self, one: AddOnUse) {
        self.unpin(AddOnKind::Lora, &one.name);
        self.used.retain(|known| known.name != one.name);
        self.used.push(one);
    }
}

impl Recipe {
    /// Every LoRA that the recipe asks for: its list, then what the prompt names, in order. Beside
    /// them what is wrong with the prompt's tags, for people.
    pub fn add_ons_asked(&self) -> (Vec<AddOnUse>, Vec<String>) {
        let mut asked = self.add_ons.used.clone();
        let mut notes = Vec::new();
        if self.prompting.syntax == PromptSyntax::Plain {
            return (asked, notes);
        }
        let words = comments::strip(&self.prompt);
        for tag in take(&words).1 {
            if !tag.names_lora() {
                notes.push(format!("{tag} has no counterpart here: it is left out"));
                continue;
            }
            match tag.add_on() {
                Ok(NamedAddOn { name, unet, text }) => asked.push(AddOnUse { name, unet, text }),
                Err(note) => notes.push(note),
            }
        }
        let negative = comments::strip(&self.negative_prompt);
        if let Some(tag) = take(&negative).1.iter().find(|tag| tag.names_lora()) {
            notes.push(format!(
                "{tag} stands in the negative prompt, where it is text like any other"
            ));
        }
        (asked, notes)
    }
}
