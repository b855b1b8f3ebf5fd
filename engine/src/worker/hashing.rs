//! The hashes of the models, computed while their first picture is made, checked against the recipe's
//! and written into it.

use std::sync::Arc;

use super::{Loaded, Worker, panic_message};
use crate::cancel::CancelToken;
use crate::catalog::hash::hash_model;
use crate::catalog::scan::Found;
use crate::engine::Shared;
use crate::error::{EngineError, Result};
use crate::recipe::{ModelRef, Recipe};

/// Hashes the model while its first picture is made, unless the hash is known.
enum HashInBackground {
    Known(String),
    Running(std::thread::JoinHandle<Result<String>>, String),
}

impl HashInBackground {
    fn start(found: &Found, cancel: &CancelToken) -> Self {
        if let Some(sha256) = &found.info.sha256 {
            return Self::Known(sha256.clone());
        }
        let (found, cancel) = (found.clone(), cancel.clone());
        let id = found.info.id.clone();
        let work = move || {
            crate::backend::lower_priority();
            hash_model(&found, &cancel)
        };
        match std::thread::Builder::new()
            .name("engine-job-hash".to_owned())
            .spawn(work)
        {
            Ok(thread) => Self::Running(thread, id),
            Err(_no_thread) => Self::Known(String::new()),
        }
    }

    fn finish(self, shared: &Shared) -> Result<String> {
        match self {
            Self::Known(sha256) => Ok(sha256),
            Self::Running(thread, id) => {
                let sha256 = thread.join().unwrap_or_else(|payload| {
                    let report = panic_message(payload.as_ref());
                    Err(EngineError::Internal {
                        stage: "hashing the model".to_owned(),
                        report,
                    })
                })?;
                shared.set_hash(&id, &sha256);
                Ok(sha256)
            }
        }
    }
}

/// The models of a job, on their way to being told.
pub(super) struct Checks {
    model: Check,
    refiner: Option<Check>,
    /// Of the models that lend parts to these two.
    lenders: [Option<Check>; 2],
}

/// One of them, and the hash that the recipe names.
struct Check {
    pinned: Option<String>,
    hash: HashInBackground,
}

impl Checks {
    /// Begins to hash what has no hash yet.
    pub(super) fn start(
        recipe: &Recipe,
        model: &Found,
        refiner: Option<&Found>,
        cancel: &CancelToken,
    ) -> Self {
        let check = |wanted: &ModelRef, found: &Found| Check {
            pinned: wanted.sha256.clone(),
            hash: HashInBackground::start(found, cancel),
        };
        let refines = recipe.refiner.as_ref().zip(refiner);
        let lends = |wanted: &Option<ModelRef>, found: &Found| {
            let wanted = wanted.as_ref()?;
            Some(check(wanted, found.lender.as_deref()?))
        };
        Self {
            model: check(&recipe.model, model),
            refiner: refines.map(|(wanted, found)| check(&wanted.model, found)),
            lenders: [
                lends(&recipe.network.parts_from, model),
                refines.and_then(|(wanted, found)| lends(&wanted.parts_from, found)),
            ],
        }
    }
}

impl Check {
    /// The hash, and a note when it is another than the recipe's.
    fn finish(self, shared: &Shared, whose: &str) -> Result<(String, Option<String>)> {
        let sha256 = self.hash.finish(shared)?;
        let differs = self.pinned.is_some_and(|pinned| pinned != sha256);
        let note = format!("the {whose}'s files differ from those the recipe names");
        Ok((sha256, differs.then_some(note)))
    }
}

impl Worker {
    /// Waits for the hashes and keeps them with the models. Returns what the user should know.
    pub(super) fn finish_checks(&mut self, checks: Checks) -> Result<Vec<String>> {
        let Checks {
            model,
            refiner,
            lenders: [to_model, to_refiner],
        } = checks;
        let mut notes = Vec::new();
        for (loaded, check, lender, whose) in [
            (&mut self.loaded, Some(model), to_model, "model"),
            (&mut self.refiner, refiner, to_refiner, "refiner"),
        ] {
            let Some(check) = check else { continue };
            let (sha256, note) = check.finish(&self.shared, whose)?;
            notes.extend(note);
            let lent = lender.map(|check| check.finish(&self.shared, "lending model"));
            let (lent, note) = lent.transpose()?.unzip();
            notes.extend(note.flatten());
            let Some(loaded) = loaded else { continue };
            loaded.found.info.sha256 = Some(sha256);
            if let Some(lender) = &mut loaded.found.lender {
                Arc::make_mut(lender).info.sha256 = lent;
            }
        }
        Ok(notes)
    }

    /// Writes into a recipe which files made its picture.
    pub(super) fn write_hashes(&self, recipe: &mut Recipe) {
        let of = |loaded: &Option<Loaded>| loaded.as_ref()?.found.info.sha256.clone();
        let lent = |loaded: &Option<Loaded>, wanted: &mut Option<ModelRef>| {
            if let Some(wanted) = wanted {
                let lender = loaded.as_ref().and_then(|one| one.found.lender.as_ref());
                wanted.sha256 = lender.and_then(|lender| lender.info.sha256.clone());
            }
        };
        recipe.model.sha256 = of(&self.loaded);
        lent(&self.loaded, &mut recipe.network.parts_from);
        if let Some(refiner) = &mut recipe.refiner {
            refiner.model.sha256 = of(&self.refiner);
            lent(&self.refiner, &mut refiner.parts_from);
        }
    }
}
