//! Opens the real window on the real engine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::{EngineConfig, Waker};
use pentimento_engine::error::EngineError;
use pentimento_engine::preview::PreviewMode;

use crate::app::{StudioApp, StudioOptions};
use crate::keeper::Kept;

/// Starts an engine for the window. The waker asks for a repaint.
pub type StartEngine =
    Box<dyn FnOnce(EngineConfig, Waker) -> Result<Box<dyn EngineClient>, EngineError> + Send>;

/// How to open the window.
pub struct WindowOptions {
    /// Where the engine works; its first model folder is the one where the user puts models. The
    /// user's settings add folders, and decide threads, previews and gallery where this leaves it to
    /// them.
    pub engine: EngineConfig,
    /// Whether the gallery was named for this run, by an option or the environment: then it counts
    /// more than the settings.
    pub library_is_named: bool,
    /// Starts it.
    pub start_engine: StartEngine,
    /// Where eframe keeps the window's size; `None` keeps nothing.
    pub persistence_path: Option<PathBuf>,
}

/// Why the window did not open.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// No display, or no way to draw on it.
    #[error("cannot open a window: {0}")]
    NoWindow(String),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What was named for this run counts more than what the user set, and that more than the defaults.
fn follow_settings(config: &mut EngineConfig, library_is_named: bool) {
    let settings = Kept::load(&config.data_dir).settings;
    if config.previews != PreviewMode::Off {
        config.previews = settings.previews;
    }
    config.threads = config.threads.or(settings.threads);
    if let Some(folder) = settings.library_dir.filter(|_| !library_is_named) {
        config.library_dir = folder;
    }
    for folder in settings.model_folders {
        if !config.model_folders.contains(&folder) {
            config.model_folders.push(folder);
        }
    }
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// [`WindowError::NoWindow`] without a display or a usable graphics driver.
pub fn run_window(options: WindowOptions) -> Result<(), WindowError> {
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title(crate::text::t("app-name"))
            .with_app_id("pentimento")
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([960.0, 600.0]),
        persistence_path: options.persistence_path,
        ..Default::default()
    };
    let start_engine = options.start_engine;
    let mut config = options.engine;
    let models_dir = config.model_folders.first().cloned();
    let default_library_dir = Some(config.library_dir.clone());
    follow_settings(&mut config, options.library_is_named);
    let studio_options = StudioOptions {
        default_library_dir,
        data_dir: Some(config.data_dir.clone()),
        library_dir: Some(config.library_dir.clone()),
        models_dir,
    };
    // Graphics and engine start at the same time: opening a card for computing may take as long as opening one for
    // drawing. What the engine says before there is a window, the first frame finds waiting.
    let shown = Arc::new(OnceLock::<egui::Context>::new());
    let to_wake = Arc::clone(&shown);
    let waker: Waker = Arc::new(move || {
        if let Some(ctx) = to_wake.get() {
            ctx.request_repaint();
        }
    });
    let starting = std::thread::Builder::new()
        .name("engine-start".to_owned())
        .spawn(move || start_engine(config, waker))
        .map_err(|error| WindowError::NoWindow(error.to_string()))?;
    let starting = Arc::new(Mutex::new(Some(starting)));
    let refusal = Arc::new(Mutex::new(None));
    let (to_start, to_refuse) = (Arc::clone(&starting), Arc::clone(&refusal));
    let opened = eframe::run_native(
        "pentimento",
        native,
        Box::new(move |cc| {
            let _first = shown.set(cc.egui_ctx.clone());
            let engine = match started(&to_start) {
                Some(Ok(engine)) => engine,
                Some(Err(error)) => {
                    let reason = error.to_string();
                    *locked(&to_refuse) = Some(error);
                    return Err(reason.into());
                }
                None => {
                    *locked(&to_refuse) = Some(panicked());
                    return Err("the engine's start panicked".into());
                }
            };
            Ok(Box::new(StudioApp::new(
                &cc.egui_ctx,
                engine,
                studio_options,
            )))
        }),
    );
    // Without a window the engine was not taken. It goes now, so that another can have its folders.
    let was_taken = locked(&starting).is_none();
    let refused = match started(&starting) {
        _ if was_taken => locked(&refusal).take(),
        Some(started) => started.err(),
        None => Some(panicked()),
    };
    match (opened, refused) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(WindowError::Engine(error)),
        (Err(error), None) => Err(WindowError::NoWindow(error.to_string())),
    }
}

type Started = Result<Box<dyn EngineClient>, EngineError>;

/// What became of the start, once; waits for it.
fn started(starting: &Mutex<Option<JoinHandle<Started>>>) -> Option<Started> {
    let handle = locked(starting).take()?;
    handle.join().ok()
}

/// Starting once more would most likely panic once more.
fn panicked() -> EngineError {
    EngineError::Internal {
        stage: "starting the engine".to_owned(),
        report: "it panicked; what the system's log or the terminal says tells more".to_owned(),
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
