//! The gallery on disk. What counts are the files; everything else can be made again from them.
//!
//! ```text
//! <library>/2026-11-23/00001-42.png   pictures by day (UTC) and seed, their recipes inside
//! <library>/blobs/<sha256>.png        start pictures and masks that recipes refer to
//! <library>/stars.jsonl               the stars, a line a click
//! <library>/index.sqlite              lists and searches; made again when lost, broken or older
//! <library>/.thumbnails/              small copies; made again when lost
//! <library>/.trash/<token>/           deleted pictures, until they are purged
//! ```
//!
//! Other PNG files in the folder, or up to four folders deep, are listed too, with A1111's text where
//! they carry it. All calls block on the disk: keep them off the interface's thread. They may come
//! from any thread, and from several programs at once.

mod blobs;
mod date;
pub mod files;
mod index;
mod save;
mod scan;
mod stars;
mod sweep;
#[cfg(test)]
mod tests;
mod thumbnails;
mod trash;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};
use crate::recipe::{FoundRecord, read_record_file};
use index::{Index, IndexError, Row};
pub use save::{save_to_file, save_to_folder};
use stars::Stars;
pub use trash::UndoToken;

/// Rows written in one transaction while the index is filled.
const ROWS_AT_ONCE: usize = 512;

/// An open gallery. Cheap to clone: all clones share one connection.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    index: Mutex<Index>,
    stars: Stars,
}

/// Which pictures to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Words that prompt, model or seed must all hold, in any case and order; empty: all pictures.
    pub text: String,
    /// Only those with a star.
    pub starred_only: bool,
    /// Pictures to skip.
    pub offset: u64,
    /// Most pictures to return.
    pub limit: u64,
}

/// An answer to a [`Query`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Pictures, newest first.
    pub entries: Vec<Entry>,
    /// How many pictures match in all.
    pub total: u64,
}

