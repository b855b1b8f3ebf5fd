//! What the engine and the gallery's worker say back.

use std::path::PathBuf;
use std::sync::Arc;

use pentimento_engine::catalog::Catalog;
use pentimento_engine::client::Request;
use pentimento_engine::error::EngineError;
use pentimento_engine::event::{Event, JobId, Preview};
use pentimento_engine::library::Entry;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{FoundRecord, Record};

use super::document::DocumentCommand;
use super::edit::{Canvas, EditKind};
use super::gallery::{OpenFor, PictureId};
use super::io_task::IoTask;
use super::tiles::Plane;
use super::{Effect, Studio};
use crate::text::{t, t_args};

/// An answer of the gallery's worker.
#[derive(Clone, Debug)]
pub enum GalleryReply {
    /// A page of a search.
    Listed {
        /// The search it belongs to.
        serial: u64,
        /// Entries skipped.
        offset: usize,
        /// How many match in all.
        total: u64,
        /// The page.
        entries: Vec<Entry>,
    },
    /// What made a picture; `None`: nothing in it tells.
    Record(PictureId, Option<Box<FoundRecord>>),
    /// Pixels that were asked for.
    Opened {
        /// A name for them: the file's, without its extension.
        name: String,
        /// The pixels.
        pixels: Plane<4>,
        /// What for.
        purpose: OpenFor,
    },
    /// What a recalled recipe starts from.
    StartOpened {
        /// The start picture.
        pixels: Plane<4>,
        /// The mask, for repainting.
        mask: Option<Plane<1>>,
    },
    /// Something failed.
    Failed {
        /// Why.
        error: EngineError,
        /// Whether it was the list; anything else leads to reading the list again.
        listing: bool,
    },
}

