//! The thread `engine-worker`: runs jobs one after the other behind a panic fence, with the model it
//! used last still in memory.

mod add_ons;
mod hashing;
mod lending;
mod listener;
mod loaded;
mod refiner;
mod stand_ins;
mod timing;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::backend::Backend;
use crate::cancel::CancelToken;
use crate::catalog::scan::Found;
use crate::client::SaveTo;
use crate::engine::{Shared, StageProbe, Tuning};
use crate::error::{EngineError, Result};
use crate::event::{Event, JobId, Stage};
use crate::families::model::ModelPart;
use crate::forecast;
use crate::library::files::numbered;
use crate::library::{Library, save_to_file, save_to_folder};
use crate::nn::release;

use crate::pipeline::{self, Inputs, Relief, Rendered};
use crate::preview::{PreviewMeans, PreviewMode};
use crate::prompt::wildcards::WildcardFiles;
use crate::queue::line::{Next, Waiting};
use crate::raster::{Mask, Picture, decode_picture, mask_from_picture};
use crate::recipe::{Outcome, Precision, Recipe, Record};
use crate::residency::{Residency, fits_alone};
use add_ons::Shelf;
use hashing::Checks;
use listener::JobListener;
use loaded::{Loaded, is_loaded, notes_on};

/// The thread's state.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    backend: Arc<Backend>,
    wildcard_folders: Vec<PathBuf>,
    /// What `backend` and `library` were opened with.
    tuning: Tuning,
    library: Option<Library>,
    probe: StageProbe,
    loaded: Option<Loaded>,
    shelf: Shelf,
    /// The model that takes over at low noise, where a recipe names one.
    refiner: Option<Loaded>,
    /// How much of both stays in memory in the current job.
    residency: Residency,
    /// What the current job is doing, for the panic fence.
    stage: Option<Stage>,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        backend: Backend,
        wildcard_folders: Vec<PathBuf>,
        probe: StageProbe,
    ) -> Self {
        let tuning = shared.tuning().clone();
        Self {
            shared,
            backend: Arc::new(backend),
            wildcard_folders,
            tuning,
            library: None,
            probe,
            loaded: None,
            shelf: Shelf::default(),
            refiner: None,
            residency: Residency::Everything,
            stage: None,
        }
    }

    /// Works until the line ends.
    pub(crate) fn run(&mut self) {
        loop {
            match self.shared.line.next() {
                Next::Stop => return,
                Next::Job(waiting) => self.run_fenced(&waiting),
                Next::WarmUp(model) => self.warm_up(&model),
            }
        }
    }

    /// Takes over what was changed since the last job.
    fn follow_tuning(&mut self) -> Result<()> {
        let tuning = self.shared.tuning().clone();
        if tuning.library_dir != self.tuning.library_dir {
            self.library = None;
        }
        if tuning.threads != self.tuning.threads {
            self.backend = Arc::new(self.backend.with_threads(tuning.threads)?);
        }
        self.tuning = tuning;
        Ok(())
    }

    fn warm_up(&mut self, model: &str) {
        // What is wrong with a model shows when a job asks for it.
        if let Some(found) = self.shared.found(model) {
            let cancel = self.shared.stopping.clone();
            let precision = self
                .backend
                .resolve_precision(Precision::Auto)
                .unwrap_or_default();
            let backend = Arc::clone(&self.backend);
            let fits = fits_alone(&found.info, precision, self.tuning.memory_bytes);
            let load = || backend.run(|| self.warm(&found, precision, fits, &cancel).is_ok());
            if catch_unwind(AssertUnwindSafe(load)).is_err() {
                self.forget_models();
            }
            release();
        }
    }

    fn warm(
        &mut self,
        found: &Found,
        precision: Precision,
        fits: bool,
        cancel: &CancelToken,
    ) -> Result<()> {
        self.load(found, precision, cancel)?;
        match &self.loaded {
            Some(loaded) if fits => loaded.model.fetch_all(cancel),
            _ => Ok(()),
        }
    }

    /// Runs a job; a panic in it fails the job and nothing else.
    fn run_fenced(&mut self, waiting: &Waiting) {
        let job = waiting.job;
        self.stage = None;
        let tuned = self.follow_tuning();
        let backend = Arc::clone(&self.backend);
        let run = || tuned.and_then(|()| backend.run(|| self.run_job(waiting)));
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
            // Whatever the panic left half-done goes with the models.
            self.forget_models();
            let stage = self.stage.map_or("starting", stage_name);
            let report = panic_message(payload.as_ref());
            Err(EngineError::Internal {
                stage: format!("{stage}, job {job}"),
                report,
            })
        });
        // However it ended: what its networks computed in is not needed until the next one.
        release();
        let stopping = self.shared.stopping.is_cancelled();
        if !(stopping && result == Err(EngineError::Cancelled)) {
            self.shared.journal.remove(job);
        }
        let event = match result {
            Ok(()) => Event::Finished { job },
            Err(EngineError::Cancelled) => Event::Cancelled { job },
            Err(error) => Event::Failed { job, error },
        };
        self.shared.end_job(job, event);
    }

    fn run_job(&mut self, waiting: &Waiting) -> Result<()> {
        let (job, cancel) = (waiting.job, &waiting.cancel);
        cancel.check()?;
        let mut recipe = waiting.request.recipe.clone();
        let wanted = recipe.model.id.clone();
        let mut warnings = recipe.adopt_revisions();
        recipe.precision = self.backend.resolve_precision(recipe.precision)?;
        let found = self.shared.found(&wanted).ok_or_else(|| {
            let known = self
                .shared
                .catalog()
                .models
                .iter()
                .map(|model| model.id.clone())
                .collect();
            EngineError::ModelNotFound { wanted, known }
        })?;
        let found = self.borrow(found, &mut recipe.network.parts_from, &mut warnings)?;
        let notes = stand_ins::settle(&mut recipe, &found, &self.shared.catalog())?;
        warnings.extend(notes);
        let refiner = self.find_refiner(&mut recipe, &mut warnings)?;
        let start = self.read_start(&mut recipe, waiting, &mut warnings)?;
        stand_ins::settle_tiles(&mut recipe);
        let events = Arc::clone(&self.shared);
        let count = waiting.request.count;
        // Read for each job: files that were edited meanwhile count.
        let wildcards = WildcardFiles::open(&self.wildcard_folders);
        let mut first = recipe.clone();
        warnings.extend(first.choose_prompts(&wildcards));
        events.emit(Event::Started {
            job,
            recipe: Box::new(first),
            count,
        });

        let began = Instant::now();
        self.residency = self.choose_residency(&recipe, &found, refiner.as_ref());
        if !is_loaded(&self.loaded, &found, recipe.precision) {
            self.enter(job, 0, Stage::LoadingModel);
            self.load(&found, recipe.precision, cancel)?;
        }
        warnings.extend(self.follow_stand_ins(&mut recipe, cancel)?);
        self.load_refiner(refiner.as_ref(), recipe.precision, cancel)?;
        self.fetch(job, cancel)?;
        let load_secs = began.elapsed().as_secs_f64();
        let mut checks = Some(Checks::start(&recipe, &found, refiner.as_ref(), cancel));
        for picture in 0..count {
            cancel.check()?;
            let mut recipe = recipe.clone();
            recipe.seed += u64::from(picture);
            let missing = recipe.choose_prompts(&wildcards);
            for note in missing {
                if !warnings.contains(&note) {
                    warnings.push(note);
                }
            }
            forecast::reset_peak();
            let began = Instant::now();
            let (add_ons, notes) = self.adapt(&mut recipe, (job, picture), cancel)?;
            let (rendered, mut cut) =
                self.render(&recipe, job, [picture, count], &start, cancel)?;
            cut.splice(0..0, notes);
            if let Some(checks) = checks.take() {
                warnings.extend(self.finish_checks(checks)?);
            }
            let fresh_load = if picture == 0 { load_secs } else { 0.0 };
            self.learn(&recipe, &rendered, began.elapsed(), fresh_load);
            self.write_hashes(&mut recipe);
            let outcome = Outcome {
                elapsed_secs: began.elapsed().as_secs_f64(),
                load_secs: fresh_load,
                warnings: warnings.iter().cloned().chain(cut).collect(),
                add_ons,
                ..self.outcome(&rendered, recipe.precision)
            };
            self.save(
                waiting,
                picture,
                Record { recipe, outcome },
                rendered.picture,
            )?;
        }
        Ok(())
    }

    fn outcome(&self, rendered: &Rendered, precision: Precision) -> Outcome {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut kernels = self.backend.kernels(precision);
        if rendered.recorded {
            kernels += ", recorded";
        }
        Outcome {
            device: self.backend.name().to_owned(),
            kernels,
            build: concat!("pentimento ", env!("CARGO_PKG_VERSION")).to_owned(),
            preview_share: rendered.preview_share,
            reused_calls: rendered.reused_calls[0],
            finished_unix_ms: now.as_millis() as u64,
            unmasked_pixels_verified: rendered.unmasked_pixels_verified,
            ..Outcome::default()
        }
    }

    fn enter(&mut self, job: JobId, picture: u32, stage: Stage) {
        self.stage = Some(stage);
        (self.probe)(job, stage);
        self.shared.emit(Event::StageChanged {
            job,
            picture,
            stage,
        });
    }

    fn forget_models(&mut self) {
        self.loaded = None;
        self.refiner = None;
    }

    fn load(&mut self, found: &Found, precision: Precision, cancel: &CancelToken) -> Result<()> {
        if is_loaded(&self.loaded, found, precision) {
            return Ok(());
        }
        // The former models go first: two at once may not fit.
        self.forget_models();
        self.loaded = Some(Loaded::load(found, precision, &self.backend, cancel)?);
        Ok(())
    }

    /// Reads the start picture and mask from the request or the library.
    fn read_start(
        &mut self,
        recipe: &mut Recipe,
        waiting: &Waiting,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(Picture, Option<Mask>)>> {
        let Some(start) = recipe.start.clone() else {
            return Ok(None);
        };
        let mut read = |sha256: &str| -> Result<Picture> {
            let brought = waiting
                .request
                .blobs
                .iter()
                .find(|blob| blob.sha256 == sha256);
            match brought {
                Some(blob) => decode_picture(&blob.png, sha256),
                None => decode_picture(&self.library()?.get_blob(sha256)?, sha256),
            }
        };
        let picture = read(&start.picture)?;
        let mask = match &start.inpaint {
            Some(inpaint) => Some(mask_from_picture(&read(&inpaint.mask)?)),
            None => None,
        };
        let size = [picture.width_px, picture.height_px];
        if size != [recipe.width_px, recipe.height_px] {
            warnings.push(format!(
                "made at the start picture's size, {} x {} pixels",
                size[0], size[1]
            ));
            [recipe.width_px, recipe.height_px] = size;
        }
        Ok(Some((picture, mask)))
    }

    fn library(&mut self) -> Result<&Library> {
        match &mut self.library {
            Some(library) => Ok(library),
            empty => Ok(empty.insert(Library::open(&self.tuning.library_dir)?)),
        }
    }

    /// Makes one picture; also says where a prompt was cut.
    fn render(
        &mut self,
        recipe: &Recipe,
        job: JobId,
        [picture, count]: [u32; 2],
        start: &Option<(Picture, Option<Mask>)>,
        cancel: &CancelToken,
    ) -> Result<(Rendered, Vec<String>)> {
        self.enter(job, picture, Stage::EncodingPrompt);
        let Some(loaded) = &mut self.loaded else {
            return Err(EngineError::Internal {
                stage: "rendering".to_owned(),
                report: "no model is loaded".to_owned(),
            });
        };
        // Impossible step counts show before any work is done.
        pipeline::plan(recipe, &loaded.model.facts().noise)?;
        let prompts = loaded.prompts(recipe, cancel)?;
        let relief_prompts = match &mut self.refiner {
            Some(refiner) => Some(refiner.prompts(recipe, cancel)?),
            None => None,
        };
        if self.residency.is_sparing() {
            let models = [Some(&*loaded), self.refiner.as_ref()];
            for loaded in models.into_iter().flatten() {
                loaded.model.set_aside(ModelPart::TextEncoders);
            }
        }
        let train_steps = loaded.model.facts().noise.train_steps();
        let relief = match (&self.refiner, &relief_prompts, &recipe.refiner) {
            (Some(refiner), Some(prompts), Some(settings)) => Some(Relief::new(
                loaded.model.as_ref(),
                refiner.model.as_ref(),
                prompts,
                settings.cutoff(train_steps),
            )?),
            _ => None,
        };
        let mut warnings = notes_on(loaded.model.as_ref(), &prompts, "the model");
        if let Some(relief) = &relief {
            let notes = notes_on(relief.model, relief.prompts, "the refiner");
            warnings.extend(notes);
        }
        let area = f64::from(recipe.width_px) * f64::from(recipe.height_px);
        let over_area = |secs: f64| Duration::from_secs_f64(secs * area);
        let decode_cost = loaded.decode_secs_per_px.map(over_area);
        let (model, stand_ins) = (loaded.model.as_ref(), &loaded.stand_ins);
        let mode = self.tuning.previews;
        let means = PreviewMeans {
            map: &loaded.map,
            decoder: stand_ins
                .preview_decoder(model)
                .filter(|_| mode == PreviewMode::Tiny),
            decode_cost: loaded.preview_secs_per_px.map(over_area),
        };
        let inputs = Inputs {
            model,
            device: self.backend.device(),
            prompts: &prompts,
            refiner: relief,
            start: start
                .as_ref()
                .map(|(picture, mask)| (picture, mask.as_ref())),
            autoencoder: stand_ins.autoencoder(model),
            decoder: stand_ins.last_decoder(model, recipe),
            preview: (mode != PreviewMode::Off).then_some(means),
            residency: self.residency,
            cancel,
        };
        let ends_tiny = inputs.decoder.is_tiny();
        let mut listener = JobListener {
            shared: &self.shared,
            probe: &self.probe,
            stage: &mut self.stage,
            job,
            picture,
            left: count - picture - 1,
            decode_cost: decode_cost.unwrap_or_default(),
        };
        let rendered = pipeline::render(recipe, &inputs, &mut listener)?;
        let made = f64::from(rendered.picture.width_px) * f64::from(rendered.picture.height_px);
        let decode_secs = rendered.decode_time.as_secs_f64() / made;
        // Where the last decoder is a tiny one, its figure is the better one for previews, too.
        let same = ends_tiny.then_some(decode_secs);
        let preview_secs = rendered.preview_cost.map(|cost| cost.as_secs_f64() / made);
        loaded.decode_secs_per_px = Some(decode_secs);
        loaded.preview_secs_per_px = same.or(preview_secs).or(loaded.preview_secs_per_px);
        Ok((rendered, warnings))
    }

    fn save(
        &mut self,
        waiting: &Waiting,
        picture: u32,
        record: Record,
        image: Picture,
    ) -> Result<()> {
        let job = waiting.job;
        self.enter(job, picture, Stage::Saving);
        let record = Box::new(record);
        let path = match self.write(&waiting.request.save_to, picture, &record, &image) {
            Ok(path) => path,
            Err(error) => {
                self.shared.emit(Event::ImageUnsaved {
                    job,
                    picture,
                    record,
                    image,
                });
                return Err(error);
            }
        };
        self.shared
            .journal
            .advance(job, &waiting.request, picture + 1)?;
        self.shared
            .previews
            .discard_if(|preview| preview.job == job);
        self.shared.emit(Event::ImageReady {
            job,
            picture,
            path,
            record,
            image,
        });
        Ok(())
    }

    /// Writes a finished picture where it belongs, and says where that is.
    fn write(
        &mut self,
        save_to: &SaveTo,
        picture: u32,
        record: &Record,
        image: &Picture,
    ) -> Result<PathBuf> {
        match save_to {
            SaveTo::Library => self.library()?.save_picture(image, record),
            SaveTo::Folder(folder) => save_to_folder(folder, image, record),
            SaveTo::File(path) => {
                let path = numbered(path, picture + 1);
                save_to_file(&path, image, record)?;
                Ok(path)
            }
        }
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::LoadingModel => "loading the model",
        Stage::EncodingPrompt => "encoding the prompt",
        Stage::EncodingPicture => "encoding the picture",
        Stage::Denoising => "denoising",
        Stage::Decoding => "decoding",
        Stage::Saving => "saving",
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