/// A picture of the gallery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// When it was made, Unix time in milliseconds; the file's own time where no record tells.
    pub created_unix_ms: u64,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Prompt, empty where unknown.
    pub prompt: String,
    /// Model id, empty where unknown.
    pub model: String,
    /// Seed, where known.
    pub seed: Option<u64>,
    /// Whether the user gave it a star.
    pub starred: bool,
    /// Whether [`Library::record`] will find a recipe.
    pub has_recipe: bool,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("root", &self.inner.root)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Opens the gallery in `root`, making the folder where it is missing, and brings the index up to
    /// date with the files: after a crash, after the index was lost, or when pictures were copied in.
    ///
    /// # Errors
    /// `Io` when the folder cannot be written to.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let root =
            std::path::absolute(&root).map_err(|error| EngineError::io(&root, "open", &error))?;
        files::create_folder(&root)?;
        let index = Index::open(&root.join("index.sqlite"))?;
        let library = Self {
            inner: Arc::new(Inner {
                index: Mutex::new(index),
                stars: Stars::new(&root),
                root,
            }),
        };
        library.refresh()?;
        Ok(library)
    }

    /// The gallery's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Compares the index with the files and stars, and mends what differs. Cheap when little does:
    /// only new files are opened.
    ///
    /// # Errors
    /// `Io` when files or index cannot be read.
    pub fn refresh(&self) -> Result<()> {
        // Rows first: a picture that another program saves meanwhile then has no row yet, and is
        // added once more, instead of having a row but no file, and being dropped.
        let known = self.with_index(|index| index.paths())?;
        self.mend(&known)
    }

    /// Makes the whole index again from the files and the stars.
    ///
    /// # Errors
    /// `Io` when files or index cannot be read.
    pub fn rebuild(&self) -> Result<()> {
        self.with_index(|index| index.clear())?;
        self.mend(&BTreeSet::new())
    }

    fn mend(&self, known: &BTreeSet<String>) -> Result<()> {
        let scan = scan::scan(&self.inner.root);
        let now = SystemTime::now();
        for folder in &scan.folders {
            files::sweep_temps(folder, now);
        }
        let starred = self.inner.stars.read()?;
        let gone: Vec<String> = known.difference(&scan.pictures).cloned().collect();
        let new: Vec<&String> = scan.pictures.difference(known).collect();
        if !gone.is_empty() {
            self.with_index(|index| index.remove_rows(&gone))?;
        }
        for some in new.chunks(ROWS_AT_ONCE) {
            let rows: Vec<Row> = some
                .iter()
                .filter_map(|path| scan::row(&self.inner.root, path, starred.contains(*path)))
                .collect();
            self.with_index(|index| index.put(&rows))?;
        }
        self.with_index(|index| index.match_stars(&starred))
    }

    /// Lists pictures, newest first.
    ///
    /// # Errors
    /// `Io` when the index cannot be used.
    pub fn list(&self, query: &Query) -> Result<Page> {
        let (rows, total) = self.with_index(|index| {
            index.list(&query.text, query.starred_only, query.offset, query.limit)
        })?;
        Ok(Page {
            entries: rows.into_iter().map(|row| self.entry_of(row)).collect(),
            total,
        })
    }

    /// One picture of the gallery; `None` when it is not in it.
    ///
    /// # Errors
    /// `Io` when the index cannot be used.
    pub fn entry(&self, path: &Path) -> Result<Option<Entry>> {
        let Ok(relative) = self.relative(path) else {
            return Ok(None);
        };
        let row = self.with_index(|index| index.get(&relative))?;
        Ok(row.map(|row| self.entry_of(row)))
    }

    /// The recipe inside a picture file, which need not lie in the gallery.
    ///
    /// # Errors
    /// As [`read_record_file`].
    pub fn record(&self, path: &Path) -> Result<Option<FoundRecord>> {
        read_record_file(path)
    }

    /// Gives a picture a star, or takes it. Stars outlive the index.
    ///
    /// # Errors
    /// `InvalidRequest` for a path outside the gallery, `Io` when it cannot be written.
    pub fn set_star(&self, path: &Path, starred: bool) -> Result<()> {
        let relative = self.relative(path)?;
        self.inner.stars.set(&relative, starred)?;
        self.with_index(|index| index.set_star(&relative, starred))
    }

    fn entry_of(&self, row: Row) -> Entry {
        Entry {
            path: self.absolute(&row.path),
            created_unix_ms: row.created_ms,
            width_px: row.width_px,
            height_px: row.height_px,
            prompt: row.prompt,
            model: row.model,
            seed: row.seed,
            starred: row.starred,
            has_recipe: row.has_recipe,
        }
    }

    fn absolute(&self, relative: &str) -> PathBuf {
        self.inner.root.join(relative)
    }

    /// The index's key of a file: its path inside the gallery with `/` between folders.
    fn relative(&self, path: &Path) -> Result<String> {
        let inside = path.strip_prefix(&self.inner.root).unwrap_or(path);
        let mut parts = Vec::new();
        for part in inside.components() {
            match part {
                Component::Normal(name) if !scan::is_ours(name) => {
                    parts.push(name.to_str().ok_or_else(|| outside(path))?);
                }
                _ => return Err(outside(path)),
            }
        }
        if parts.is_empty() {
            return Err(outside(path));
        }
        Ok(parts.join("/"))
    }

    /// Works on the index; one that turns out to be broken is made again first.
    fn with_index<T>(&self, work: impl Fn(&mut Index) -> Result<T, IndexError>) -> Result<T> {
        let mut index = self.lock();
        match work(&mut index) {
            Ok(done) => return Ok(done),
            Err(error) if !error.broken => return Err(index.describe(&error)),
            Err(_) => {}
        }
        index.replace()?;
        drop(index);
        self.mend_new_index()?;
        let mut index = self.lock();
        work(&mut index).map_err(|error| index.describe(&error))
    }

    /// [`Self::mend`] of an index that was just emptied, without another try when that fails.
    fn mend_new_index(&self) -> Result<()> {
        let scan = scan::scan(&self.inner.root);
        let starred = self.inner.stars.read()?;
        let rows: Vec<Row> = scan
            .pictures
            .iter()
            .filter_map(|path| scan::row(&self.inner.root, path, starred.contains(path)))
            .collect();
        let mut index = self.lock();
        index.put(&rows).map_err(|error| index.describe(&error))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // A panic elsewhere leaves no half transaction: SQLite rolls it back.
        self.inner
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn outside(path: &Path) -> EngineError {
    EngineError::invalid("path", format!("{} is not in the gallery", path.display()))
}
