//! The engine's handle: starts the threads, queues jobs, hands out events and previews.

use std::path::PathBuf;
use std::sync::Arc;

/// Called after every event and preview, from the engine's thread; must not block.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Where the engine works. All paths come from the caller.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Root of the gallery (see `library`); holds `blobs/` too.
    pub library_dir: PathBuf,
    /// Program data: queue journal, caches of hashes.
    pub data_dir: PathBuf,
    /// Folders searched for models.
    pub model_folders: Vec<PathBuf>,
    /// Models inside the program.
    pub embedded_models: Vec<EmbeddedModel>,
    /// Compute threads; `None`: one a core.
    pub threads: Option<usize>,
    /// `cpu`, `cuda`, `cuda:1`, `metal`, or `auto`.
    pub device: String,
    /// Whether to draw previews at all.
    pub previews: bool,
}

/// A model carried inside the program.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// Catalogue id.
    pub id: &'static str,
    /// Path inside the model's folder (`/` as separator) and contents.
    pub files: &'static [(&'static str, &'static [u8])],
}
