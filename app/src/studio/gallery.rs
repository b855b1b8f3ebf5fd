//! The gallery as it is shown: what is searched for, which pictures answer, which one is looked at.

use std::path::{Path, PathBuf};

use pentimento_engine::library::Entry;
use pentimento_engine::recipe::{FoundRecord, Start};

/// A picture's key: its file.
pub type PictureId = PathBuf;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words of the prompt.
    pub text: String,
    /// Only starred ones.
    pub starred_only: bool,
}

/// Entries asked for at a time.
pub const PAGE: usize = 200;

/// The gallery's state.
#[derive(Debug, Default)]
pub struct Gallery {
    /// What is searched for.
    pub query: Query,
    /// Pictures found so far, newest first.
    pub entries: Vec<Entry>,
    /// How many pictures match in all.
    pub total: u64,
    /// Whether an answer is awaited.
    pub waiting: bool,
    /// Whether the first answer came.
    pub loaded: bool,
    /// The picture that is selected in the list.
    pub selected: Option<PictureId>,
    /// The selected picture's record, once read.
    pub record: Option<(PictureId, Box<FoundRecord>)>,
    /// The picture whose recipe is awaited to be taken over.
    pub recipe_wanted: Option<PictureId>,
    /// Raised with each search, so that late answers to earlier ones are told apart.
    pub serial: u64,
}

/// What the gallery's worker is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum GalleryRequest {
    /// A page of the answers to a query.
    List {
        /// The search it belongs to.
        serial: u64,
        /// What is searched for.
        query: Query,
        /// Entries to skip.
        offset: usize,
        /// Most entries to bring.
        limit: usize,
    },
    /// Read what made a picture.
    Record(PictureId),
    /// Star or unstar.
    Star(PictureId, bool),
    /// Move to the library's bin.
    Delete(PictureId),
    /// Bring back from the bin.
    Restore(PictureId),
    /// Read the pixels, for the canvas or the clipboard.
    Open(PictureId, OpenFor),
    /// Read everything a recipe starts from, for the canvas.
    OpenStart(Box<Start>),
}

/// What a picture's pixels are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    /// To work on it.
    Canvas,
    /// To copy it.
    Clipboard,
}

impl Gallery {
    /// Another gallery is opened: nothing of this one is shown any more. The search stays.
    pub fn forget(&mut self) {
        *self = Self {
            query: std::mem::take(&mut self.query),
            serial: self.serial,
            ..Self::default()
        };
    }

    /// Asks for the first page anew.
    pub fn search(&mut self) -> GalleryRequest {
        self.serial += 1;
        self.waiting = true;
        GalleryRequest::List {
            serial: self.serial,
            query: self.query.clone(),
            offset: 0,
            limit: self.entries.len().max(PAGE),
        }
    }

    /// Whether there is a next page to ask for and none is awaited.
    pub fn has_more(&self) -> bool {
        (self.entries.len() as u64) < self.total && !self.waiting
    }

    /// Asks for the next page, if there is one and none is awaited.
    pub fn more(&mut self) -> Option<GalleryRequest> {
        if !self.has_more() {
            return None;
        }
        self.waiting = true;
        Some(GalleryRequest::List {
            serial: self.serial,
            query: self.query.clone(),
            offset: self.entries.len(),
            limit: PAGE,
        })
    }

    /// A page came.
    pub fn listed(&mut self, serial: u64, offset: usize, entries: Vec<Entry>, total: u64) {
        if serial != self.serial {
            return;
        }
        self.waiting = false;
        self.loaded = true;
        // An empty page ends the list, whatever the count says.
        self.total = if entries.is_empty() {
            offset as u64
        } else {
            total
        };
        self.entries.truncate(offset);
        self.entries.extend(entries);
    }

    /// The entry of that key.
    pub fn entry(&self, id: &Path) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == id)
    }

    /// The selected entry.
    pub fn selected_entry(&self) -> Option<&Entry> {
        self.entry(self.selected.as_deref()?)
    }

    /// The selected picture's record, once read.
    pub fn selected_record(&self) -> Option<&FoundRecord> {
        let (id, record) = self.record.as_ref()?;
        (Some(id) == self.selected.as_ref()).then_some(record)
    }

    /// The entry `by` places after the selected one (before, when negative), within the list.
    pub fn neighbour(&self, by: isize) -> Option<&Entry> {
        let selected = self.selected.as_ref()?;
        let at = self
            .entries
            .iter()
            .position(|entry| &entry.path == selected)?;
        let next = at.checked_add_signed(by)?;
        self.entries.get(next)
    }

    /// Takes an entry out of the list, and selects the one that took its place.
    pub fn remove(&mut self, id: &Path) {
        let Some(at) = self.entries.iter().position(|entry| entry.path == id) else {
            return;
        };
        self.entries.remove(at);
        if self.selected.as_deref() == Some(id) {
            let near = self.entries.get(at).or_else(|| self.entries.last());
            self.selected = near.map(|entry| entry.path.clone());
        }
    }
}
