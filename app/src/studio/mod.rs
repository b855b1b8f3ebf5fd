//! The state of the studio, by topic, without egui. Panels read it; [`Studio::apply`] changes it and
//! says, as [`Effect`]s, what is wanted from the world outside.

mod apply;
pub mod ask;
pub mod canvas_apply;
pub mod canvas_command;
pub mod document;
pub mod draft;
pub mod edit;
pub mod events;
pub mod feather;
pub mod flood;
pub mod foretold;
pub mod gallery;
pub mod geometry;
pub mod history;
pub mod io_task;
pub mod jobs;
pub mod mask;
pub mod notices;
pub mod prompts_read;
pub mod recall;
pub mod region;
pub mod session;
pub mod settings;
pub mod staging;
pub mod stroke;
pub mod tiles;
pub mod tool_settings;
pub mod weight_edit;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::client::{Request, UnfinishedJob};
use pentimento_engine::event::{JobId, Preview};
use pentimento_engine::preview::PreviewMode;
use pentimento_engine::prompt::inspect::PromptQuery;
use pentimento_engine::recipe::{Precision, Recipe};

use crate::command::Command;
use canvas_apply::ViewRequest;
use canvas_command::CanvasCommand;
use document::{Document, DocumentCommand};
use draft::{Draft, StartMode};
use feather::FeatherPreview;
use foretold::Foretold;
use gallery::{Gallery, GalleryRequest};
use io_task::{Ask, IoTask};
use jobs::Jobs;
use notices::Notices;
use prompts_read::PromptsRead;
use recall::Reopened;
use settings::Settings;
use staging::{StagedFiles, Staging};
use tool_settings::ToolSettings;

/// The whole state.
#[derive(Debug, Default)]
pub struct Studio {
    /// What can be run.
    pub catalog: Arc<Catalog>,
    /// The recipe's controls.
    pub draft: Draft,
    /// How the prompts are read.
    pub prompts: PromptsRead,
    /// Jobs that wait or run.
    pub jobs: Jobs,
    /// The newest preview of the running job.
    pub preview: Option<Preview>,
    /// The canvas's picture and mask.
    pub document: Document,
    /// Fills that wait until the stroke that is being drawn ends.
    pub found_fills: Vec<DocumentCommand>,
    /// A picture that was opened and waits for the one it started from.
    pub reopened: Option<Reopened>,
    /// Results waiting to be accepted.
    pub staging: Staging,
    /// What was staged when the studio closed, until it is back.
    pub staged_before: StagedFiles,
    /// The canvas tools.
    pub tools: ToolSettings,
    /// The mask as a run would blur it.
    pub feather: FeatherPreview,
    /// What a menu or key wants of the canvas's view.
    pub view_request: ViewRequest,
    /// The gallery as it is shown.
    pub gallery: Gallery,
    /// What the user set for the program.
    pub settings: Settings,
    /// Toasts.
    pub notices: Notices,
    /// The dialog that is open.
    pub overlay: Option<Overlay>,
    /// What [`Overlay::TypePath`] asks for.
    pub asked: Option<Ask>,
    /// Jobs of an earlier run that did not end.
    pub unfinished: Vec<UnfinishedJob>,
    /// Whether the window may close over pictures that could not be saved.
    pub leaves_unsaved: bool,
    /// What the next job will take.
    pub foretold: Foretold,
    /// Folders of this run.
    pub places: Places,
}

/// Folders of this run, for showing.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The gallery's root.
    pub library_dir: Option<PathBuf>,
    /// The gallery's root where the settings name none.
    pub default_library_dir: Option<PathBuf>,
    /// The gallery's root as soon as no job needs the present one any more.
    pub next_library_dir: Option<PathBuf>,
    /// The folder that is always searched for models.
    pub models_dir: Option<PathBuf>,
}

/// A dialog over the window; one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Find a command.
    Palette,
    /// Settings.
    Settings,
    /// Keys and first steps.
    Help,
    /// Version and licences.
    About,
    /// The selected picture in large, its recipe beside it.
    Viewer,
    /// A path, where the system has no file dialog.
    TypePath,
    /// Whether to leave pictures that could not be saved.
    Unsaved,
}

