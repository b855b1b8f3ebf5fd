//! Stars outlive the index: a journal of one JSON line a click, appended and synchronised, so that
//! two programs may write at once and a cut-off last line costs one click.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};

/// Longest journal that is read, in bytes: half a million clicks.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Line {
    /// Path inside the library, `/` between folders.
    picture: String,
    starred: bool,
}

/// The journal's file.
pub(super) struct Stars {
    path: PathBuf,
}

impl Stars {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            path: root.join("stars.jsonl"),
        }
    }

    /// Notes a click; it is on the disk when this returns.
    pub(super) fn set(&self, picture: &str, starred: bool) -> Result<()> {
        let failed = |error: std::io::Error| EngineError::io(&self.path, "write", &error);
        let line = Line {
            picture: picture.to_owned(),
            starred,
        };
        let json = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(failed)?;
        // The first newline ends a line that a crash cut off. One write, so that lines of two
        // programs do not mix.
        file.write_all(format!("\n{json}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(failed)
    }

    /// All pictures that are starred now. Lines that make no sense are skipped.
    pub(super) fn read(&self) -> Result<BTreeSet<String>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(file) => {
                file.take(MAX_BYTES)
                    .read_to_end(&mut bytes)
                    .map_err(|error| EngineError::io(&self.path, "read", &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(EngineError::io(&self.path, "read", &error)),
        }
        let mut starred = BTreeSet::new();
        for line in bytes.split(|&byte| byte == b'\n') {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) if line.starred => {
                    starred.insert(line.picture);
                }
                Ok(line) => {
                    starred.remove(&line.picture);
                }
                Err(_) => {}
            }
        }
        Ok(starred)
    }
}
