//! The model that takes over at low noise.

use super::{Loaded, Worker, is_loaded};
use crate::cancel::CancelToken;
use crate::catalog::scan::Found;
use crate::error::{EngineError, Result};
use crate::event::{JobId, Stage};
use crate::recipe::Recipe;

impl Worker {
    /// What the catalogue says of the model that takes over; settles in the recipe who lends it parts.
    pub(super) fn find_refiner(
        &self,
        recipe: &mut Recipe,
        notes: &mut Vec<String>,
    ) -> Result<Option<Found>> {
        let Some(refiner) = &mut recipe.refiner else {
            return Ok(None);
        };
        let wanted = &refiner.model.id;
        let found = self.shared.found(wanted).ok_or_else(|| {
            let why = format!("no model called “{wanted}”");
            EngineError::invalid("refiner.model", why)
        })?;
        self.borrow(found, &mut refiner.parts_from, notes).map(Some)
    }

    /// Loads the model that takes over, or lets go of one that no longer does. Returns what the
    /// catalogue says of it.
    pub(super) fn load_refiner(
        &mut self,
        found: Option<Found>,
        recipe: &Recipe,
        job: JobId,
        cancel: &CancelToken,
    ) -> Result<Option<Found>> {
        let Some(found) = found else {
            self.refiner = None;
            return Ok(None);
        };
        if !is_loaded(&self.refiner, &found, recipe.precision) {
            self.refiner = None;
            self.enter(job, 0, Stage::LoadingModel);
            let loaded = Loaded::load(&found, recipe.precision, &self.backend, cancel)?;
            self.refiner = Some(loaded);
        }
        Ok(Some(found))
    }
}
