//! The engine's handle: starts the threads, queues jobs, hands out events and previews.
//!
//! Threads: `engine-worker` runs jobs; `engine-queue` journals them before they may start;
//! `engine-clerk` finds models and reads prompts; `engine-hasher` hashes model files. All work at a
//! lower priority than the interface's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::backend::{Backend, lower_priority};
use crate::cancel::CancelToken;
use crate::catalog::Catalog;
use crate::catalog::scan::{Found, Scanner, inspect_path};
use crate::clerk::{Clerk, ClerkTask};
use crate::client::{EngineClient, Request, UnfinishedJob};
use crate::error::{EngineError, Result};
use crate::event::{Event, JobId, Preview, Stage};
use crate::forecast::{Forecast, History, Machine};
use crate::intake::{Intake, IntakeTask};
use crate::mailbox::Mailbox;
use crate::preview::PreviewMode;
use crate::prompt::inspect::PromptQuery;
use crate::queue::Journal;
use crate::queue::line::Line;
use crate::recipe::{Precision, Recipe};
use crate::residency::Models;
use crate::worker::Worker;

/// Jobs that may wait at once.
pub const QUEUE_LIMIT: usize = 256;
/// Events that may wait to be read; whoever sends more waits, none is dropped.
const EVENTS_LIMIT: usize = 4096;
/// Tasks that may wait for the clerk; further prompts are dropped, the next one replaces them.
const CLERK_LIMIT: usize = 64;

/// Called after every event and preview, from the engine's thread; must not block.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Called on the worker's thread when a job enters a stage: for tests that cancel or panic at a
/// chosen place.
pub type StageProbe = Arc<dyn Fn(JobId, Stage) + Send + Sync>;

/// Where the engine works. All paths come from the caller.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Root of the gallery (see `library`); holds `blobs/` too.
    pub library_dir: PathBuf,
    /// Program data: queue journal, caches of hashes.
    pub data_dir: PathBuf,
    /// Folders searched for models.
    pub model_folders: Vec<PathBuf>,
    /// Folders searched for the files of `__name__` in prompts.
    pub wildcard_folders: Vec<PathBuf>,
    /// Models inside the program.
    pub embedded_models: Vec<EmbeddedModel>,
    /// Compute threads; `None`: one a core.
    pub threads: Option<usize>,
    /// As [`crate::backend::Backend::open`] takes it: `cpu`, `cuda`, `cuda:1`, `cuda-plain`, `metal`, or `auto`.
    pub device: String,
    /// How previews are drawn.
    pub previews: PreviewMode,
    /// The most memory that the program may take, in bytes; `None`: what the machine can give. Jobs that
    /// need more let go of weights meanwhile, and take longer.
    pub memory_bytes: Option<u64>,
}

/// A model carried inside the program.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// Catalogue id.
    pub id: &'static str,
    /// Its hash ([`crate::recipe::ModelRef::sha256`]), so that no start has to read all of it.
    pub sha256: &'static str,
    /// Path inside the model's folder (`/` as separator) and contents.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// What the engine's threads share.
pub(crate) struct Shared {
    events: Sender<Event>,
    waker: Waker,
    pub(crate) previews: Mailbox<Preview>,
    pub(crate) line: Line,
    pub(crate) journal: Journal,
    pub(crate) stopping: CancelToken,
    /// Jobs that wait, are journaled or run.
    open_jobs: AtomicUsize,
    tokens: Mutex<Vec<(JobId, CancelToken)>>,
    catalog: RwLock<(Arc<Catalog>, Arc<Vec<Found>>)>,
    /// Whether the model folders were looked through.
    scanned: AtomicBool,
    /// What can be changed while the engine runs; the worker looks before each job.
    tuning: Mutex<Tuning>,
    /// What earlier runs showed.
    history: Mutex<History>,
    /// The model folders that were named last, until the clerk has seen them.
    pub(crate) folders: Mailbox<Vec<PathBuf>>,
    /// Models named by path: they stay through every search of the model folders.
    by_path: Mutex<Vec<Found>>,
}

