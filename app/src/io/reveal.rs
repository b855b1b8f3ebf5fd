//! Shows a file in the system's file manager.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Answer;
use crate::studio::io_task::IoReply;

/// Opens the file manager at `path`: the file selected where the system can, else its folder. What
/// goes wrong is answered when it is known, and so is a file manager that ends with a failure.
pub(super) fn show_in_folder(path: PathBuf, answer: &Answer) {
    let answer = answer.clone();
    let failed = answer.clone();
    let shown = path.clone();
    // On the side, so that no dead process stays behind and no slow one holds the files up.
    let started = std::thread::Builder::new()
        .name("pentimento-reveal".to_owned())
        .spawn(move || {
            if let Err(reason) = run(&mut command(&path)) {
                answer.send(IoReply::NoFileManager { path, reason });
            }
        });
    if let Err(error) = started {
        failed.send(IoReply::NoFileManager {
            path: shown,
            reason: error.to_string(),
        });
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        // Windows' Explorer ends with 1 even when all is well.
        Ok(status) if status.success() || cfg!(windows) => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

#[cfg(target_os = "macos")]
fn command(path: &Path) -> Command {
    let mut command = Command::new("open");
    if path.is_dir() {
        command.arg(path);
    } else {
        command.arg("-R").arg(path);
    }
    command
}

#[cfg(target_os = "windows")]
fn command(path: &Path) -> Command {
    let mut command = Command::new("explorer");
    if path.is_dir() {
        command.arg(path);
    } else {
        let mut select = std::ffi::OsString::from("/select,");
        select.push(path);
        command.arg(select);
    }
    command
}

#[cfg(not(any(target_os = "macos", target_os = "windows")))]
fn command(path: &Path) -> Command {
    let folder = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    let mut command = Command::new("xdg-open");
    command.arg(folder);
    command
}
