//! Every user action as data: what panels, keys, menus and the palette send.

use std::path::PathBuf;

use pentimento_engine::event::JobId;
use pentimento_engine::recipe::FoundRecord;

pub use crate::action::Action;
use crate::studio::canvas_command::CanvasCommand;
use crate::studio::draft::{Draft, DraftEdit};
use crate::studio::gallery::{OpenFor, PictureId};
use crate::studio::settings::Settings;

/// A request to change the studio. Applied by `Studio::apply`, and by nothing else.
#[derive(Clone, Debug)]
pub enum Command {
    /// An action of the table.
    Action(Action),
    /// A change of the recipe's controls.
    Draft(DraftEdit),
    /// An edit of the document, the mask, the tools or the staging.
    Canvas(CanvasCommand),
    /// Something in the gallery.
    Gallery(GalleryCommand),
    /// Stop this job.
    CancelJob(JobId),
    /// Put an unfinished job of an earlier run back into the queue.
    ResumeUnfinished(String),
    /// Forget an unfinished job of an earlier run.
    ForgetUnfinished(String),
    /// Take over every control from this recipe.
    UseRecipe(Box<FoundRecord>),
    /// A path that was typed where the system has no file dialog.
    TypedPath(String),
    /// Take the controls back as they stood.
    RestoreDraft(Box<Draft>),
    /// New settings.
    Settings(Box<Settings>),
    /// Search this folder for models, from now on.
    AddModelFolder(PathBuf),
    /// Do not search this folder any more.
    RemoveModelFolder(PathBuf),
    /// Ask for another folder for the gallery.
    AskLibraryFolder,
    /// Show this file or folder in the system's file manager.
    ShowInFolder(PathBuf),
    /// Put this text on the clipboard and say so.
    CopyText(String),
    /// Take a notice away.
    DismissNotice(u64),
    /// Ask for a name and save a picture that could not be saved.
    SaveUnsaved,
    /// End the program over pictures that could not be saved.
    LeaveUnsaved,
    /// Close the dialog that is open.
    CloseOverlay,
}

/// What can be done in the gallery.
#[derive(Clone, Debug)]
pub enum GalleryCommand {
    /// Search for these words.
    Search(String),
    /// Show only starred pictures, or all.
    StarredOnly(bool),
    /// Bring the next page.
    More,
    /// Select a picture.
    Select(PictureId),
    /// Select a picture and look at it in large.
    View(PictureId),
    /// Look at the next (1) or previous (-1) picture.
    Step(isize),
    /// Star or unstar a picture.
    Star(PictureId, bool),
    /// Move a picture to the bin.
    Delete(PictureId),
    /// Bring a picture back from the bin.
    Restore(PictureId),
    /// Take over every control from the picture's recipe.
    UseRecipe(PictureId),
    /// Read the pixels, for the canvas or the clipboard.
    Open(PictureId, OpenFor),
    /// Ask for a name and save a copy.
    SaveCopy(PictureId),
}

/// Collects the commands of a frame; drained once at its end.
#[derive(Debug, Default)]
pub struct CommandSender {
    queue: Vec<Command>,
}

impl CommandSender {
    /// Sends a command.
    pub fn send(&mut self, command: impl Into<Command>) {
        self.queue.push(command.into());
    }

    /// Takes what was sent since the last call, in order.
    pub fn drain(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.queue)
    }
}

impl From<Action> for Command {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

impl From<CanvasCommand> for Command {
    fn from(command: CanvasCommand) -> Self {
        Self::Canvas(command)
    }
}

impl From<DraftEdit> for Command {
    fn from(edit: DraftEdit) -> Self {
        Self::Draft(edit)
    }
}

impl From<GalleryCommand> for Command {
    fn from(command: GalleryCommand) -> Self {
        Self::Gallery(command)
    }
}
