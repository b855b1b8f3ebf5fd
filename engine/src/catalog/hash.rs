//! A model's hash: that of its file, or for a folder SHA-256 over the sorted lines `path\0sha256\n` of
//! the files that are loaded. Cached by the files' lengths and times of change, since large models take seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::scan::{Found, facts_of};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::hash::sha256_hex;
use crate::library::files::write_replacing;
use crate::weights::files::ByteSource;

/// Hashes of one data folder.
#[derive(Debug)]
pub struct HashCache {
    path: PathBuf,
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    stamp: Vec<(String, u64, u128)>,
    sha256: String,
}

impl HashCache {
    /// Reads `hashes.json` in the data folder; a missing or broken one is an empty cache.
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("hashes.json");
        let known = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            known: known.unwrap_or_default(),
        }
    }

    /// The hash, if these very files were hashed before.
    pub fn get(&self, model: &Found) -> Option<String> {
        let known = self.known.get(&key(model))?;
        (known.stamp == model.stamp).then(|| known.sha256.clone())
    }

    /// As [`Self::get`], for a file that is no model.
    pub fn get_file(&self, path: &Path) -> Option<String> {
        let known = self.known.get(path.to_string_lossy().as_ref())?;
        (known.stamp == file_stamp(path)).then(|| known.sha256.clone())
    }

    /// As [`Self::put`], for a file that is no model.
    pub fn put_file(&mut self, path: &Path, sha256: &str) {
        self.keep(
            path.to_string_lossy().into_owned(),
            Known {
                stamp: file_stamp(path),
                sha256: sha256.to_owned(),
            },
        );
    }

    /// Keeps a hash. That it could not be written costs time at the next start, nothing else.
    pub fn put(&mut self, model: &Found, sha256: &str) {
        let known = Known {
            stamp: model.stamp.clone(),
            sha256: sha256.to_owned(),
        };
        self.keep(key(model), known);
    }

    fn keep(&mut self, key: String, known: Known) {
        self.known.insert(key, known);
        if let Ok(bytes) = serde_json::to_vec(&self.known) {
            let _unsaved = write_replacing(&self.path, &bytes).is_err();
        }
    }
}

fn key(model: &Found) -> String {
    model.files.label("").to_string_lossy().into_owned()
}

/// A file's name, length and time of change.
fn file_stamp(path: &Path) -> Vec<(String, u64, u128)> {
    let facts = facts_of(path);
    let stamp = facts.map(|(len, changed)| (path.to_string_lossy().into_owned(), len, changed));
    stamp.into_iter().collect()
}

/// Hashes a model's files.
///
/// # Errors
/// `Cancelled`, or what made a file unreadable.
pub fn hash_model(model: &Found, cancel: &CancelToken) -> Result<String> {
    if let Some(path) = model.files.single_path() {
        return hash_file(path, cancel);
    }
    let mut lines = String::new();
    for name in &model.loaded {
        let sha256 = hash_source(&model.files.open_aside(name)?, cancel)?;
        lines.push_str(&format!("{name}\0{sha256}\n"));
    }
    Ok(sha256_hex(lines.as_bytes()))
}

/// Hashes a file.
///
/// # Errors
/// `Cancelled`, or what made it unreadable.
pub fn hash_file(path: &Path, cancel: &CancelToken) -> Result<String> {
    hash_source(&ByteSource::open(path)?, cancel)
}

fn hash_source(source: &ByteSource, cancel: &CancelToken) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < source.len() {
        cancel.check()?;
        let count = buffer.len().min((source.len() - offset) as usize);
        source.read_at(offset, &mut buffer[..count])?;
        hasher.update(&buffer[..count]);
        offset += count as u64;
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
