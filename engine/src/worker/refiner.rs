//! The model that takes over at low noise.

use super::{Loaded, Worker, is_loaded};
use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::event::{JobId, Stage};
use crate::recipe::Recipe;

impl Worker {
    /// Loads the model that takes over, or lets go of one that no longer does.
    pub(super) fn load_refiner(
        &mut self,
        recipe: &mut Recipe,
        job: JobId,
        cancel: &CancelToken,
    ) -> Result<()> {
        let Some(refiner) = &mut recipe.refiner else {
            self.refiner = None;
            return Ok(());
        };
        let wanted = &refiner.model.id;
        let found = self.shared.found(wanted).ok_or_else(|| {
            let why = format!("no model called “{wanted}”");
            EngineError::invalid("refiner.model", why)
        })?;
        if !is_loaded(&self.refiner, &found, recipe.precision) {
            self.refiner = None;
            self.enter(job, 0, Stage::LoadingModel);
            let loaded = Loaded::load(&found, recipe.precision, &self.backend, cancel)?;
            self.refiner = Some(loaded);
        }
        if let Some(sha256) = found.info.sha256 {
            refiner.model.sha256 = Some(sha256);
        }
        Ok(())
    }
}
