//! A model's hash: that of its file, or for a folder SHA-256 over the sorted lines `path\0sha256\n` of
//! the files that are loaded. Cached by the files' lengths and times of change, since large models take seconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::scan::Found;
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

    /// Keeps a hash. That it could not be written costs time at the next start, nothing else.
    pub fn put(&mut self, model: &Found, sha256: &str) {
        let known = Known {
            stamp: model.stamp.clone(),
            sha256: sha256.to_owned(),
        };
        self.known.insert(key(model), known);
        if let Ok(bytes) = serde_json::to_vec(&self.known) {
            let _unsaved = write_replacing(&self.path, &bytes).is_err();
        }
    }
}

fn key(model: &Found) -> String {
    model.files.label("").to_string_lossy().into_owned()
}

/// Hashes a model's files.
///
/// # Errors
/// `Cancelled`, or what made a file unreadable.
pub fn hash_model(model: &Found, cancel: &CancelToken) -> Result<String> {
    if let Some(path) = model.files.single_path() {
        return hash_source(&ByteSource::open(path)?, cancel);
    }
    let mut lines = String::new();
    for name in &model.loaded {
        let sha256 = hash_source(&model.files.open_aside(name)?, cancel)?;
        lines.push_str(&format!("{name}\0{sha256}\n"));
    }
    Ok(sha256_hex(lines.as_bytes()))
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
