//! The durable queue: a job is on disk before it starts, and leaves when it has ended. Every
//! program that runs has a folder of its own below `<data>/queue/`, held by a lock on a file in it;
//! what lies in a folder that nobody holds was left by a program that ended early.

pub mod line;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::client::{Request, UnfinishedJob};
use crate::error::{EngineError, Result};
use crate::event::JobId;
use crate::library::files::{create_folder, write_replacing};

const LOCK: &str = "lock";

/// What a job's file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    request: Request,
    /// Pictures that are finished and saved.
    done: u32,
    /// The library that holds the start picture and mask, if there are any.
    #[serde(default)]
    library: Option<String>,
}

/// This program's part of the queue on disk.
#[derive(Debug)]
pub struct Journal {
    root: PathBuf,
    own: PathBuf,
    /// Libraries of the jobs that were read: another may be in use when they go on.
    libraries: Mutex<BTreeSet<PathBuf>>,
    /// Held while the program lives; the system lets go of it even when the program is killed.
    _lock: File,
}

impl Journal {
    /// Opens `<data_dir>/queue`.
    ///
    /// # Errors
    /// `Io` when the folder cannot be written to.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let root = data_dir.join("queue");
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let own = root.join(format!(
            "{:016}-{}",
            started.as_micros(),
            std::process::id()
        ));
        create_folder(&own)?;
        let path = own.join(LOCK);
        let lock = File::create(&path).map_err(|error| EngineError::io(&path, "create", &error))?;
        lock.try_lock().map_err(|error| EngineError::Io {
            path,
            action: "lock".to_owned(),
            reason: error.to_string(),
            remedy: "choose a data folder on a local disk".to_owned(),
        })?;
        Ok(Self {
            root,
            own,
            libraries: Mutex::default(),
            _lock: lock,
        })
    }

    /// Puts a job on disk, with the library that holds its blobs.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn write(&self, job: JobId, request: &Request, library: &Path) -> Result<()> {
        self.put(
            job,
            &Entry {
                request: request.clone(),
                done: 0,
                library: request.recipe.start.as_ref().and_then(|_| noted(library)),
            },
        )
    }

    /// Notes how many of its pictures are done.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn advance(&self, job: JobId, request: &Request, done: u32) -> Result<()> {
        // Another library may be in use by now than when its blobs were put there.
        let library = read_entry(&self.file(job)).and_then(|before| before.library);
        self.put(
            job,
            &Entry {
                request: request.clone(),
                done,
                library,
            },
        )
    }

    fn put(&self, job: JobId, entry: &Entry) -> Result<()> {
        let bytes = serde_json::to_vec(entry).map_err(|error| EngineError::Internal {
            stage: "journaling a job".to_owned(),
            report: error.to_string(),
        })?;
        write_replacing(&self.file(job), &bytes)
    }

    /// Takes a job off the disk.
    pub fn remove(&self, job: JobId) {
        // A file that stays is offered as unfinished at the next start: harmless.
        let _stays = std::fs::remove_file(self.file(job)).is_err();
    }

    /// Jobs that programs left behind, oldest first. Files that cannot be read are left alone.
    pub fn unfinished(&self) -> Vec<UnfinishedJob> {
        let mut jobs = Vec::new();
        for folder in sorted_entries(&self.root) {
            if folder == self.own || is_held(&folder) {
                continue;
            }
            let mut files = sorted_entries(&folder);
            files.retain(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            });
            if files.is_empty() {
                // Nothing was left: the folder itself goes.
                let _stays = std::fs::remove_dir_all(&folder).is_err();
            }
            jobs.extend(files.iter().filter_map(|path| self.read(path)));
        }
        jobs
    }

    /// Where the blobs of those jobs lie.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let libraries = self.libraries.lock();
        let libraries = libraries.unwrap_or_else(PoisonError::into_inner);
        libraries.iter().cloned().collect()
    }

    /// Drops a job of [`Self::unfinished`].
    pub fn forget(&self, key: &str) {
        let inside = !key.contains("..") && key.split('/').count() == 2;
        if inside {
            let _gone = std::fs::remove_file(self.root.join(key)).is_err();
        }
    }

    fn read(&self, path: &Path) -> Option<UnfinishedJob> {
        let entry = read_entry(path)?;
        let mut request = entry.request;
        request.count = request
            .count
            .checked_sub(entry.done)
            .filter(|&left| left > 0)?;
        request.recipe.seed = request.recipe.seed.checked_add(u64::from(entry.done))?;
        if let Some(library) = entry.library {
            let libraries = self.libraries.lock();
            libraries
                .unwrap_or_else(PoisonError::into_inner)
                .insert(library.into());
        }
        let key = path.strip_prefix(&self.root).ok()?;
        let key = key
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        request.resumes = Some(key.clone());
        Some(UnfinishedJob { key, request })
    }

    fn file(&self, job: JobId) -> PathBuf {
        self.own.join(format!("{:08}.json", job.0))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Succeeds only when no job is left in it.
        let empty = sorted_entries(&self.own)
            .iter()
            .all(|path| path.ends_with(LOCK));
        if empty {
            let _stays = std::fs::remove_dir_all(&self.own).is_err();
        }
    }
}

/// A folder as the journal notes it: it may be read from another working folder. `None` of a name that is no Unicode,
/// which JSON does not hold.
fn noted(folder: &Path) -> Option<String> {
    let whole = std::path::absolute(folder).ok()?;
    Some(whole.to_str()?.to_owned())
}

fn read_entry(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn is_held(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(_) => false,
    }
}

fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}
