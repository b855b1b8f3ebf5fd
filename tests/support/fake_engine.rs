//! A scripted engine: it records what it is asked, and says what the test tells it to say.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pentimento_engine::catalog::add_ons::AddOnNotes;
use pentimento_engine::catalog::{AddOnInfo, Catalog, Choice, Defaults, ModelInfo, Storage};
use pentimento_engine::client::{EngineClient, Request, UnfinishedJob};
use pentimento_engine::error::{EngineError, Result};
use pentimento_engine::event::{Event, JobId, Preview, Stage, TokenCount};
use pentimento_engine::forecast::Forecast;
use pentimento_engine::preview::PreviewMode;
use pentimento_engine::prompt::inspect::{Inspection, PromptQuery};
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{AddOnKind, Outcome, Recipe, Record};

/// A handle on the fake; clones share it. One clone goes into the studio, one stays with the test.
#[derive(Clone, Default)]
pub struct FakeEngine {
    shared: Arc<Mutex<Script>>,
}

/// What was asked of the fake, and what it will say.
#[derive(Default)]
pub struct Script {
    /// Requests, in order.
    pub submitted: Vec<Request>,
    /// Jobs that were asked to stop, in order.
    pub cancelled: Vec<JobId>,
    /// Models that were warmed up.
    pub warmed_up: Vec<String>,
    /// Model folders, as set last.
    pub folders: Vec<PathBuf>,
    /// What it says of every job, with the seconds of one picture.
    pub forecast: Forecast,
    /// How previews are drawn, as set last.
    pub previews: Option<PreviewMode>,
    /// Compute threads, as set last.
    pub threads: Option<Option<usize>>,
    /// The gallery's folder, as set last.
    pub library_dir: Option<PathBuf>,
    /// Journal keys that were dropped.
    pub forgotten: Vec<String>,
    /// Prompts that were read last.
    pub inspected: Option<PromptQuery>,
    /// The answer to the next request, instead of taking it.
    pub refusal: Option<EngineError>,
    /// Jobs of an earlier run.
    pub unfinished: Vec<UnfinishedJob>,
    /// What can be run.
    pub catalog: Arc<Catalog>,
    events: VecDeque<Event>,
    preview: Option<Preview>,
    last_job: u64,
}

impl FakeEngine {
    /// A fake with two models.
    pub fn new() -> Self {
        let fake = Self::default();
        fake.script().catalog = Arc::new(catalog());
        fake
    }

    /// The script, to read or change.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says an event.
    pub fn say(&self, event: Event) {
        self.script().events.push_back(event);
    }

    /// Shows a preview.
    pub fn show(&self, preview: Preview) {
        self.script().preview = Some(preview);
    }

    /// Starts the job that was submitted last, and returns it.
    pub fn start_last(&self) -> JobId {
        let (job, recipe, count) = {
            let script = self.script();
            let request = script.submitted.last().expect("a request");
            (
                JobId(script.last_job),
                Box::new(request.recipe.clone()),
                request.count,
            )
        };
        self.say(Event::Started { job, recipe, count });
        job
    }

    /// Says that a step of the job's first picture ended.
    pub fn step(&self, job: JobId, step: u32, steps: u32) {
        self.say(Event::StageChanged {
            job,
            picture: 0,
            stage: Stage::Denoising,
        });
        self.say(Event::StepDone {
            job,
            picture: 0,
            step,
            steps,
            elapsed_secs: f64::from(step),
            left_secs: f64::from(steps - step),
        });
    }

    /// Says that the job's first picture is done.
    pub fn picture(&self, job: JobId, recipe: Recipe, path: PathBuf, image: Picture) {
        self.say(Event::ImageReady {
            job,
            picture: 0,
            path,
            record: Box::new(record(recipe)),
            image,
        });
    }
}

impl EngineClient for FakeEngine {
    fn submit(&self, request: Request) -> Result<JobId> {
        let mut script = self.script();
        if let Some(error) = script.refusal.take() {
            return Err(error);
        }
        script.last_job += 1;
        script.submitted.push(request);
        Ok(JobId(script.last_job))
    }

    fn cancel(&self, job: JobId) {
        self.script().cancelled.push(job);
    }

    fn poll_event(&self) -> Option<Event> {
        self.script().events.pop_front()
    }

