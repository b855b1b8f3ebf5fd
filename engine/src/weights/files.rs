//! Where a model's bytes come from: a folder on disk, a single file, or the program itself. All reads are
//! positional and bounded; user files are never memory-mapped (a file truncated or unplugged
//! meanwhile would kill the process).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::engine::EmbeddedModel;
use crate::error::{EngineError, Result};

/// Limit for configuration files; real ones have a few kilobytes.
const CONFIG_LIMIT_BYTES: u64 = 4 << 20;
/// Limit for tokenizer files; the largest published ones have about 30 MB.
const TOKENIZER_LIMIT_BYTES: u64 = 64 << 20;

/// The files of one model, by path relative to its folder (`/` as separator). Remembers which were
/// opened: those are what the model's hash covers.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    place: Place,
    opened: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Embedded(EmbeddedModel),
    Single(Arc<Single>),
}

/// A whole model in one file, shown as the folder it would be in the diffusers layout.
#[derive(Debug)]
struct Single {
    path: PathBuf,
    /// The small files of that folder, made from what the file's header says.
    made: BTreeMap<String, Arc<[u8]>>,
    /// Folders that it does not hold.
    lent: Option<Lent>,
}

/// Folders of another model that stand in for those that a file does not hold.
#[derive(Debug)]
struct Lent {
    folders: BTreeSet<String>,
    by: ModelFiles,
}

impl ModelFiles {
    /// A folder in the diffusers layout.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Folder(path.into()),
            opened: Arc::default(),
        }
    }

    /// A model carried inside the program.
    pub fn embedded(model: EmbeddedModel) -> Self {
        Self {
            place: Place::Embedded(model),
            opened: Arc::default(),
        }
    }

    /// A whole model in one file. `made` are the configuration and tokenizer files of its folder in
    /// the diffusers layout, by relative path.
    pub fn single(path: impl Into<PathBuf>, made: BTreeMap<String, Arc<[u8]>>) -> Self {
        Self::of_file(path.into(), made, None)
    }

    /// As [`Self::single`], of a file that does not hold these folders: `by` lends its own.
    pub fn single_with(
        path: impl Into<PathBuf>,
        made: BTreeMap<String, Arc<[u8]>>,
        folders: impl IntoIterator<Item = String>,
        by: &Self,
    ) -> Self {
        let lent = Lent {
            folders: folders.into_iter().collect(),
            by: by.clone(),
        };
        Self::of_file(path.into(), made, Some(lent))
    }

    fn of_file(path: PathBuf, made: BTreeMap<String, Arc<[u8]>>, lent: Option<Lent>) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            opened: Arc::new(Mutex::new(BTreeSet::from([name.into_owned()]))),
            place: Place::Single(Arc::new(Single { path, made, lent })),
        }
    }

    /// Whose a folder or a file in it is: another model's where this one does not hold it.
    pub fn holder(&self, relative: &str) -> &Self {
        let folder = relative.split('/').next().unwrap_or_default();
        match &self.place {
            Place::Single(single) => {
                let lent = single.lent.as_ref();
                let lent = lent.filter(|lent| lent.folders.contains(folder));
                lent.map_or(self, |lent| &lent.by)
            }
            Place::Folder(_) | Place::Embedded(_) => self,
        }
    }

    /// As [`Self::holder`], where that is another model.
    fn lender(&self, relative: &str) -> Option<&Self> {
        let holder = self.holder(relative);
        (!std::ptr::eq(holder, self)).then_some(holder)
    }

    /// The folder or single file; `None` for a model inside the program.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Single(single) => Some(&single.path),
            Place::Embedded(_) => None,
        }
    }

    /// The file of a single-file model.
    pub fn single_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Single(single) => Some(&single.path),
            Place::Folder(_) | Place::Embedded(_) => None,
        }
    }

    /// Relative paths of the files opened so far, sorted.
    pub fn opened(&self) -> Vec<String> {
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// A name for messages: the path on disk, or `built-in:id/path`.
    pub fn label(&self, relative: &str) -> PathBuf {
        if let Some(lender) = self.lender(relative) {
            return lender.label(relative);
        }
        match &self.place {
            Place::Folder(folder) => folder.join(relative),
            // What is wrong with a made file is wrong with the file it was made from.
            Place::Single(single) => single.path.clone(),
            Place::Embedded(model) => PathBuf::from(format!("built-in:{}/{relative}", model.id)),
        }
    }

    /// Whether the file is there.
    pub fn exists(&self, relative: &str) -> bool {
        if let Some(lender) = self.lender(relative) {
            return lender.exists(relative);
        }
        match &self.place {
            Place::Folder(folder) => folder.join(relative).is_file(),
            Place::Single(single) => single.made.contains_key(relative),
            Place::Embedded(model) => model.files.iter().any(|(name, _)| *name == relative),
        }
    }

    /// Opens a file for positional reads.
    ///
    /// # Errors
    /// `BadFile` when it is missing, `Io` when it cannot be opened.
    pub fn open(&self, relative: &str) -> Result<ByteSource> {
        if let Some(lender) = self.lender(relative) {
            return lender.open(relative);
        }
        let source = self.open_aside(relative)?;
        if self.single_path().is_some() {
            return Ok(source); // the one file counts as opened from the start
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(relative.to_owned());
        Ok(source)
    }

    /// As [`Self::open`], for files that decide no pixel: the model's hash does not cover them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_aside(&self, relative: &str) -> Result<ByteSource> {
        if let Some(lender) = self.lender(relative) {
            return lender.open_aside(relative);
        }
        let label = self.label(relative);
        match &self.place {
            Place::Folder(_) => ByteSource::open(&label),
            Place::Single(single) => match single.made.get(relative) {
                Some(bytes) => Ok(ByteSource {
                    label,
                    origin: Origin::Shared(Arc::clone(bytes)),
                }),
                None => ByteSource::open(&label),
            },
            Place::Embedded(model) => model
                .files
                .iter()
                .find(|(name, _)| *name == relative)
                .map(|(_, bytes)| ByteSource {
                    label: label.clone(),
                    origin: Origin::Static(bytes),
                })
                .ok_or_else(|| missing(&label)),
        }
    }

    /// A whole configuration file as JSON.
    ///
    /// # Errors
    /// `BadFile` when it is missing, too large or not a JSON object.
    pub fn config(&self, relative: &str) -> Result<serde_json::Map<String, serde_json::Value>> {
        let bytes = self.open(relative)?.read_all(CONFIG_LIMIT_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            EngineError::bad_file(
                self.label(relative),
                format!("not a JSON object ({error})"),
                "copy the file again from where the model came from",
            )
        })
    }

    /// A whole tokenizer file.
    ///
    /// # Errors
    /// `BadFile` when it is missing or too large.
    pub fn tokenizer_file(&self, relative: &str) -> Result<Vec<u8>> {
        self.open(relative)?.read_all(TOKENIZER_LIMIT_BYTES)
    }
}

