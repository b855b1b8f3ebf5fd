//! Finished pictures to files: in the gallery by day, in a folder by number, or under a given name.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::date::{folder_name, unix_ms};
use super::files::{create_folder, write_new, write_replacing};
use super::{Library, scan};
use crate::error::{EngineError, Result};
use crate::raster::Picture;
use crate::recipe::{Record, encode_png_with_record};

/// Tries to find a free number before giving up: other programs may take the same ones.
const TRIES: u32 = 10_000;

impl Library {
    /// Saves a picture with its record inside as `<library>/<day>/<number>-<seed>.png`, the day in UTC.
    /// When this returns, the file is whole and on the disk. It is never seen half-written, and no
    /// other file is replaced.
    ///
    /// # Errors
    /// `Io` naming the file, with the remedy.
    pub fn save_picture(&self, picture: &Picture, record: &Record) -> Result<PathBuf> {
        let made_ms = match record.outcome.finished_unix_ms {
            0 => unix_ms(SystemTime::now()),
            known => known,
        };
        let folder = self.root().join(folder_name(made_ms));
        let path = save_to_folder(&folder, picture, record)?;
        let relative = self.relative(&path)?;
        if let Some(row) = scan::row(self.root(), &relative, false) {
            // The picture is safe already. A row that could not be written is added when the gallery
            // is next opened.
            drop(self.with_index(|index| index.put(std::slice::from_ref(&row))));
        }
        Ok(path)
    }
}

/// Saves a picture with its record inside as `<folder>/<number>-<seed>.png`, the number one above the
/// highest there, the folder made where it is missing. Whole or not at all; replaces nothing.
///
/// # Errors
/// `Io` naming the file, with the remedy.
pub fn save_to_folder(folder: &Path, picture: &Picture, record: &Record) -> Result<PathBuf> {
    create_folder(folder)?;
    let file = encode_png_with_record(picture, record)?;
    let first = highest_number(folder) + 1;
    for number in first..first + TRIES {
        let path = folder.join(format!("{number:05}-{}.png", record.recipe.seed));
        if write_new(&path, &file)? {
            return Ok(path);
        }
    }
    Err(EngineError::Io {
        path: folder.to_owned(),
        action: "write".to_owned(),
        reason: "no number is free for another picture".to_owned(),
        remedy: "choose another folder".to_owned(),
    })
}

/// Saves a picture with its record inside under this very name, replacing a file of that name in one
/// step. The folder is made where it is missing.
///
/// # Errors
/// `Io` naming the file, with the remedy.
pub fn save_to_file(path: &Path, picture: &Picture, record: &Record) -> Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        create_folder(folder)?;
    }
    write_replacing(path, &encode_png_with_record(picture, record)?)
}

/// The highest number that a file name in the folder starts with, 0 when there is none.
fn highest_number(folder: &Path) -> u32 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let (number, _) = name.to_str()?.split_once('-')?;
            // Longer runs of digits are dates and times of other programs.
            (number.len() <= 6).then(|| number.parse().ok())?
        })
        .max()
        .unwrap_or(0)
}