    fn take_preview(&self) -> Option<Preview> {
        self.script().preview.take()
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.script().catalog)
    }

    fn inspect_prompts(&self, query: u64, prompts: PromptQuery) {
        let mut script = self.script();
        let model = script.catalog.find(&prompts.model);
        let limit = model.map_or(0, |model| model.context_tokens);
        let inspect = |text: &String| Inspection {
            count: TokenCount {
                used: text.split_whitespace().count() as u32,
                limit,
            },
            ..Inspection::default()
        };
        let inspections = Box::new(prompts.texts.each_ref().map(inspect));
        script.inspected = Some(prompts);
        script
            .events
            .push_back(Event::PromptsInspected { query, inspections });
    }

    fn set_model_folders(&self, folders: Vec<PathBuf>) {
        self.script().folders = folders;
    }

    fn forecast(&self, recipe: &Recipe, count: u32) -> Option<Forecast> {
        let script = self.script();
        script.catalog.find(&recipe.model.id)?;
        let secs = script.forecast.secs.map(|secs| secs * f64::from(count));
        Some(Forecast {
            secs,
            ..script.forecast
        })
    }

    fn warm_up(&self, model: &str) {
        self.script().warmed_up.push(model.to_owned());
    }

    fn set_previews(&self, mode: PreviewMode) {
        self.script().previews = Some(mode);
    }

    fn set_threads(&self, threads: Option<usize>) {
        self.script().threads = Some(threads);
    }

    fn set_library_dir(&self, folder: PathBuf) {
        self.script().library_dir = Some(folder);
    }

    fn unfinished_jobs(&self) -> Vec<UnfinishedJob> {
        self.script().unfinished.clone()
    }

    fn forget_unfinished(&self, key: &str) {
        self.script().forgotten.push(key.to_owned());
    }
}

/// A record of that recipe.
pub fn record(recipe: Recipe) -> Record {
    Record {
        recipe,
        outcome: Outcome {
            device: "cpu".to_owned(),
            kernels: "avx512".to_owned(),
            elapsed_secs: 3.4,
            ..Outcome::default()
        },
    }
}

/// A picture with a gradient, different for each `tone`.
pub fn gradient(width_px: u32, height_px: u32, tone: u8) -> Picture {
    let pixels: Vec<u8> = (0..height_px)
        .flat_map(|y| {
            (0..width_px).flat_map(move |x| {
                let across = (x * 255 / width_px.max(1)) as u8;
                let down = (y * 255 / height_px.max(1)) as u8;
                [across / 2 + tone / 2, down / 2 + 60, 255 - tone, 255]
            })
        })
        .collect();
    Picture::new(width_px, height_px, pixels).expect("fits")
}

/// Three add-ons, one of them with everything that can be said about one.
fn add_ons() -> Vec<AddOnInfo> {
    let add_on = |kind, name: &str, base: &str, notes| AddOnInfo {
        kind,
        name: name.to_owned(),
        alias: None,
        path: format!("/loras/{name}.safetensors").into(),
        size_bytes: 18 << 20,
        algorithms: vec!["lora".to_owned()],
        base: base.to_owned(),
        vectors: u32::from(kind == AddOnKind::Embedding),
        hash: None,
        notes,
    };
    let ink = AddOnNotes {
        trigger_words: vec!["ink drawing".to_owned(), "cross hatching".to_owned()],
        activation_text: "ink drawing".to_owned(),
        preferred_weight: Some(0.75),
        text: "Pen and ink.".to_owned(),
        preview: None,
    };
    let plain = AddOnNotes::default;
    vec![
        add_on(AddOnKind::Lora, "ink", "Stable Diffusion 1.x", ink),
        add_on(AddOnKind::Lora, "oil paint", "", plain()),
        add_on(AddOnKind::Embedding, "bad-hands", "", plain()),
    ]
}

/// Two models, three samplers, two schedules.
pub fn catalog() -> Catalog {
    let model = |id: &str, name: &str, native_px: [u32; 2], tokens: u32| ModelInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        description: "Small scenes, faces and objects in clear colours.".to_owned(),
        path: None,
        family: "stable_diffusion".to_owned(),
        size_bytes: 68 << 20,
        sha256: Some("ab".repeat(32)),
        native_px,
        multiple_px: 8,
        context_tokens: tokens,
        prediction: "v_prediction".to_owned(),
        inpainting: false,
        edits: false,
        storage: Storage::default(),
        defaults: Defaults {
            steps: 24,
            guidance: 5.0,
            sampler: "dpmpp_2m".to_owned(),
            schedule: "model".to_owned(),
            example_prompts: vec![
                "a red sphere on a wooden table".to_owned(),
                "a house by the sea at sunset".to_owned(),
                "portrait of a woman with green hair".to_owned(),
            ],
        },
    };
    let choice = |id: &str, label: &str, hint: &str| Choice {
        id: id.to_owned(),
        label: label.to_owned(),
        hint: hint.to_owned(),
    };
    Catalog {
        models: vec![
            model("starter", "Starter", [128, 128], 30),
            model("large", "Large model", [512, 512], 75),
        ],
        add_ons: add_ons(),
        problems: Vec::new(),
        autoencoders: Vec::new(),
        samplers: vec![
            choice("euler", "Euler", "Plain and quick: a good first choice."),
            choice(
                "euler_a",
                "Euler ancestral",
                "Adds noise at each step: livelier.",
            ),
            choice("dpmpp_2m", "DPM++ 2M", "Sharp with few steps."),
        ],
        schedules: vec![
            choice("model", "Model", "As the model was trained."),
            choice("karras", "Karras", "More steps where details form."),
        ],
    }
}