impl Studio {
    /// Takes an event of the engine.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            // The engine's wire brings the new list itself.
            Event::CatalogChanged => {}
            Event::Started { job, recipe, count } => self.jobs.started(job, *recipe, count),
            Event::StageChanged {
                job,
                picture,
                stage,
            } => self.jobs.progress(job, |running| {
                if running.picture != picture {
                    running.step = 0;
                }
                running.picture = picture;
                running.stage = Some(stage);
            }),
            Event::StepDone {
                job,
                picture,
                step,
                steps,
                left_secs,
                ..
            } => self.jobs.progress(job, |running| {
                running.picture = picture;
                running.step = step;
                running.steps = steps;
                running.left_secs = Some(left_secs);
            }),
            Event::ImageReady {
                job,
                picture,
                path,
                record,
                image,
            } => return self.on_picture(job, picture, path, *record, &image),
            Event::ImageUnsaved {
                job,
                picture,
                record,
                image,
            } => {
                self.preview = None;
                self.draft.seed.last = Some(record.recipe.seed);
                // Its only copy: from the canvas it can be saved elsewhere.
                self.staging.push_unsaved(job, picture, record, &image);
            }
            Event::Finished { job } => self.on_end(job),
            Event::Cancelled { job } => {
                self.on_end(job);
                self.notices.info(t("notice-cancelled"));
            }
            Event::Failed { job, error } => {
                self.on_end(job);
                self.notices.error(&error);
            }
            Event::PromptsInspected { query, inspections } => {
                self.prompts.inspected(query, *inspections);
            }
        }
        Vec::new()
    }

    /// The list of models came. Chooses one when none is chosen, and has it loaded meanwhile.
    pub fn on_catalog(&mut self, catalog: Arc<Catalog>) -> Vec<Effect> {
        let had_model = self.model().is_some();
        self.catalog = catalog;
        self.prompts.forget();
        self.foretold.forget();
        let adopted = self.draft.adopt_first_model(&self.catalog);
        if self.model().is_some() && (adopted || !had_model) {
            return vec![Effect::WarmUp(self.draft.model.clone())];
        }
        Vec::new()
    }

    /// A preview came; one of a job that has ended meanwhile is dropped.
    pub fn on_preview(&mut self, preview: Preview) {
        if self.jobs.get(preview.job).is_some() {
            self.preview = Some(preview);
        }
    }

    /// What happens by the clock. Returns effects, and the seconds until there is more to do.
    pub fn tick(&mut self, now_secs: f64) -> (Vec<Effect>, Vec<f64>) {
        let mut waits: Vec<f64> = self.notices.tick(now_secs).into_iter().collect();
        let draft = &self.draft;
        let known = draft.model_info(&self.catalog).is_some();
        let query = known.then(|| draft.prompt_query());
        let mut effects = Vec::new();
        match self.prompts.tick(now_secs, query) {
            Ok(Some((query, prompts))) => effects.push(Effect::InspectPrompts { query, prompts }),
            Ok(None) => {}
            Err(left) => waits.push(left),
        }
        let (mode, start_px) = (self.start_mode(), self.start_size_px());
        let wanted = known.then(|| self.draft.for_forecast(mode, start_px, &self.catalog));
        if let Some((recipe, count)) = self.foretold.tick(wanted) {
            effects.push(Effect::Forecast(recipe, count));
        }
        (effects, waits)
    }

    /// A picture is finished.
    fn on_picture(
        &mut self,
        job: JobId,
        picture: u32,
        path: PathBuf,
        record: Record,
        image: &Picture,
    ) -> Vec<Effect> {
        self.jobs.change(job, |job| job.done += 1);
        self.preview = None;
        self.foretold.forget();
        self.draft.seed.last = Some(record.recipe.seed);
        for warning in &record.outcome.warnings {
            self.notices.warning(warning.clone(), String::new());
        }
        self.jobs.last_outcome = Some(record.outcome);
        self.staging.push(job, picture, path, image);
        vec![Effect::Gallery(self.gallery.search())]
    }

    fn on_end(&mut self, job: JobId) {
        self.jobs.ended(job);
        if self
            .preview
            .as_ref()
            .is_some_and(|preview| preview.job == job)
        {
            self.preview = None;
        }
    }

    /// The engine took a request, or refused it.
    pub fn on_submitted(&mut self, request: Request, answer: Result<JobId, EngineError>) {
        match answer {
            Ok(id) => {
                let waits = self.jobs.is_busy();
                self.jobs.queued(id, request.recipe, request.count);
                if waits {
                    let ahead = self.jobs.active.len() - 1;
                    self.notices
                        .info(t_args("notice-queued", [("ahead", ahead.into())]));
                }
            }
            Err(error) => self.notices.error(&error),
        }
    }

    /// What made a picture is known, or that nothing tells.
    fn on_record(&mut self, id: PictureId, record: Option<Box<FoundRecord>>) -> Vec<Effect> {
        let wanted = self.gallery.recipe_wanted.as_ref() == Some(&id);
        if wanted {
            self.gallery.recipe_wanted = None;
        }
        match record {
            Some(record) => {
                let effects = if wanted {
                    self.recall_found(&record)
                } else {
                    Vec::new()
                };
                // A late answer about another picture must not push out the one that is shown.
                if self.gallery.selected.as_ref() == Some(&id) {
                    self.gallery.record = Some((id, record));
                }
                effects
            }
            None => {
                if wanted {
                    self.notices
                        .warning(t("notice-no-recipe"), t("notice-no-recipe-hint"));
                }
                Vec::new()
            }
        }
    }

    /// Takes an answer of the gallery's worker.
    pub fn on_gallery(&mut self, reply: GalleryReply) -> Vec<Effect> {
        match reply {
            GalleryReply::Listed {
                serial,
                offset,
                total,
                entries,
            } => self.gallery.listed(serial, offset, entries, total),
            GalleryReply::Record(id, record) => return self.on_record(id, record),
            GalleryReply::Opened {
                name,
                pixels,
                purpose: OpenFor::Canvas,
            } => {
                self.open_canvas(EditKind::Open, Canvas::new(name, pixels));
            }
            GalleryReply::Opened {
                pixels,
                purpose: OpenFor::Clipboard,
                ..
            } => return vec![Effect::Io(IoTask::Copy(pixels))],
            GalleryReply::StartOpened { pixels, mask } => {
                let start = self.draft.start.clone();
                self.open_canvas(EditKind::Open, Canvas::new(t("start"), pixels));
                if let Some(mask) = mask {
                    self.document.apply(DocumentCommand::LoadMask(mask));
                }
                // Opening a picture chooses what to do with it; here the recipe has chosen.
                self.draft.start = start;
                self.stage_reopened();
            }
            GalleryReply::Failed { error, listing } => {
                self.keep_reopened();
                self.notices.error(&error);
                if listing {
                    self.gallery.waiting = false;
                    self.gallery.loaded = true;
                    // What could not be listed is not asked for again until something changes.
                    self.gallery.total = self.gallery.entries.len() as u64;
                } else {
                    return vec![Effect::Gallery(self.gallery.search())];
                }
            }
        }
        Vec::new()
    }
}
