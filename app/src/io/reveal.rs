//! Shows a file in the system's file manager.

use std::path::Path;
use std::process::{Command, Stdio};

/// Opens the file manager at `path`: the file selected where the system can, else its folder.
///
/// # Errors
/// The system's, when the file manager's command cannot be started.
pub(super) fn show_in_folder(path: &Path) -> std::io::Result<()> {
    let mut command = command(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    // Waited for on the side, so that no dead process stays behind and no slow one holds us up.
    std::thread::Builder::new()
        .name("pentimento-reveal".to_owned())
        .spawn(move || {
            let _status_of_no_interest = child.wait().is_ok();
        })?;
    Ok(())
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
