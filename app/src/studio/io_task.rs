//! What the studio wants of files, dialogs and the clipboard, and what comes back. `io` carries the
//! tasks out on its own threads.

use std::path::PathBuf;

use pentimento_engine::client::Request;
use pentimento_engine::error::EngineError;
use pentimento_engine::recipe::{FoundRecord, Record};

use super::draft::StartDraft;
use super::flood::Flood;
use super::staging::StagedFiles;
use super::tiles::Plane;

/// A job whose start picture must be encoded before it can be queued.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// The job without its start.
    pub request: Request,
    /// The canvas's picture.
    pub picture: Plane<4>,
    /// The mask of the same size, for repainting.
    pub mask: Option<Plane<1>>,
    /// Strength and options.
    pub start: StartDraft,
}

/// Pixels to write to a file.
#[derive(Clone, Debug)]
pub enum Saved {
    /// A picture.
    Picture(Plane<4>),
    /// A picture with what made it.
    Recorded(Plane<4>, Box<Record>),
    /// A mask, as a grey picture.
    Mask(Plane<1>),
}

/// What a dialog asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A picture to open.
    Picture,
    /// A picture to make the mask of a document of this size.
    Mask {
        /// `[width, height]` of the document.
        size_px: [u32; 2],
    },
    /// A place to save pixels.
    Save {
        /// What to save.
        pixels: Saved,
        /// The suggested file name.
        name: String,
    },
    /// A place for a copy of this file.
    CopyFile(PathBuf),
    /// A folder of models.
    ModelFolder,
    /// A folder for the gallery.
    LibraryFolder,
}

/// Something to be done off the interface thread.
#[derive(Clone, Debug)]
pub enum IoTask {
    /// Show a dialog, then do what it was for.
    Ask(Ask),
    /// Read a picture and open it.
    Open(PathBuf),
    /// Read the results that were staged when the program last ended.
    OpenStaged(StagedFiles),
    /// Read a mask for a document of this size.
    LoadMask {
        /// The file.
        path: PathBuf,
        /// `[width, height]` of the document.
        size_px: [u32; 2],
    },
    /// Write a PNG file.
    Save {
        /// Where.
        path: PathBuf,
        /// What.
        pixels: Saved,
    },
    /// Put a picture on the clipboard.
    Copy(Plane<4>),
    /// Read the picture on the clipboard.
    Paste,
    /// Show a file in the system's file manager.
    ShowInFolder(PathBuf),
    /// Make this folder if it is missing, and show it.
    ShowFolder(PathBuf),
    /// Copy a file, whole or not at all.
    CopyFile {
        /// The file.
        from: PathBuf,
        /// The copy.
        to: PathBuf,
    },
    /// Encode a job's start picture and mask.
    Prepare(Box<Prepare>),
    /// Blur a mask as a run would.
    Feather {
        /// Comes back with the answer.
        key: u64,
        /// The painted mask.
        mask: Plane<1>,
        /// The blur's radius in pixels.
        radius_px: u32,
    },
    /// Find the area of a picture that a fill reaches.
    Flood {
        /// The canvas's picture.
        picture: Plane<4>,
        /// How the fill spreads.
        flood: Flood,
    },
    /// Pass on what a dialog chose.
    Chose(Chosen),
}

/// A folder that was chosen in a dialog.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// To be searched for models.
    ModelFolder(PathBuf),
    /// To hold the gallery.
    LibraryFolder(PathBuf),
}

/// What came of a task.
#[derive(Clone, Debug)]
pub enum IoReply {
    /// A picture was read.
    Opened {
        /// Its file.
        path: PathBuf,
        /// Its pixels.
        pixels: Plane<4>,
        /// What made it, if it tells.
        record: Option<Box<FoundRecord>>,
    },
    /// The results that were staged; those that are gone are left out.
    StagedOpened {
        /// Files and pixels, in order.
        pictures: Vec<(PathBuf, Plane<4>)>,
        /// Which was shown.
        shown: usize,
    },
    /// A mask was read.
    MaskLoaded(Plane<1>),
    /// A file was written.
    Saved(PathBuf),
    /// A picture that could not be saved before was written, with what made it.
    SavedRecorded(PathBuf, Box<Record>),
    /// The picture is on the clipboard.
    Copied,
    /// The clipboard's picture.
    Pasted(Plane<4>),
    /// The clipboard holds no picture.
    NothingToPaste,
    /// The clipboard cannot be reached.
    NoClipboard(String),
    /// No file manager shows this file or folder.
    NoFileManager {
        /// What was to be shown.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system shows no dialog: the path must be asked for otherwise.
    NoDialog(Ask),
    /// A mask was blurred.
    Feathered {
        /// As it was asked for.
        key: u64,
        /// The blurred mask.
        plane: Plane<1>,
    },
    /// The area that a fill reaches.
    Flooded {
        /// As it was asked for.
        picture: Plane<4>,
        /// 255 inside.
        area: Plane<1>,
        /// Whether the fill takes the mask away.
        erase: bool,
    },
    /// A job is ready to be queued.
    Prepared(Box<Request>),
    /// A folder was chosen.
    Chose(Chosen),
    /// A file could not be read or written.
    Failed(EngineError),
    /// Too many tasks wait; this one was not taken.
    Busy,
}
