//! A running engine for a command: started with the command's folders, its catalogue waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pentimento_engine::catalog::Catalog;
use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::EngineConfig;
use pentimento_engine::event::Event;
use pentimento_engine::preview::PreviewMode;

use super::args::{list, value};
use super::{Args, Context, Failure, Opt, Signal};
use crate::paths::{PathOptions, Paths};

/// Options of every command that starts an engine.
pub(super) const ENGINE: &[Opt] = &[
    list(
        "models",
        "DIR",
        "Also look for models in this folder; may be repeated.",
    ),
    list(
        "wildcards",
        "DIR",
        "Also look for files of __name__ in this folder; may be repeated.",
    ),
    value(
        "library",
        "DIR",
        "The gallery's folder instead of the usual one.",
    ),
    value(
        "data",
        "DIR",
        "The folder of program data instead of the usual one.",
    ),
    value(
        "threads",
        "N",
        "Compute threads; without it, one for each core.",
    ),
    value(
        "device",
        "NAME",
        "cpu, cuda, cuda:1, cuda-plain (without our own kernels), metal or auto.",
    ),
    value(
        "memory",
        "GIB",
        "Memory the program may take; a job that needs more lets go of weights and reads them again.",
    ),
];

/// The folders may be slow to read, but not this slow.
const CATALOG_WAIT: Duration = Duration::from_secs(60);

/// Safety net should a wake-up be missed; the bell is what counts.
const NAP: Duration = Duration::from_secs(1);

/// What the engine options say.
pub(super) fn config(args: &Args, context: &Context<'_>) -> Result<EngineConfig, Failure> {
    let options = PathOptions {
        library_dir: args.path("library"),
        data_dir: args.path("data"),
        model_folders: args.paths("models"),
        wildcard_folders: args.paths("wildcards"),
    };
    for folder in &options.model_folders {
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Failure::Other(format!(
                "--models: {folder} is not a folder; check the path"
            )));
        }
    }
    for folder in &options.wildcard_folders {
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Failure::Other(format!(
                "--wildcards: {folder} is not a folder; check the path"
            )));
        }
    }
    let paths = Paths::find(&options, context.variable)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let threads: Option<usize> = args.number("threads", "a whole number")?;
    if threads.is_some_and(|threads| !(1..=1024).contains(&threads)) {
        return Err(Failure::usage("--threads: choose 1 to 1024"));
    }
    let memory: Option<f64> = args.number("memory", "a number of GiB")?;
    if memory.is_some_and(|memory| !(memory > 0.0 && memory <= 1e6)) {
        return Err(Failure::usage("--memory: choose more than 0"));
    }
    Ok(EngineConfig {
        library_dir: paths.library_dir,
        data_dir: paths.data_dir,
        model_folders: paths.model_folders,
        wildcard_folders: paths.wildcard_folders,
        embedded_models: crate::starter::embedded_models().to_vec(),
        threads,
        device: args.text("device")?.unwrap_or("auto").to_owned(),
        previews: PreviewMode::Off,
        memory_bytes: memory.map(|gib| (gib * f64::from(1 << 30)) as u64),
    })
}

/// A running engine.
pub(super) struct Session {
    /// The engine.
    pub(super) engine: Box<dyn EngineClient>,
    signal: Arc<Signal>,
    catalog_was_read: bool,
}

impl Session {
    /// Starts an engine.
    pub(super) fn start(config: EngineConfig, context: &Context<'_>) -> Result<Self, Failure> {
        let signal = Arc::clone(&context.signal);
        (context.catch_interrupts)(&signal);
        let engine = (context.start_engine)(config, signal.waker())?;
        Ok(Self {
            engine,
            signal,
            catalog_was_read: false,
        })
    }

    /// The catalogue, once it satisfies `enough`, or has been read whole.
    pub(super) fn catalog(
        &mut self,
        enough: impl Fn(&Catalog) -> bool,
    ) -> Result<Arc<Catalog>, Failure> {
        let started = Instant::now();
        loop {
            let catalog = self.engine.catalog();
            if enough(&catalog) || self.catalog_was_read || started.elapsed() > CATALOG_WAIT {
                return Ok(catalog);
            }
            if self.signal.interrupts() > 0 {
                return Err(Failure::Interrupted);
            }
            if self.poll().is_none() {
                self.sleep();
            }
        }
    }

    /// The next event, if one waits.
    pub(super) fn poll(&mut self) -> Option<Event> {
        let event = self.engine.poll_event();
        self.catalog_was_read |= matches!(event, Some(Event::CatalogChanged));
        event
    }

    /// How often the user asked to stop.
    pub(super) fn interrupts(&self) -> u32 {
        self.signal.interrupts()
    }

    /// Sleeps until the engine or the user wants something.
    pub(super) fn sleep(&self) {
        self.signal.wait(NAP);
    }
}
