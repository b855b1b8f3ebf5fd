//! Files that are there whole or not at all: written beside their place under a hidden name,
//! synchronised, moved into place in one step, and the folder synchronised after them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{EngineError, Result};

/// Start of the names of files that are not finished.
pub(super) const TEMP_PREFIX: &str = ".pentimento-";
const TEMP_SUFFIX: &str = ".tmp";

/// After this time an unfinished file belongs to no living program.
const TEMP_MAX_AGE: Duration = Duration::from_secs(3600);

/// Writes a file of a new name. `Ok(false)`: the name is taken, nothing was written.
///
/// # Errors
/// `Io` naming the file.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let temp = write_temp(path, bytes)?;
    match temp.persist_noclobber(path) {
        Ok(_file) => sync_parent(path).map(|()| true),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(EngineError::io(path, "write", &failed.error)),
    }
}

/// Writes a file, replacing one of the same name. Whoever opens it sees the old one or the new one,
/// whole.
///
/// # Errors
/// `Io` naming the file; a file that was there before is then unharmed.
pub fn write_replacing(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = write_temp(path, bytes)?;
    match temp.persist(path) {
        Ok(_file) => sync_parent(path),
        Err(failed) => Err(EngineError::io(path, "write", &failed.error)),
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// `Io` naming the folder.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| match error.kind() {
        // What is there is no folder, or this would have been no error.
        io::ErrorKind::AlreadyExists => EngineError::io(
            path,
            "create",
            &io::Error::new(io::ErrorKind::NotADirectory, "a file has that name"),
        ),
        _ => EngineError::io(path, "create", &error),
    })
}

/// Makes a folder where it is missing and checks that files can be written to it, so that a long job
/// does not find out at its end.
///
/// # Errors
/// `Io` naming the folder.
pub fn check_folder(path: &Path) -> Result<()> {
    create_folder(path)?;
    let probe = write_temp(&path.join("probe"), b"probe");
    probe.map(drop).map_err(|error| match error {
        EngineError::Io { reason, remedy, .. } => EngineError::Io {
            path: path.to_owned(),
            action: "write to this folder".to_owned(),
            reason,
            remedy,
        },
        other => other,
    })
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn write_temp(path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile> {
    let failed = |error: io::Error| EngineError::io(path, "write", &error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX);
    // Pictures are for others to read as well, as far as the user's mask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temp = builder.tempfile_in(parent(path)).map_err(failed)?;
    temp.write_all(bytes).map_err(failed)?;
    temp.as_file().sync_all().map_err(failed)?;
    Ok(temp)
}

/// Makes a rename durable. Only Unix lets a folder be opened for that.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = parent(path);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| EngineError::io(folder, "write", &error))?;
    }
    Ok(())
}

/// Moves a file to a name that is not taken: `name.png`, else `name-2.png`, `name-3.png`… Returns
/// where it went.
///
/// # Errors
/// `Io` naming the file; it then lies where it was.
pub(super) fn move_to_free_name(from: &Path, wanted: &Path) -> Result<PathBuf> {
    if let Some(folder) = wanted.parent() {
        create_folder(folder)?;
    }
    for number in 1..10_000 {
        let to = numbered(wanted, number);
        // A hard link fails when the name is taken, where a rename would replace it.
        match fs::hard_link(from, &to) {
            Ok(()) => {
                fs::remove_file(from).map_err(|error| EngineError::io(from, "remove", &error))?;
                sync_parent(&to)?;
                return Ok(to);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(EngineError::io(from, "move", &error));
            }
            // File systems without links.
            Err(_) if to.exists() => {}
            Err(_) => {
                fs::rename(from, &to).map_err(|error| EngineError::io(from, "move", &error))?;
                sync_parent(&to)?;
                return Ok(to);
            }
        }
    }
    Err(EngineError::Io {
        path: wanted.to_owned(),
        action: "write".to_owned(),
        reason: "every name like it is taken".to_owned(),
        remedy: "choose another name".to_owned(),
    })
}

/// `name.png` for 1, `name-2.png` for 2…
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

/// Removes unfinished files that a killed program left in a folder an hour ago or longer.
pub(super) fn sweep_temps(folder: &Path, now: SystemTime) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX)) {
            continue;
        }
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > TEMP_MAX_AGE) {
            // Nobody waits for it; a failure only leaves it for the next time.
            drop(fs::remove_file(entry.path()));
        }
    }
}