/// What can be changed while the engine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    pub(crate) library_dir: PathBuf,
    pub(crate) threads: Option<usize>,
    pub(crate) previews: PreviewMode,
    pub(crate) memory_bytes: Option<u64>,
}

impl Shared {
    pub(crate) fn tuning(&self) -> MutexGuard<'_, Tuning> {
        self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an event; waits while the lane is full.
    pub(crate) fn emit(&self, event: Event) {
        // The receiver lives as long as the engine's handle; after that nobody listens.
        let _unheard = self.events.send(event).is_err();
        (self.waker)();
    }

    pub(crate) fn wake(&self) {
        (self.waker)();
    }

    /// Ends a job: its last event, and its place in the queue.
    pub(crate) fn end_job(&self, job: JobId, event: Event) {
        self.previews.discard_if(|preview| preview.job == job);
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(id, _)| *id != job);
        self.open_jobs.fetch_sub(1, Ordering::Relaxed);
        self.emit(event);
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(
            &self
                .catalog
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .0,
        )
    }

    /// The model of that id, or at that path.
    pub(crate) fn found(&self, wanted: &str) -> Option<Found> {
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        let named = |model: &&Found| {
            let path = model.info.path.as_deref();
            model.info.id == wanted || path.is_some_and(|path| path.as_os_str() == wanted)
        };
        catalog.1.iter().find(named).cloned()
    }

    /// What earlier runs showed.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_catalog(&self, mut catalog: Catalog, mut found: Vec<Found>) {
        for model in self
            .by_path
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            if found.iter().all(|other| other.info.path != model.info.path) {
                catalog.models.push(model.info.clone());
                found.push(model.clone());
            }
        }
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) =
            (Arc::new(catalog), Arc::new(found));
        self.scanned.store(true, Ordering::Release);
        self.emit(Event::CatalogChanged);
    }

    /// Whether the catalogue holds what the model folders have.
    pub(crate) fn is_scanned(&self) -> bool {
        self.scanned.load(Ordering::Acquire)
    }

    /// Puts a model's hash into the catalogue, unless the model left it meanwhile.
    pub(crate) fn set_hash(&self, id: &str, sha256: &str) {
        {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            let (shown, found) = &mut *catalog;
            let models = Arc::make_mut(shown).models.iter_mut();
            let found = Arc::make_mut(found).iter_mut().map(|model| &mut model.info);
            for info in models.chain(found).filter(|info| info.id == id) {
                info.sha256 = Some(sha256.to_owned());
            }
        }
        self.emit(Event::CatalogChanged);
    }
}

impl Shared {
    /// Puts an autoencoder's hash into the catalogue, unless the file left it meanwhile.
    pub(crate) fn set_file_hash(&self, path: &std::path::Path, sha256: &str) {
        {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            let files = Arc::make_mut(&mut catalog.0).autoencoders.iter_mut();
            for file in files.filter(|file| file.path == path) {
                file.sha256 = Some(sha256.to_owned());
            }
        }
        self.emit(Event::CatalogChanged);
    }
}

/// The running engine. Dropping it stops the threads; jobs that were not finished stay journaled.
pub struct Engine {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    intake: Sender<IntakeTask>,
    clerk: Sender<ClerkTask>,
    next_job: AtomicU64,
    threads: Vec<JoinHandle<()>>,
    kernels: String,
    device: String,
    /// What `Precision::Auto` is on this machine.
    automatic: Precision,
}

impl Engine {
    /// Starts the engine. The catalogue holds the built-in models at once; the model folders are
    /// searched in the background.
    ///
    /// # Errors
    /// `InvalidRequest` for an impossible device or thread count, `Io` when the data folder cannot
    /// be written to.
    pub fn start(config: EngineConfig, waker: Waker) -> Result<Self> {
        Self::start_probed(config, waker, Arc::new(|_, _| ()))
    }

