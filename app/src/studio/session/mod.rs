//! The session's journal: what happened to the document, in a form that survives a kill.
//!
//! The file begins with [`MAGIC`] and a version; records follow, each with its length and a
//! checksum over its number and content. One journal entry is a begin record, parts of bounded
//! size, and a commit record: an entry without its commit did not happen. A file may end anywhere;
//! everything up to the last commit is recovered. Nothing here knows files: `io::session` does.

mod codec;
mod read;
mod write;

use std::path::PathBuf;

use pentimento_engine::error::EngineError;

use super::document::{Document, JournalEntry};
use super::edit::{Canvas, Edit, Patch};

pub use read::{Recovered, Refused, recover};
pub use write::JournalWriter;

/// The first bytes of every journal.
pub const MAGIC: [u8; 8] = *b"PNTMJRNL";
/// Version of the format; raised when older programs would misread it.
pub const VERSION: u32 = 1;
/// Bytes of the file's head: magic, version, four bytes for later.
pub const HEAD_BYTES: usize = 16;
/// Longest record content; a longer one is damage.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// Tiles of one part record: below 5 MiB even if nothing compresses.
const TILES_PER_PART: usize = 16;

/// Kinds of records.
mod tag {
    pub(super) const BEGIN: u8 = 1;
    pub(super) const PICTURE_TILES: u8 = 2;
    pub(super) const MASK_TILES: u8 = 3;
    pub(super) const COMMIT: u8 = 4;
    pub(super) const UNDO: u8 = 5;
    pub(super) const REDO: u8 = 6;
}

/// What a begin record announces.
mod shape {
    /// The state before the first edit.
    pub(super) const BASE: u8 = 0;
    /// Some tiles of what is open.
    pub(super) const TILES: u8 = 1;
    /// A whole document.
    pub(super) const WHOLE: u8 = 2;
    /// Nothing is open.
    pub(super) const NOTHING: u8 = 4;
}

/// What the thread that keeps the session says.
#[derive(Debug)]
pub enum SessionReply {
    /// The last session's document with its undo steps. Comes once, and before what was handed
    /// over is written.
    Restored(Box<Document>),
    /// Another program has the session; this one's is not kept.
    InUse,
    /// The last session cannot be read; its file was set aside under this name.
    Unreadable(PathBuf),
    /// The session cannot be kept at present. Tried again at the next change.
    Failed(EngineError),
}

/// The shortest journal that leads to `document`, its undo steps included: the state before the
/// oldest step, then every step, then what was undone.
pub fn condense(document: &Document) -> (Option<Canvas>, Vec<JournalEntry>) {
    let history = document.history();
    let mut base = document.canvas().cloned();
    for edit in history.done().rev() {
        edit.revert(&mut base);
    }
    let patches = |edit: &Edit| -> Patch { edit.patch() };
    let mut entries: Vec<JournalEntry> = history
        .done()
        .chain(history.undone())
        .map(patches)
        .map(JournalEntry::Edit)
        .collect();
    entries.extend(history.undone().map(|_| JournalEntry::Undo));
    (base, entries)
}

#[cfg(test)]
mod tests;
