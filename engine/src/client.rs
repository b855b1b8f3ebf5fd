//! The engine's face as a trait, so that a scripted fake serves the interface's tests.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::event::{Event, JobId, Preview};
use crate::forecast::Forecast;
use crate::preview::PreviewMode;
use crate::prompt::inspect::PromptQuery;
use crate::recipe::Recipe;

/// What the interface and the command line may ask of the engine. No call blocks on computation
/// or on the disk.
pub trait EngineClient: Send {
    /// Validates and queues a job. Field-level problems come back at once.
    ///
    /// # Errors
    /// `InvalidRequest`, `ModelNotFound` or `QueueFull`.
    fn submit(&self, request: Request) -> Result<JobId>;
    /// Asks a queued or running job to stop; it answers with `Event::Cancelled`.
    fn cancel(&self, job: JobId);
    /// The next life-cycle event, if one waits.
    fn poll_event(&self) -> Option<Event>;
    /// The newest preview that was not taken yet.
    fn take_preview(&self) -> Option<Preview>;
    /// What can be run. Cheap: a shared snapshot.
    fn catalog(&self) -> Arc<Catalog>;
    /// Reads prompts as a job would, in the background; answered by `Event::PromptsInspected` with
    /// the same `query`.
    fn inspect_prompts(&self, query: u64, prompts: PromptQuery);
    /// Looks through these folders (and the built-in models) again; answered by
    /// `Event::CatalogChanged`.
    fn set_model_folders(&self, folders: Vec<PathBuf>);
    /// What a job will take; `None` when its model is not here. Cheap: figures of earlier runs.
    fn forecast(&self, recipe: &Recipe, count: u32) -> Option<Forecast>;
    /// Loads a model in the background so that the first job need not wait.
    fn warm_up(&self, model: &str);
    /// How previews are drawn, from the next job that starts.
    fn set_previews(&self, mode: PreviewMode);
    /// Compute threads, from the next job that starts; `None`: one a core.
    fn set_threads(&self, threads: Option<usize>);
    /// Where the gallery lies, from the next job that starts. Jobs that wait and refer to a start
    /// picture in the former gallery look for it in the new one: change it while nothing waits.
    fn set_library_dir(&self, folder: PathBuf);
    /// Jobs that were waiting or running when the program last ended, oldest first. They do not
    /// start by themselves: submit or forget them.
    fn unfinished_jobs(&self) -> Vec<UnfinishedJob>;
    /// Drops a job of [`Self::unfinished_jobs`] from the journal.
    fn forget_unfinished(&self, key: &str);
}

/// A job from an earlier run, read back from the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnfinishedJob {
    /// The journal's key.
    pub key: String,
    /// What was asked, its blobs already in a library; pictures that were finished are not asked again. Submitting it
    /// takes the job's place in the journal.
    pub request: Request,
}

/// One job: a recipe, how many pictures, and where they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The first picture's recipe; picture i has seed + i.
    pub recipe: Recipe,
    /// Pictures, 1 to 1000.
    pub count: u32,
    /// Where they are saved.
    pub save_to: SaveTo,
    /// PNG files the recipe's `start` refers to, unless they lie in the library already. The engine
    /// writes them to `blobs/` before the job is journaled.
    #[serde(skip)]
    pub blobs: Vec<Blob>,
    /// The journal's key of the unfinished job that this one goes on with: it leaves the journal once this one is in
    /// it.
    #[serde(skip)]
    pub resumes: Option<String>,
}

/// A PNG file by content.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    /// SHA-256 of `png`, hex.
    pub sha256: String,
    /// The file.
    pub png: Arc<[u8]>,
}

/// Where pictures are saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "path", rename_all = "snake_case")]
pub enum SaveTo {
    /// The gallery: a folder by date, indexed.
    Library,
    /// Numbered files in a folder.
    Folder(PathBuf),
    /// This very file (for a batch: the name with `-2`, `-3`… before the extension).
    File(PathBuf),
}
