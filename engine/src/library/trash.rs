//! Deleting with a way back: pictures move into `.trash/` and stay there until they are purged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::date::unix_ms;
use super::files::{create_folder, move_to_free_name, sync_parent};
use super::sweep::blobs_of;
use super::{Library, scan};
use crate::error::{EngineError, Result};

/// Names one deletion, to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UndoToken(String);

impl Library {
    /// Deletes pictures of the gallery, all or none, so that [`Self::restore`] can bring them back.
    ///
    /// # Errors
    /// `InvalidRequest` for a path outside the gallery, `Io` for a file that cannot be moved; then
    /// all pictures are where they were.
    pub fn delete(&self, paths: &[PathBuf]) -> Result<UndoToken> {
        let relatives: Vec<String> = paths
            .iter()
            .map(|path| self.relative(path))
            .collect::<Result<_>>()?;
        let token = self.new_token()?;
        let bin = self.bin(&token);
        for relative in &relatives {
            if let Err(error) = into_bin(&self.absolute(relative), &bin.join(relative)) {
                self.restore(&token)?;
                return Err(error);
            }
        }
        self.with_index(|index| index.remove_rows(&relatives))?;
        Ok(token)
    }

    /// Brings the pictures of a deletion back, with their stars, and returns where they are: under
    /// another number where their name was taken meanwhile.
    ///
    /// # Errors
    /// `Io` when the deletion was purged, or a file cannot be moved; pictures that were moved before
    /// it are back.
    pub fn restore(&self, token: &UndoToken) -> Result<Vec<PathBuf>> {
        let bin = self.bin(token);
        if !bin.is_dir() {
            return Err(EngineError::Io {
                path: bin,
                action: "restore".to_owned(),
                reason: "these pictures are not in the trash any more".to_owned(),
                remedy: "look in a backup".to_owned(),
            });
        }
        let starred = self.inner.stars.read()?;
        let mut restored = Vec::new();
        for relative in scan::scan(&bin).pictures {
            let path = move_to_free_name(&bin.join(&relative), &self.absolute(&relative))?;
            let now = self.relative(&path)?;
            let star = starred.contains(&relative);
            if star && now != relative {
                self.inner.stars.set(&now, true)?;
            }
            if let Some(row) = scan::row(self.root(), &now, star) {
                self.with_index(|index| index.put(std::slice::from_ref(&row)))?;
            }
            restored.push(path);
        }
        // Empty folders are all that is left; a failure leaves them for the purge.
        drop(fs::remove_dir_all(&bin));
        Ok(restored)
    }

    /// Removes for good what was deleted longer than `older_than` ago, with the start pictures and
    /// masks that only it needed. Returns how many deletions.
    ///
    /// # Errors
    /// `Io` when the trash cannot be emptied.
    pub fn purge_trash(&self, older_than: Duration) -> Result<usize> {
        let limit = unix_ms(SystemTime::now()).saturating_sub(older_than.as_millis() as u64);
        let mut purged = 0;
        let mut blobs = BTreeSet::new();
        for entry in fs::read_dir(self.root().join(".trash"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let deleted_ms = name
                .to_str()
                .and_then(|name| name.split('-').next()?.parse::<u64>().ok());
            if deleted_ms.is_some_and(|deleted| deleted <= limit) {
                blobs.extend(blobs_of(&entry.path()));
                fs::remove_dir_all(entry.path())
                    .map_err(|error| EngineError::io(entry.path(), "remove", &error))?;
                purged += 1;
            }
        }
        self.sweep_blobs(&blobs, older_than)?;
        Ok(purged)
    }

    /// Makes the folder of a new deletion.
    fn new_token(&self) -> Result<UndoToken> {
        let trash = self.root().join(".trash");
        create_folder(&trash)?;
        let now = unix_ms(SystemTime::now());
        for number in 0.. {
            let token = UndoToken(format!("{now}-{number}"));
            match fs::create_dir(self.bin(&token)) {
                Ok(()) => return Ok(token),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(EngineError::io(trash, "write", &error)),
            }
        }
        Err(EngineError::invalid("trash", "it is full"))
    }

    /// Tokens may come back from a file: only their digits and dash become part of a path, and the
    /// last dash keeps an empty one from naming the whole trash.
    fn bin(&self, token: &UndoToken) -> PathBuf {
        let safe: String = token
            .0
            .chars()
            .filter(|letter| letter.is_ascii_digit() || *letter == '-')
            .collect();
        self.root().join(".trash").join(format!("{safe}-"))
    }
}

fn into_bin(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        create_folder(folder)?;
    }
    fs::rename(from, to).map_err(|error| EngineError::io(from, "delete", &error))?;
    sync_parent(to)?;
    sync_parent(from)
}