    /// As [`Self::start`], with a probe that hears of every stage on the worker's thread.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_probed(config: EngineConfig, waker: Waker, probe: StageProbe) -> Result<Self> {
        let backend = Backend::open(&config.device, config.threads)?;
        let (kernels, device) = (backend.level(), backend.name().to_owned());
        let (events_in, events) = bounded(EVENTS_LIMIT);
        let automatic = backend
            .resolve_precision(Precision::Auto)
            .unwrap_or_default();
        let (catalog, found) = Scanner::default().scan(&[], &config.embedded_models);
        let shared = Arc::new(Shared {
            events: events_in,
            waker,
            previews: Mailbox::default(),
            folders: Mailbox::default(),
            line: Line::default(),
            journal: Journal::open(&config.data_dir)?,
            stopping: CancelToken::default(),
            open_jobs: AtomicUsize::new(0),
            tokens: Mutex::default(),
            catalog: RwLock::new((Arc::new(catalog), Arc::new(found))),
            scanned: AtomicBool::new(false),
            tuning: Mutex::new(Tuning {
                library_dir: config.library_dir.clone(),
                threads: config.threads,
                previews: config.previews,
                memory_bytes: config.memory_bytes,
            }),
            history: Mutex::new(History::open(&config.data_dir)),
            by_path: Mutex::default(),
        });
        let (intake_in, intake_out) = bounded(2 * QUEUE_LIMIT);
        let (clerk_in, clerk_out) = bounded(CLERK_LIMIT);
        let (hash_in, hash_out) = bounded(CLERK_LIMIT);
        let mut clerk = Clerk::new(Arc::clone(&shared), &config, hash_in);
        let hasher = clerk.hasher();
        let intake = Intake::new(Arc::clone(&shared));
        let mut worker = Worker::new(
            Arc::clone(&shared),
            backend,
            config.wildcard_folders.clone(),
            probe,
        );
        let threads = vec![
            named_thread("engine-worker", move || worker.run())?,
            named_thread("engine-queue", move || intake.run(&intake_out))?,
            named_thread("engine-clerk", move || clerk.run(&clerk_out))?,
            named_thread("engine-hasher", move || hasher.run(&hash_out))?,
        ];
        let engine = Self {
            shared,
            events,
            intake: intake_in,
            clerk: clerk_in,
            next_job: AtomicU64::new(1),
            threads,
            kernels,
            device,
            automatic,
        };
        engine.set_model_folders(config.model_folders);
        Ok(engine)
    }

    /// The device it computes on.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Instruction level of its kernels on the CPU, or the name of its card.
    pub fn kernels(&self) -> &str {
        &self.kernels
    }

    /// Adds one model folder or file by its path, at once; for the command line, which names models by
    /// path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_model_folder(&self, path: &std::path::Path) -> Result<String> {
        let path =
            std::path::absolute(path).map_err(|error| EngineError::io(path, "find", &error))?;
        if let Some(known) = self.shared.found(&path.to_string_lossy()) {
            return Ok(known.info.id);
        }
        let mut model = inspect_path(&path)?;
        let id = {
            let mut guard = self
                .shared
                .catalog
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let (shown, found) = &mut *guard;
            let mut number = 1;
            let plain = model.info.id.clone();
            while shown.models.iter().any(|other| other.id == model.info.id) {
                number += 1;
                model.info.id = format!("{plain} ({number})");
            }
            Arc::make_mut(shown).models.push(model.info.clone());
            let id = model.info.id.clone();
            self.shared
                .by_path
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(model.clone());
            Arc::make_mut(found).push(model);
            id
        };
        self.shared.emit(Event::CatalogChanged);
        Ok(id)
    }

    /// Waits for the next event; `None` after `timeout`.
    pub fn wait_event(&self, timeout: std::time::Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }
}

