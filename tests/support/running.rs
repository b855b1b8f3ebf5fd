//! A real engine in a folder of its own, with the tiny models and the built-in one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pentimento_engine::client::{EngineClient, Request, SaveTo};
use pentimento_engine::engine::{Engine, EngineConfig, StageProbe};
use pentimento_engine::error::EngineError;
use pentimento_engine::event::{Event, JobId};
use pentimento_engine::preview::PreviewMode;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{
    AddOns, Knobs, ModelRef, NetworkOptions, NoiseKind, PROMPT_REVISION, Precision, Prompting,
    RECIPE_VERSION, Recipe, Record, SAMPLER_REVISION,
};
use tempfile::TempDir;

/// Longest wait for anything; a test that reaches it fails.
const DEADLINE: Duration = Duration::from_secs(240);

/// Options of a [`Running`] engine.
#[derive(Clone)]
pub struct Options {
    /// Compute threads.
    pub threads: usize,
    /// Whether previews are drawn.
    pub previews: bool,
    /// Folders searched for models.
    pub model_folders: Vec<PathBuf>,
    /// Folders searched for wildcard files.
    pub wildcard_folders: Vec<PathBuf>,
    /// The most memory that the engine may take, in bytes.
    pub memory_bytes: Option<u64>,
    /// Hears of each stage on the worker's thread.
    pub probe: StageProbe,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 2,
            previews: false,
            model_folders: vec![crate::places::fixture("models")],
            wildcard_folders: Vec::new(),
            memory_bytes: None,
            probe: Arc::new(|_, _| ()),
        }
    }
}

/// A running engine and its folder.
pub struct Running {
    /// The engine.
    pub engine: Engine,
    folder: TempDir,
}

impl Running {
    /// Starts with the defaults.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts in a new folder.
    pub fn with(options: Options) -> Self {
        Self::within(TempDir::new().expect("temporary folder"), options)
    }

    /// Starts in a folder that an engine worked in before.
    pub fn within(folder: TempDir, options: Options) -> Self {
        let config = EngineConfig {
            library_dir: folder.path().join("library"),
            data_dir: folder.path().join("data"),
            model_folders: options.model_folders,
            wildcard_folders: options.wildcard_folders,
            embedded_models: pentimento::starter::embedded_models().to_vec(),
            threads: Some(options.threads),
            device: "cpu".to_owned(),
            previews: if options.previews {
                PreviewMode::default()
            } else {
                PreviewMode::Off
            },
            memory_bytes: options.memory_bytes,
        };
        let engine = Engine::start_probed(config, Arc::new(|| ()), options.probe)
            .unwrap_or_else(|error| panic!("the engine starts: {error}"));
        Self { engine, folder }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine, for whoever wants to own it, and its folder.
    pub fn into_parts(self) -> (Engine, TempDir) {
        (self.engine, self.folder)
    }

    /// Stops the engine; its folder stays.
    pub fn stop(self) -> TempDir {
        drop(self.engine);
        self.folder
    }

    /// Waits until the catalogue holds a model, and keeps no event.
    pub fn wait_for_model(&self, id: &str) {
        let began = Instant::now();
        while self.engine.catalog().find(id).is_none() {
            assert!(
                began.elapsed() < DEADLINE,
                "{id} never showed: {:?}",
                self.engine.catalog().problems
            );
            let _other = self.engine.wait_event(Duration::from_millis(20));
        }
    }

    /// Submits a job.
    pub fn submit(&self, recipe: Recipe) -> JobId {
        self.submit_request(request(recipe))
    }

    /// Submits a job, waiting for its model first.
    pub fn submit_request(&self, request: Request) -> JobId {
        self.wait_for_model(&request.recipe.model.id);
        self.engine
            .submit(request)
            .unwrap_or_else(|error| panic!("accepted: {error}"))
    }

    /// All events of a job up to its last.
    pub fn until_end(&self, job: JobId) -> Vec<Event> {
        let began = Instant::now();
        let mut events = Vec::new();
        loop {
            assert!(
                began.elapsed() < DEADLINE,
                "job {job} never ended: {events:#?}"
            );
            let Some(event) = self.engine.wait_event(Duration::from_millis(100)) else {
                continue;
            };
            if event.job() != Some(job) {
                continue;
            }
            let last = is_last(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// Runs a job to its end and gives its pictures.
    ///
    /// # Errors
    /// What the job failed with.
    pub fn pictures(&self, request: Request) -> Result<Vec<Picture>, EngineError> {
        let job = self.submit_request(request);
        let mut pictures = Vec::new();
        for event in self.until_end(job) {
            match event {
                Event::ImageReady { image, .. } => pictures.push(image),
                Event::Failed { error, .. } => return Err(error),
                _ => {}
            }
        }
        Ok(pictures)
    }

    /// Runs a job to its end and gives what made its pictures.
    ///
    /// # Errors
    /// What the job failed with.
    pub fn records(&self, request: Request) -> Result<Vec<Record>, EngineError> {
        let job = self.submit_request(request);
        let mut records = Vec::new();
        for event in self.until_end(job) {
            match event {
                Event::ImageReady { record, .. } => records.push(*record),
                Event::Failed { error, .. } => return Err(error),
                _ => {}
            }
        }
        Ok(records)
    }

    /// Runs a recipe and gives its picture.
    pub fn picture(&self, recipe: Recipe) -> Picture {
        let mut pictures = self
            .pictures(request(recipe))
            .unwrap_or_else(|error| panic!("rendered: {error}"));
        assert_eq!(pictures.len(), 1);
        pictures.remove(0)
    }
}

/// Whether nothing follows an event of its job.
pub fn is_last(event: &Event) -> bool {
    matches!(
        event,
        Event::Finished { .. } | Event::Cancelled { .. } | Event::Failed { .. }
    )
}

/// The id of the model inside the program.
pub fn built_in() -> String {
    pentimento::starter::embedded_models()[0].id.to_owned()
}

/// One picture into the gallery.
pub fn request(recipe: Recipe) -> Request {
    Request {
        recipe,
        count: 1,
        save_to: SaveTo::Library,
        blobs: Vec::new(),
        resumes: None,
    }
}

/// A short run of a tiny model, 64 px, two steps.
pub fn recipe(model: &str) -> Recipe {
    Recipe {
        version: RECIPE_VERSION,
        model: ModelRef {
            id: model.to_owned(),
            sha256: None,
            ..ModelRef::default()
        },
        prompt: "a red apple, 3d".to_owned(),
        negative_prompt: String::new(),
        prompting: Prompting::default(),
        width_px: 64,
        height_px: 64,
        seed: 1,
        steps: 2,
        guidance: 4.0,
        guidance_rescale: 0.0,
        sampler: "ddim".to_owned(),
        schedule: "model".to_owned(),
        knobs: Knobs::default(),
        network: NetworkOptions::default(),
        noise_source: NoiseKind::TorchCpu,
        precision: Precision::F32,
        add_ons: AddOns::default(),
        image_guidance: None,
        refiner: None,
        start: None,
        sampler_revision: SAMPLER_REVISION,
        prompt_revision: PROMPT_REVISION,
        unknown: serde_json::Map::new(),
    }
}

/// A probe that runs `action` each time any job enters `stage`, told how often it did before.
pub fn on_stage(
    stage: pentimento_engine::event::Stage,
    action: impl Fn(JobId, usize) + Send + Sync + 'static,
) -> StageProbe {
    let count = Mutex::new(0);
    Arc::new(move |job, entered| {
        if entered == stage {
            let before = {
                let mut count = count
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                *count += 1;
                *count - 1
            };
            action(job, before);
        }
    })
}
