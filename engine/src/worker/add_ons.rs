//! The add-ons of a picture: found in the catalogue, opened once, hashed once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::words::{self, Candidate, Learned};
use super::{Loaded, Worker};
use crate::cancel::CancelToken;
use crate::catalog::{AddOnInfo, Catalog};
use crate::engine::Shared;
use crate::error::{EngineError, Result};
use crate::event::{JobId, Stage};
use crate::hash::to_hex;
use crate::recipe::{AddOnKind, AddOnMade, AddOnUse, Recipe};
use crate::weights::files::ByteSource;
use crate::weights::lora::{Adapter, AddOnFile, Misfits, Strengths};

/// Files kept open between jobs.
const OPEN_LIMIT: usize = 64;
/// How long a job that names add-ons waits for the first look through the model folders to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long any other does, whose words may be an embedding's.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Add-ons used so far.
#[derive(Default)]
pub(super) struct Shelf {
    open: HashMap<PathBuf, Kept>,
}

/// A file as it was when it was opened.
#[derive(Clone)]
struct Kept {
    stamp: (u64, Option<SystemTime>),
    file: Arc<AddOnFile>,
    hashes: Hashes,
}

/// A file's hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// SHA-256 of all its bytes, in hex.
    pub(super) whole: String,
    /// As A1111 hashes it: without a safetensors file's header.
    pub(super) data: String,
}

impl Hashes {
    /// Whether either of them begins with these digits.
    pub(super) fn begin_with(&self, digits: &str) -> bool {
        self.data.starts_with(digits) || self.whole.starts_with(digits)
    }
}

/// What a picture's add-ons are.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) adapters: Vec<Adapter>,
    pub(super) made: Vec<AddOnMade>,
    /// Texts that are encoded at some step.
    texts: Vec<String>,
    /// Files of the words that they may hold.
    words: Vec<Candidate>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

impl Worker {
    /// Brings the loaded models to a picture's add-ons, and pins the recipe to their files.
    ///
    /// # Errors
    /// As [`Shelf::resolve`] and `Model::adapt`.
    pub(super) fn adapt(
        &mut self,
        recipe: &mut Recipe,
        (job, picture): (JobId, u32),
        cancel: &CancelToken,
    ) -> Result<(Vec<AddOnMade>, Vec<String>)> {
        let mut resolved = self.shelf.resolve(recipe, &self.shared, cancel)?;
        let set = resolved.made.clone();
        let models = [&self.loaded, &self.refiner].into_iter().flatten();
        if models.into_iter().any(|loaded| loaded.add_ons != set) {
            self.enter(job, picture, Stage::LoadingModel);
        }
        let mut made = set;
        if let Some(loaded) = &mut self.loaded {
            let learned = loaded.bring_to(&resolved, Misfits::Refused, cancel)?;
            resolved.notes.extend(learned.notes);
            made.extend(learned.made);
        }
        if let Some(refiner) = &mut self.refiner {
            let learned = refiner.bring_to(&resolved, Misfits::LeftOut, cancel)?;
            let notes = learned.notes.into_iter();
            resolved
                .notes
                .extend(notes.map(|note| format!("refiner: {note}")));
            for one in learned.made {
                if !made.contains(&one) {
                    made.push(one);
                }
            }
        }
        // Of two files of one name the first model's is meant.
        for one in made.iter().rev() {
            recipe.add_ons.pin(one.kind, &one.name, one.hash.clone());
        }
        Ok((made, resolved.notes))
    }
}

impl Loaded {
    /// Brings the model to a picture's add-ons, and teaches it the words of its prompts.
    ///
    /// # Errors
    /// As `Model::adapt_by` and [`Loaded::learn`].
    fn bring_to(
        &mut self,
        resolved: &Resolved,
        misfits: Misfits,
        cancel: &CancelToken,
    ) -> Result<Learned> {
        let adapted = self.model.adapt_by(&resolved.adapters, misfits, cancel);
        // Texts that were encoded before a change, or before a part of one.
        if !matches!(&adapted, Ok(adapted) if !adapted.text_changed) {
            self.encodings.clear();
        }
        let mut notes = adapted?.notes;
        self.add_ons.clone_from(&resolved.made);
        let mut learned = self.learn(&resolved.texts, &resolved.words)?;
        notes.append(&mut learned.notes);
        learned.notes = notes;
        Ok(learned)
    }
}

