//! Brings a loaded model to a set of add-ons. Only tensors whose add-ons differ from what they were
//! last computed with are touched: read from the model's file, changed in f32, packed again. Their
//! places keep the change: a tensor that was let go of meanwhile comes back with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::algorithm::{self, Place};
use super::file::AddOnFile;
use super::naming::{Names, Part};
use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::weights::{Stored, slot};

/// How strongly an add-on counts; 0 is not at all, 1 as it was trained. May be negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strengths {
    /// In the denoising network.
    pub unet: f64,
    /// In the text encoders.
    pub text: f64,
}

/// An add-on to be applied.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its file.
    pub file: Arc<AddOnFile>,
    /// Tells one content from another: its SHA-256.
    pub identity: String,
    /// How strongly.
    pub strengths: Strengths,
}

/// What came of bringing a model to a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adapted {
    /// Whether any tensor of the text encoders was changed.
    pub text_changed: bool,
    /// Whether any tensor of the denoising network was changed.
    pub unet_changed: bool,
    /// What the user should know: modules without a layer.
    pub notes: Vec<String>,
}

impl Adapted {
    /// Whether any tensor was changed.
    pub fn has_changed(&self) -> bool {
        self.text_changed || self.unet_changed
    }
}

/// What becomes of an add-on's modules that do not fit a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfits {
    /// The add-on is refused, but for modules whose layers the model does not have.
    Refused,
    /// They are left out, all of them if need be, and said.
    LeftOut,
}

/// The parts of a loaded model whose tensors can be changed, and what they were changed by.
#[derive(Debug)]
pub struct Adaptable {
    parts: Vec<Part>,
    /// By part and tensor, what its place holds beyond the file's own numbers.
    applied: BTreeMap<(usize, String), Vec<Mark>>,
}

/// Of an add-on in a tensor: its identity and strength.
type Mark = (String, u64);

/// What a tensor is to be computed from.
#[derive(Clone, Default)]
struct Mix {
    marks: Vec<Mark>,
    changes: Vec<Change>,
}

#[derive(Clone)]
struct Change {
    file: Arc<AddOnFile>,
    /// Of the file's modules.
    module: String,
    /// The layer's own name.
    layer: String,
    strength: f64,
}

impl Adaptable {
    /// `parts`: places of a model's tensors.
    pub fn new(parts: Vec<Part>) -> Self {
        Self {
            parts,
            applied: BTreeMap::new(),
        }
    }

    /// Brings the model to exactly these add-ons, applied in this order, as far as they fit. After an error some tensors
    /// may be at the new set and some at the old one; the next call knows which.
    ///
    /// # Errors
    /// `BadFile` that names the add-on, its tensor and what does not fit, before anything is changed;
    /// `Cancelled`, `Io` or `Compute` meanwhile.
    pub fn bring_to(
        &mut self,
        set: &[Adapter],
        misfits: Misfits,
        cancel: &CancelToken,
    ) -> Result<Adapted> {
        let mut adapted = Adapted::default();
        if set.is_empty() && self.applied.is_empty() {
            return Ok(adapted);
        }
        let parts = self.parts.clone();
        let names = Names::of(&parts);
        let wanted = plan(set, misfits, (&parts, &names), &mut adapted.notes)?;
        let nothing = Mix::default();
        let touched: BTreeSet<_> = wanted.keys().chain(self.applied.keys()).cloned().collect();
        for key in touched {
            let mix = wanted.get(&key).unwrap_or(&nothing);
            let before = self.applied.get(&key).map_or(&[][..], Vec::as_slice);
            if mix.marks == before {
                continue;
            }
            cancel.check()?;
            let (index, tensor) = &key;
            let part = &parts[*index];
            part.slots.change(tensor, mix.as_change(part, tensor))?;
            if mix.marks.is_empty() {
                self.applied.remove(&key);
            } else {
                self.applied.insert(key.clone(), mix.marks.clone());
            }
            if part.is_text() {
                adapted.text_changed = true;
            } else {
                adapted.unet_changed = true;
            }
        }
        Ok(adapted)
    }

    /// The numbers that a tensor of a part (by folder) has with these add-ons, in f32; `None` when
    /// the part has no such tensor.
    ///
    /// # Errors
    /// As [`Self::bring_to`].
    pub fn merged(
        &self,
        folder: &str,
        tensor: &str,
        set: &[Adapter],
        cancel: &CancelToken,
    ) -> Result<Option<Vec<f32>>> {
        let index = self.parts.iter().position(|part| part.folder == folder);
        let Some(index) = index.filter(|index| self.parts[*index].slots.shape(tensor).is_some())
        else {
            return Ok(None);
        };
        let names = Names::of(&self.parts);
        let wanted = plan(
            set,
            Misfits::Refused,
            (&self.parts, &names),
            &mut Vec::new(),
        )?;
        let part = &self.parts[index];
        let stored = part.slots.read(tensor)?;
        cancel.check()?;
        let mix = wanted.get(&(index, tensor.to_owned()));
        let change = mix.and_then(|mix| mix.as_change(part, tensor));
        let merged = stored.map(|stored| match change {
            Some(change) => change(stored),
            None => Ok(stored),
        });
        Ok(merged.transpose()?.map(Stored::into_f32))
    }

