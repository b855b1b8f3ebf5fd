//! File dialogs, on their own thread. A dialog that is closed leads to nothing further; on a system
//! without any, the studio asks for the path itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::Answer;
use crate::studio::io_task::{Ask, IoReply, IoTask};
use crate::text::t;

/// What the raster loader reads.
const PICTURE_EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// A dialog that ends sooner was never seen by anybody: there is none on this system.
const NEVER_SHOWN: Duration = Duration::from_millis(200);
/// The same where only a desktop's portal could have shown one: asking a busy machine for it in vain
/// takes a while.
const NO_PORTAL: Duration = Duration::from_millis(1500);

/// Shows dialogs until the studio goes. What the user chose goes on to the file thread.
pub(super) fn serve(tasks: &Receiver<IoTask>, files: &Sender<IoTask>, answer: &Answer) {
    for task in tasks {
        let IoTask::Ask(ask) = task else {
            continue;
        };
        let began = Instant::now();
        let reply = match show(&ask) {
            Some(path) => match files.try_send(ask.with_path(path)) {
                Ok(()) => continue,
                Err(_full) => IoReply::Busy,
            },
            None if began.elapsed() < soonest_end() => IoReply::NoDialog(ask),
            None => continue,
        };
        if !answer.send(reply) {
            return;
        }
    }
}

/// How long a dialog that somebody closed was open at least.
fn soonest_end() -> Duration {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_zenity = std::env::split_paths(&path).any(|folder| folder.join("zenity").exists());
    if cfg!(target_os = "linux") && !has_zenity {
        NO_PORTAL
    } else {
        NEVER_SHOWN
    }
}

fn show(ask: &Ask) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new().set_title(ask.title());
    match ask {
        Ask::Picture | Ask::Mask { .. } => dialog
            .add_filter(t("dialog-pictures"), &PICTURE_EXTENSIONS)
            .pick_file(),
        Ask::CopyFile(_) | Ask::Save { .. } => dialog
            .add_filter(t("dialog-png"), &["png"])
            .set_file_name(ask.suggested_name())
            .save_file(),
        Ask::ModelFolder | Ask::LibraryFolder => dialog.pick_folder(),
    }
}