impl EngineClient for Engine {
    fn submit(&self, mut request: Request) -> Result<JobId> {
        let catalog = self.shared.catalog();
        request.validate(&catalog)?;
        let Some(model) = catalog.find(&request.recipe.model.id) else {
            return Err(EngineError::ModelNotFound {
                wanted: request.recipe.model.id.clone(),
                known: catalog
                    .models
                    .iter()
                    .map(|model| model.id.clone())
                    .collect(),
            });
        };
        request.recipe.model.id.clone_from(&model.id);
        if self.shared.open_jobs.fetch_add(1, Ordering::Relaxed) >= QUEUE_LIMIT {
            self.shared.open_jobs.fetch_sub(1, Ordering::Relaxed);
            return Err(EngineError::QueueFull { limit: QUEUE_LIMIT });
        }
        let job = JobId(self.next_job.fetch_add(1, Ordering::Relaxed));
        let cancel = CancelToken::default();
        let tokens = &self.shared.tokens;
        tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((job, cancel.clone()));
        let task = IntakeTask::Queue(Box::new(crate::queue::line::Waiting {
            job,
            request,
            cancel,
        }));
        self.intake.try_send(task).map_err(|_full| {
            self.shared.open_jobs.fetch_sub(1, Ordering::Relaxed);
            EngineError::QueueFull { limit: QUEUE_LIMIT }
        })?;
        Ok(job)
    }

    fn cancel(&self, job: JobId) {
        let tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = tokens.iter().find(|(id, _)| *id == job) {
            token.cancel();
            // A job that runs or is about to sees its flag; one that waits is taken out of the line.
            let _flag_does = self.intake.try_send(IntakeTask::Cancel(job)).is_err();
        }
    }

    fn poll_event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    fn take_preview(&self) -> Option<Preview> {
        self.shared.previews.take()
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog()
    }

    fn inspect_prompts(&self, query: u64, prompts: PromptQuery) {
        let task = ClerkTask::Inspect {
            query,
            prompts: Box::new(prompts),
        };
        let _dropped = self.clerk.try_send(task).is_err();
    }

    fn set_model_folders(&self, folders: Vec<PathBuf>) {
        self.shared.folders.put(folders);
        // Where the lane is full, the clerk finds them after the task it is at.
        let _full = self.clerk.try_send(ClerkTask::Scan).is_err();
    }

    fn forecast(&self, recipe: &Recipe, count: u32) -> Option<Forecast> {
        let catalog = self.shared.catalog();
        let model = catalog.find(&recipe.model.id)?;
        let refiner = recipe.refiner.as_ref();
        let refiner = refiner.and_then(|refiner| catalog.find(&refiner.model.id));
        let tuning = self.shared.tuning().clone();
        let machine = Machine {
            device: format!("{} {}", self.device, self.kernels),
            threads: tuning.threads,
            automatic: self.automatic,
            memory_bytes: tuning.memory_bytes,
        };
        let models = Models {
            first: model,
            refiner,
        };
        let history = self.shared.history();
        Some(history.forecast(recipe, count, models, &machine))
    }

    fn warm_up(&self, model: &str) {
        self.shared.line.warm_up(model.to_owned());
    }

    fn set_previews(&self, mode: PreviewMode) {
        self.shared.tuning().previews = mode;
    }

    fn set_threads(&self, threads: Option<usize>) {
        self.shared.tuning().threads = threads.map(|threads| threads.max(1));
    }

    fn set_library_dir(&self, folder: PathBuf) {
        self.shared.tuning().library_dir = folder;
    }

    fn unfinished_jobs(&self) -> Vec<UnfinishedJob> {
        self.shared.journal.unfinished()
    }

    fn forget_unfinished(&self, key: &str) {
        self.shared.journal.forget(key);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        self.shared.line.stop();
        let tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        tokens.iter().for_each(|(_, token)| token.cancel());
        // The other threads end when their lanes close.
        self.intake = bounded(0).0;
        self.clerk = bounded(0).0;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() {
                // Whoever waits to send an event must not wait for ever.
                let _nobody_reads = self
                    .events
                    .recv_timeout(std::time::Duration::from_millis(5))
                    .is_ok();
            }
            let _panicked = thread.join().is_err();
        }
    }
}

fn named_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let body = move || {
        lower_priority();
        work();
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| EngineError::Internal {
            stage: format!("starting {name}"),
            report: error.to_string(),
        })
}
