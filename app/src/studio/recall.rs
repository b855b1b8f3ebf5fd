//! Controls from recipes. A picture of ours that is opened from a file brings every control as it was
//! when it was made, the picture it started from and the mask under it, and a way back to the
//! controls as they stood.

use std::path::PathBuf;

use pentimento_engine::catalog::matching::MatchedBy;
use pentimento_engine::recipe::{FoundRecord, ModelRef, Recipe};

use super::draft::{DraftEdit, StartMode};
use super::edit::{Canvas, EditKind};
use super::gallery::GalleryRequest;
use super::tiles::Plane;
use super::{Effect, Studio};
use crate::command::Command;
use crate::text::{t, t_args};

/// A picture whose start picture is on its way: it will be staged over that one.
#[derive(Clone, Debug)]
pub struct Reopened {
    path: PathBuf,
    pixels: Plane<4>,
}

impl Studio {
    /// As [`Self::recall`], and says what could not be taken over.
    pub(super) fn recall_found(&mut self, found: &FoundRecord) -> Vec<Effect> {
        let effects = self.recall(found.record.recipe.clone());
        self.note_differences(found);
        effects
    }

    /// Says what of a recipe could not be taken over.
    pub(super) fn note_differences(&mut self, found: &FoundRecord) {
        if !found.notes.is_empty() {
            self.notices
                .warning(t("notice-recall-note"), found.notes.join("\n"));
        }
    }

    /// Every control as a recipe has it; the picture it starts from goes to the canvas.
    pub(super) fn recall(&mut self, recipe: Recipe) -> Vec<Effect> {
        let start = recipe.start.clone();
        let mut effects = self.take_over(recipe);
        if self.model().is_some() {
            self.notices.info(t("notice-recalled"));
        }
        effects
            .extend(start.map(|start| Effect::Gallery(GalleryRequest::OpenStart(Box::new(start)))));
        effects
    }

    /// Every control as a recipe has it. Another model is loaded meanwhile; one that is missing is
    /// named.
    pub(super) fn take_over(&mut self, mut recipe: Recipe) -> Vec<Effect> {
        self.take_meant(&mut recipe.model);
        let missing = recipe.leave_missing_decoders(&self.catalog);
        if !missing.is_empty() {
            self.notices
                .warning(t("notice-recall-note"), missing.join("\n"));
        }
        if let Some(refiner) = &mut recipe.refiner
            && !self.take_meant(&mut refiner.model)
        {
            self.note_missing(&refiner.model.id);
        }
        let (former, wanted) = (self.draft.model.clone(), recipe.model.id.clone());
        self.draft
            .apply(DraftEdit::Recall(Box::new(recipe)), &self.catalog);
        self.overlay = None;
        self.settings.open.controls = true;
        if self.model().is_none() {
            self.note_missing(&wanted);
            return Vec::new();
        }
        let other = wanted != former;
        other
            .then_some(Effect::WarmUp(wanted))
            .into_iter()
            .collect()
    }

    /// The id here of a model that a recipe names; says so when its files are others. Returns whether
    /// there is one.
    fn take_meant(&mut self, wanted: &mut ModelRef) -> bool {
        let Some((meant, by)) = self.catalog.meant(wanted) else {
            return false;
        };
        if by == MatchedBy::Name && meant.differs_from(wanted) {
            self.notices.warning(
                t_args(
                    "notice-recall-other-files",
                    [("model", meant.name.clone().into())],
                ),
                t("notice-recall-other-files-hint"),
            );
        }
        wanted.id.clone_from(&meant.id);
        true
    }

    fn note_missing(&mut self, model: &str) {
        self.notices.warning(
            t_args(
                "notice-recall-no-model",
                [("model", model.to_owned().into())],
            ),
            t("notice-recall-no-model-hint"),
        );
    }

    /// Opens a picture with the record that was found in it.
    pub(super) fn reopen(
        &mut self,
        path: PathBuf,
        pixels: Plane<4>,
        found: &FoundRecord,
    ) -> Vec<Effect> {
        let before = self.draft.clone();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        self.open_canvas(EditKind::Open, Canvas::new(name, pixels.clone()));
        let mut effects = self.take_over(found.record.recipe.clone());
        if self.draft != before {
            self.notices.with_action(
                t("notice-recalled"),
                t("restore-draft"),
                Command::RestoreDraft(Box::new(before)),
            );
        }
        self.note_differences(found);
        if let Some(start) = found.record.recipe.start.clone() {
            self.reopened = Some(Reopened { path, pixels });
            effects.push(Effect::Gallery(GalleryRequest::OpenStart(Box::new(start))));
        }
        effects
    }

    /// The start picture of the reopened one is on the canvas: the reopened one is its result.
    pub(super) fn stage_reopened(&mut self) {
        if let Some(Reopened { path, pixels }) = self.reopened.take() {
            self.staging.restore(vec![(path, pixels)], 0);
        }
    }

    /// The start picture is not in this gallery: the picture itself stays on the canvas.
    pub(super) fn keep_reopened(&mut self) {
        if self.reopened.take().is_some() {
            self.draft.start.mode = StartMode::Variation;
        }
    }
}