impl Shelf {
    /// Everything that the recipe asks for. Names that nothing is found for become notes.
    ///
    /// # Errors
    /// `BadFile` or `Io` for a file that is broken, `Cancelled`.
    pub(super) fn resolve(
        &mut self,
        recipe: &Recipe,
        shared: &Shared,
        cancel: &CancelToken,
    ) -> Result<Resolved> {
        let (asked, notes) = recipe.add_ons_asked();
        let mut resolved = Resolved {
            notes,
            ..Resolved::default()
        };
        let is_named = !asked.is_empty() || !recipe.add_ons.hashes.is_empty();
        let patience = if is_named { PATIENCE } else { SHORT_PATIENCE };
        let catalog = complete_catalog(shared, patience, cancel)?;
        resolved.texts = words::texts(recipe);
        let (words, notes) = words::candidates(recipe, &resolved.texts, &catalog, cancel)?;
        resolved.words = words;
        resolved.notes.extend(notes);
        for AddOnUse { name, unet, text } in asked {
            let pinned = recipe.add_ons.pinned(AddOnKind::Lora, &name);
            let Some(info) = self.find_lora(&catalog, &name, pinned, cancel)? else {
                let note = format!("no LoRA is called “{name}”: it is left out");
                resolved.notes.push(note);
                continue;
            };
            if unet == 0.0 && text == 0.0 {
                continue;
            }
            let kept = self.take(info, cancel)?;
            if let Some(note) = differs(&name, pinned, &kept.hashes) {
                resolved.notes.push(note);
            }
            resolved.adapters.push(Adapter {
                file: kept.file,
                identity: kept.hashes.whole.clone(),
                strengths: Strengths { unet, text },
            });
            resolved.made.push(AddOnMade {
                kind: AddOnKind::Lora,
                name,
                hash: kept.hashes.data,
                unet,
                text,
            });
        }
        Ok(resolved)
    }

    /// The LoRA that a name means. Where several are called so and the recipe says which by its hash,
    /// they are hashed: headers need not tell.
    fn find_lora<'a>(
        &mut self,
        catalog: &'a Catalog,
        name: &str,
        pinned: Option<&str>,
        cancel: &CancelToken,
    ) -> Result<Option<&'a AddOnInfo>> {
        let called = catalog.called(AddOnKind::Lora, name, true);
        if pinned.is_some() && called.len() > 1 {
            for info in called {
                match self.take(info, cancel) {
                    Ok(kept) if differs(name, pinned, &kept.hashes).is_none() => {
                        return Ok(Some(info));
                    }
                    Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(catalog.add_on(AddOnKind::Lora, name, pinned))
    }

    fn take(&mut self, info: &AddOnInfo, cancel: &CancelToken) -> Result<Kept> {
        let stamp = stamp(&info.path);
        if let Some(kept) = self.open.get(&info.path)
            && kept.stamp == stamp
        {
            return Ok(kept.clone());
        }
        let kept = Kept {
            stamp,
            file: Arc::new(AddOnFile::open(&info.path)?),
            hashes: hash(&ByteSource::open(&info.path)?, cancel)?,
        };
        if self.open.len() >= OPEN_LIMIT {
            self.open.clear();
        }
        self.open.insert(info.path.clone(), kept.clone());
        Ok(kept)
    }
}

/// The catalogue once the model folders were looked through.
fn complete_catalog(
    shared: &Shared,
    patience: Duration,
    cancel: &CancelToken,
) -> Result<Arc<Catalog>> {
    let mut waited = Duration::ZERO;
    while !shared.is_scanned() && waited < patience {
        cancel.check()?;
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
    Ok(shared.catalog())
}

/// A note when a file is another one than the recipe names.
fn differs(name: &str, pinned: Option<&str>, hashes: &Hashes) -> Option<String> {
    (!hashes.begin_with(pinned?)).then(|| words::other_file(name))
}

fn stamp(path: &Path) -> (u64, Option<SystemTime>) {
    let facts = std::fs::metadata(path).ok();
    let changed = facts.as_ref().and_then(|facts| facts.modified().ok());
    (facts.map_or(0, |facts| facts.len()), changed)
}

/// Reads a file once for both hashes.
pub(super) fn hash(source: &ByteSource, cancel: &CancelToken) -> Result<Hashes> {
    let mut prefix = [0; 9];
    let data_from = match source.read_at(0, &mut prefix) {
        Ok(()) if prefix[8] == b'{' => {
            let header = u64::from_le_bytes(*prefix.first_chunk().unwrap_or(&[0; 8]));
            header.checked_add(8).filter(|start| *start <= source.len())
        }
        _ => None,
    };
    let data_from = data_from.unwrap_or(0);
    let (mut whole, mut data) = (Sha256::new(), Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < source.len() {
        cancel.check()?;
        let count = buffer.len().min((source.len() - offset) as usize);
        let piece = &mut buffer[..count];
        source.read_at(offset, piece)?;
        whole.update(&*piece);
        let header = data_from.saturating_sub(offset).min(count as u64) as usize;
        data.update(&piece[header..]);
        offset += count as u64;
    }
    Ok(Hashes {
        whole: to_hex(&whole.finalize()),
        data: to_hex(&data.finalize()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256_hex;

    #[test]
    fn the_header_does_not_count_for_a1111() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.safetensors");
        let mut bytes = 2_u64.to_le_bytes().to_vec();
        bytes.extend(b"{}data");
        std::fs::write(&path, &bytes).unwrap();
        let hashes = hash(&ByteSource::open(&path).unwrap(), &CancelToken::default()).unwrap();
        assert_eq!(hashes.whole, sha256_hex(&bytes));
        assert_eq!(hashes.data, sha256_hex(b"data"));
        std::fs::write(&path, b"pickle").unwrap();
        let hashes = hash(&ByteSource::open(&path).unwrap(), &CancelToken::default()).unwrap();
        assert_eq!(hashes.data, sha256_hex(b"pickle"));
        assert!(differs("a", Some(&hashes.whole[..10]), &hashes).is_none());
        assert!(differs("a", Some("0123456789"), &hashes).is_some());
    }
}
