//! Opens the real window on the real engine.

use std::path::PathBuf;

use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::{EngineConfig, Waker};
use pentimento_engine::error::EngineError;
use pentimento_engine::preview::PreviewMode;

use crate::app::{StudioApp, StudioOptions};
use crate::keeper::Kept;

/// Starts an engine for the window. The waker asks for a repaint.
pub type StartEngine =
    Box<dyn FnOnce(EngineConfig, Waker) -> Result<Box<dyn EngineClient>, EngineError>>;

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
    eframe::run_native(
        "pentimento",
        native,
        Box::new(move |cc| {
            let ctx = cc.egui_ctx.clone();
            let waker: Waker = std::sync::Arc::new(move || ctx.request_repaint());
            let engine = start_engine(config, waker)?;
            Ok(Box::new(StudioApp::new(
                &cc.egui_ctx,
                engine,
                studio_options,
            )))
        }),
    )
    .map_err(|error| WindowError::NoWindow(error.to_string()))
}
