//! What may be done to the canvas, as data: edits of the document, tool settings, staged results,
//! the view, and files and clipboard.

use std::path::PathBuf;

use pentimento_engine::raster::Picture;

use super::document::DocumentCommand;
use super::flood::Flood;
use super::staging::StagingCommand;
use super::tool_settings::ToolSettings;

/// An edit of the document, the mask, the tools or the staging.
#[derive(Clone, Debug)]
pub enum CanvasCommand {
    /// Put this picture on the canvas, as a new document.
    Open {
        /// The pixels.
        picture: Picture,
        /// Name for people: the file's, or the prompt's first words.
        name: String,
    },
    /// Change picture or mask.
    Document(DocumentCommand),
    /// Mask or unmask an area of similar colours. It is found off the interface's thread.
    Flood(Flood),
    /// Look at, accept or discard results.
    Staging(StagingCommand),
    /// Choose the tool of this id.
    SelectTool(&'static str),
    /// Change tools' sizes and options.
    SetTools(Box<ToolSettings>),
    /// Zoom or move the view.
    View(ViewCommand),
    /// Read files, write files, use the clipboard.
    File(FileCommand),
}

impl From<DocumentCommand> for CanvasCommand {
    fn from(command: DocumentCommand) -> Self {
        Self::Document(command)
    }
}

impl From<StagingCommand> for CanvasCommand {
    fn from(command: StagingCommand) -> Self {
        Self::Staging(command)
    }
}

impl From<ViewCommand> for CanvasCommand {
    fn from(command: ViewCommand) -> Self {
        Self::View(command)
    }
}

impl From<FileCommand> for CanvasCommand {
    fn from(command: FileCommand) -> Self {
        Self::File(command)
    }
}

/// Moves of the view, for menus, keys and the palette; wheel and drag move it directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewCommand {
    /// The next larger step.
    ZoomIn,
    /// The next smaller step.
    ZoomOut,
    /// The whole picture in the window, now and when the window changes.
    Fit,
    /// One picture pixel on one screen pixel.
    ActualSize,
}

/// What the canvas asks of files and the clipboard. All of it happens off the interface thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileCommand {
    /// Ask for a picture and open it.
    OpenDialog,
    /// Open this picture.
    OpenPicture(PathBuf),
    /// Ask for a picture and make it the mask.
    LoadMaskDialog,
    /// Ask for a name and save a copy of what the canvas shows.
    SaveCopyDialog,
    /// Ask for a name and save the mask.
    SaveMaskDialog,
    /// Put what the canvas shows on the clipboard.
    CopyPicture,
    /// Open the picture on the clipboard.
    PastePicture,
    /// Show this file in the system's file manager.
    ShowInFolder(PathBuf),
}