fn missing(path: &Path) -> EngineError {
    EngineError::bad_file(
        path,
        "the file is missing",
        "copy the whole model folder again, with all its parts",
    )
}

/// An open file or a piece of the program, read at positions.
#[derive(Debug)]
pub struct ByteSource {
    label: PathBuf,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    File {
        file: File,
        len: u64,
        /// Of the last change, where the system says.
        changed: Option<SystemTime>,
    },
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
}

impl ByteSource {
    /// Opens a regular file.
    ///
    /// # Errors
    /// `BadFile` when it is missing or no regular file, `Io` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(path),
            _ => EngineError::io(path, "open", &error),
        })?;
        let facts = file
            .metadata()
            .map_err(|error| EngineError::io(path, "read", &error))?;
        if !facts.is_file() {
            return Err(EngineError::bad_file(
                path,
                "not a regular file",
                "choose a model file",
            ));
        }
        Ok(Self {
            label: path.to_owned(),
            origin: Origin::File {
                file,
                len: facts.len(),
                changed: facts.modified().ok(),
            },
        })
    }

    /// The name for messages.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Length in bytes when it was opened.
    pub fn len(&self) -> u64 {
        match &self.origin {
            Origin::File { len, .. } => *len,
            Origin::Static(bytes) => bytes.len() as u64,
            Origin::Shared(bytes) => bytes.len() as u64,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is still what was opened: for reads that come long after the checks.
    ///
    /// # Errors
    /// `BadFile` when the file was written to meanwhile, `Io` when the system does not say.
    pub fn check_unchanged(&self) -> Result<()> {
        let Origin::File { file, len, changed } = &self.origin else {
            return Ok(());
        };
        let facts = file
            .metadata()
            .map_err(|error| EngineError::io(&self.label, "read", &error))?;
        if facts.len() == *len && facts.modified().ok() == *changed {
            return Ok(());
        }
        Err(EngineError::bad_file(
            &self.label,
            "the file was changed while its model was in use",
            "make the picture again: the model is loaded anew then",
        ))
    }

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// `BadFile` when the file ends before, `Io` when reading fails.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut copy_from = |bytes: &[u8]| {
            let part = usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(buffer.len())?))
                .ok_or_else(|| self.cut_short(offset, buffer.len()))?;
            buffer.copy_from_slice(part);
            Ok(())
        };
        match &self.origin {
            Origin::Static(bytes) => copy_from(bytes),
            Origin::Shared(bytes) => copy_from(bytes),
            Origin::File { file, .. } => read_exact_at(file, buffer, offset).map_err(|error| {
                if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    self.cut_short(offset, buffer.len())
                } else {
                    EngineError::io(&self.label, "read", &error)
                }
            }),
        }
    }

    /// The whole content, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// `BadFile` when it is larger or cut short, `Io` when reading fails.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>> {
        if self.len() > limit {
            return Err(EngineError::bad_file(
                &self.label,
                format!(
                    "{} bytes, more than the {limit} such a file may have",
                    self.len()
                ),
                "this is not the file its name says: copy it again",
            ));
        }
        let mut buffer = vec![0; self.len() as usize];
        self.read_at(0, &mut buffer)?;
        Ok(buffer)
    }

    fn cut_short(&self, offset: u64, wanted: usize) -> EngineError {
        EngineError::bad_file(
            &self.label,
            format!(
                "the file ends before byte {}",
                offset.saturating_add(wanted as u64)
            ),
            "it was cut off while copying: copy or download it again",
        )
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}
