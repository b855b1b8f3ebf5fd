//! The model that takes over at low noise, and what of both models stays in memory.

use super::{Loaded, Worker, is_loaded};
use crate::cancel::CancelToken;
use crate::catalog::scan::Found;
use crate::error::{EngineError, Result};
use crate::event::{JobId, Stage};
use crate::families::model::ModelPart;
use crate::recipe::{Precision, Recipe};
use crate::residency::{Models, Residency};

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

    /// Opens the model that takes over, or lets go of one that no longer does.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(super) fn load_refiner(
        &mut self,
        found: Option<&Found>,
        precision: Precision,
        cancel: &CancelToken,
    ) -> Result<()> {
        let Some(found) = found else {
            self.refiner = None;
            return Ok(());
        };
        if !is_loaded(&self.refiner, found, precision) {
            self.refiner = None;
            let loaded = Loaded::load(found, precision, &self.backend, cancel)?;
            self.refiner = Some(loaded);
        }
        Ok(())
    }

    /// How much of a job's models stays in memory.
    pub(super) fn choose_residency(
        &self,
        recipe: &Recipe,
        found: &Found,
        refiner: Option<&Found>,
    ) -> Residency {
        let models = Models {
            first: &found.info,
            refiner: refiner.map(|found| &found.info),
        };
        let history = self.shared.history();
        history.residency(recipe, models, &self.machine())
    }

    /// Brings the opened models into memory where all of them fit; else lets go of what an easier job
    /// left there.
    ///
    /// # Errors
    /// As `Model::fetch`.
    pub(super) fn fetch(&mut self, job: JobId, cancel: &CancelToken) -> Result<()> {
        let models = || [&self.loaded, &self.refiner].into_iter().flatten();
        let keeps = self.residency != Residency::LayerByLayer;
        models().for_each(|loaded| loaded.model.keep(keeps));
        match self.residency {
            Residency::Everything if models().all(Loaded::is_whole) => return Ok(()),
            Residency::Everything => {}
            Residency::Networks | Residency::LayerByLayer => return Ok(()),
            Residency::OneAtATime => {
                models().for_each(|loaded| loaded.model.set_aside(ModelPart::Network));
                return Ok(());
            }
        }
        if self.stage != Some(Stage::LoadingModel) {
            self.enter(job, 0, Stage::LoadingModel);
        }
        let mut models = [&self.loaded, &self.refiner].into_iter().flatten();
        models.try_for_each(|loaded| loaded.model.fetch_all(cancel))
    }
}