/// What a command wants from the world outside: carried out by `app`, off the interface thread
/// where it takes time.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Queue a job as it is.
    Submit(Box<Request>),
    /// Stop a job.
    CancelJob(JobId),
    /// Read the prompts as a job would.
    InspectPrompts {
        /// The query's id.
        query: u64,
        /// What to read.
        prompts: Box<PromptQuery>,
    },
    /// Say what this recipe's pictures will take.
    Forecast(Box<Recipe>, u32),
    /// Load a model in the background.
    WarmUp(String),
    /// Search these folders for models.
    SetModelFolders(Vec<PathBuf>),
    /// Draw previews so.
    SetPreviews(PreviewMode),
    /// Compute with so many threads; `None`: one a core.
    SetThreads(Option<usize>),
    /// Save to this gallery and show it.
    UseLibrary(PathBuf),
    /// Drop a job from the journal.
    ForgetUnfinished(String),
    /// Something for the gallery's worker.
    Gallery(GalleryRequest),
    /// Something for the file threads.
    Io(IoTask),
    /// Text for the clipboard.
    CopyText(String),
    /// Move the keyboard's focus.
    Focus(Focus),
    /// End the program.
    Quit,
}

/// A text field that can be focused by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The prompt.
    Prompt,
    /// The gallery's search field.
    Search,
}

impl Studio {
    /// The chosen model, if the catalogue has it.
    pub fn model(&self) -> Option<&ModelInfo> {
        self.draft.model_info(&self.catalog)
    }

    /// Whether the draft can be submitted.
    pub fn can_generate(&self) -> bool {
        self.model().is_some()
    }

    /// Whether the canvas shows a picture: the document's or a staged result.
    pub fn has_picture(&self) -> bool {
        self.document.canvas().is_some() || !self.staging.is_empty()
    }

    /// What the next job does with the canvas: nothing while there is no picture, whatever was chosen
    /// for the last one.
    pub fn start_mode(&self) -> StartMode {
        if self.has_picture() {
            self.draft.start.mode
        } else {
            StartMode::New
        }
    }

    /// `[width, height]` in pixels of what a job would start from.
    pub fn start_size_px(&self) -> Option<[u32; 2]> {
        let canvas = self.document.canvas().map(edit::Canvas::size_px);
        canvas.or_else(|| Some(self.staging.current()?.pixels.size_px()))
    }

    /// Whether the canvas shows anything that can be zoomed: a picture, a result, or a preview.
    pub fn shows_picture(&self) -> bool {
        self.has_picture() || self.preview.is_some()
    }

    /// Whether the canvas is empty and nothing is being made that would fill it.
    pub fn shows_nothing(&self) -> bool {
        !self.has_picture() && self.preview.is_none() && !self.jobs.is_busy()
    }

    /// Whether anything is masked.
    pub fn has_mask(&self) -> bool {
        self.document.has_mask()
    }

    /// What Escape does on the canvas before it cancels a job: takes a running stroke back, then
    /// puts the tool out of the hand.
    pub fn leave_tool(&self) -> Option<Command> {
        const NO_TOOL: &str = "pan";
        if self.document.is_drawing() {
            return Some(CanvasCommand::from(DocumentCommand::AbortStroke).into());
        }
        let in_hand = self.document.canvas().is_some() && self.tools.tool != NO_TOOL;
        in_hand.then(|| CanvasCommand::SelectTool(NO_TOOL).into())
    }

    /// Whether the window has to stay open: it asks about pictures that could not be saved.
    pub fn asks_before_leaving(&mut self) -> bool {
        let asks = !self.leaves_unsaved && self.staging.unsaved_count() > 0;
        if asks {
            self.overlay = Some(Overlay::Unsaved);
        }
        asks
    }

    /// The precision of the running job, else of the draft.
    pub fn shown_precision(&self) -> Precision {
        self.jobs
            .running()
            .map_or(self.draft.sampling.precision, |job| job.recipe.precision)
    }

    /// Every folder searched for models.
    pub fn model_folders(&self) -> Vec<PathBuf> {
        let own = self.places.models_dir.iter();
        own.chain(&self.settings.model_folders).cloned().collect()
    }

    /// The folder where a user puts models.
    pub fn models_folder(&self) -> Option<&Path> {
        self.places
            .models_dir
            .as_deref()
            .or_else(|| self.settings.model_folders.first().map(PathBuf::as_path))
    }
}