    /// The parts of the model.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// What each tensor is to be computed from. All shapes are checked here.
fn plan(
    set: &[Adapter],
    misfits: Misfits,
    (parts, names): (&[Part], &Names),
    notes: &mut Vec<String>,
) -> Result<BTreeMap<(usize, String), Mix>> {
    let mut wanted: BTreeMap<(usize, String), Mix> = BTreeMap::new();
    for adapter in set {
        let file = adapter.file.as_ref();
        let (mut lost, mut unbiased) = (Vec::new(), Vec::new());
        for (name, module) in &file.modules {
            let Some((index, own)) = names.find(name) else {
                lost.push(name);
                continue;
            };
            let part = &parts[index];
            let strength = if part.is_text() {
                adapter.strengths.text
            } else {
                adapter.strengths.unet
            };
            let bias = format!("{own}.bias");
            let weight = format!("{own}.weight");
            let shapes = [weight.as_str(), bias.as_str()].map(|name| part.slots.shape(name));
            let Some(shape) = shapes[0].or(shapes[1]) else {
                lost.push(name);
                continue;
            };
            match algorithm::check(file, module, shape) {
                Err(_) if misfits == Misfits::LeftOut => {
                    lost.push(name);
                    continue;
                }
                checked => checked?,
            }
            let mut add = |tensor: String| {
                let mix = wanted.entry((index, tensor)).or_default();
                let mark = (adapter.identity.clone(), strength.to_bits());
                mix.marks.push(mark);
                mix.changes.push(Change {
                    file: Arc::clone(&adapter.file),
                    module: name.clone(),
                    layer: own.to_owned(),
                    strength,
                });
            };
            if strength == 0.0 {
                continue;
            }
            if algorithm::changes_weight(module) && shapes[0].is_some() {
                add(weight);
            }
            if algorithm::changes_bias(module) {
                match shapes[1] {
                    Some(_) => add(bias),
                    None => unbiased.push(name),
                }
            }
        }
        notes.extend(
            file.notes
                .iter()
                .map(|note| format!("{}: {note}", name_of(file))),
        );
        if let Some(first) = unbiased.first() {
            notes.push(format!(
                "{}: {} modules change a bias that their layers do not have in this model, the first is “{first}”",
                name_of(file),
                unbiased.len()
            ));
        }
        tell_lost(file, &lost, misfits, notes)?;
    }
    Ok(wanted)
}

fn name_of(file: &AddOnFile) -> String {
    let name = file.path().file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Modules without a layer: some are normal (a text encoder that this model lacks), all are not.
fn tell_lost(
    file: &AddOnFile,
    lost: &[&String],
    misfits: Misfits,
    notes: &mut Vec<String>,
) -> Result<()> {
    let Some(first) = lost.first() else {
        return Ok(());
    };
    let (count, all) = (lost.len(), file.modules.len());
    if count == all && misfits == Misfits::LeftOut {
        notes.push(format!(
            "{} was made for another kind of model: it is not applied to this one",
            name_of(file)
        ));
        return Ok(());
    }
    if count == all {
        return Err(EngineError::bad_file(
            file.path(),
            format!("made for another kind of model: this one has no layer “{first}”"),
            "choose an add-on that was made for this model's family",
        ));
    }
    let lack = match misfits {
        Misfits::Refused => "have no layer in",
        Misfits::LeftOut => "fit no layer of",
    };
    notes.push(format!(
        "{}: {count} of {all} modules {lack} this model, the first is “{first}”",
        name_of(file)
    ));
    Ok(())
}

impl Mix {
    /// What makes a tensor of it; `None` where it is to have the very type and bits of its file.
    fn as_change(&self, part: &Part, tensor: &str) -> Option<slot::Change> {
        if self.changes.is_empty() {
            return None;
        }
        let changes = self.changes.clone();
        let folder = part.folder.clone();
        let shape = part.slots.shape(tensor).unwrap_or_default().to_vec();
        let is_bias = tensor.ends_with(".bias");
        Some(Arc::new(move |stored: Stored| {
            let mut values = stored.into_f32();
            for change in &changes {
                change.apply(&folder, &shape, is_bias, &mut values)?;
            }
            Ok(Stored::F32(values))
        }))
    }
}

impl Change {
    fn apply(
        &self,
        folder: &str,
        shape: &[usize],
        is_bias: bool,
        values: &mut [f32],
    ) -> Result<()> {
        let Self { file, strength, .. } = self;
        let Some(module) = file.modules.get(&self.module) else {
            return Ok(());
        };
        let place = Place {
            folder,
            module: &self.layer,
            shape,
        };
        if is_bias {
            algorithm::apply_bias(file, module, place, *strength, values)?;
        } else {
            algorithm::apply(file, module, place, *strength, values)?;
        }
        if !values.iter().all(|value| value.is_finite()) {
            let why = format!("at strength {strength} it gives numbers that are not finite");
            return Err(file.bad(module, why));
        }
        Ok(())
    }
}
