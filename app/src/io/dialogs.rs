//! File dialogs, on their own thread. A dialog that is closed, or a system without any, leads to
//! nothing further.

use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender};

use super::Answer;
use crate::studio::io_task::{Ask, Chosen, IoReply, IoTask};
use crate::text::t;

/// What the raster loader reads.
const PICTURE_EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Shows dialogs until the studio goes. What the user chose goes on to the file thread.
pub(super) fn serve(tasks: &Receiver<IoTask>, files: &Sender<IoTask>, answer: &Answer) {
    for task in tasks {
        let IoTask::Ask(ask) = task else {
            continue;
        };
        let Some(next) = show(ask) else {
            continue;
        };
        if files.try_send(next).is_err() && !answer.send(IoReply::Busy) {
            return;
        }
    }
}

fn show(ask: Ask) -> Option<IoTask> {
    match ask {
        Ask::Picture => pick(t("dialog-open-picture")).map(IoTask::Open),
        Ask::Mask { size_px } => {
            pick(t("dialog-load-mask")).map(|path| IoTask::LoadMask { path, size_px })
        }
        Ask::CopyFile(from) => {
            let name = from.file_name().unwrap_or_default().to_string_lossy();
            rfd::FileDialog::new()
                .set_title(t("dialog-save-copy"))
                .add_filter(t("dialog-png"), &["png"])
                .set_file_name(name)
                .save_file()
                .map(|to| IoTask::CopyFile {
                    from,
                    to: with_png_extension(to),
                })
        }
        Ask::ModelFolder => pick_folder(t("dialog-model-folder"))
            .map(|folder| IoTask::Chose(Chosen::ModelFolder(folder))),
        Ask::LibraryFolder => pick_folder(t("dialog-library-folder"))
            .map(|folder| IoTask::Chose(Chosen::LibraryFolder(folder))),
        Ask::Save { pixels, name } => rfd::FileDialog::new()
            .set_title(t("dialog-save-copy"))
            .add_filter(t("dialog-png"), &["png"])
            .set_file_name(format!("{}.png", clean_name(&name)))
            .save_file()
            .map(|path| IoTask::Save {
                path: with_png_extension(path),
                pixels,
            }),
    }
}

fn pick(title: &str) -> Option<PathBuf> {
    rfd::FileDialog::new()
        .set_title(title)
        .add_filter(t("dialog-pictures"), &PICTURE_EXTENSIONS)
        .pick_file()
}

fn pick_folder(title: &str) -> Option<PathBuf> {
    rfd::FileDialog::new().set_title(title).pick_folder()
}

/// A title as a file name: no separators, nothing a file system refuses, not endless.
fn clean_name(name: &str) -> String {
    let cleaned: String = name
        .chars()
        .map(|letter| {
            if letter.is_control() || "/\\:*?\"<>|".contains(letter) {
                ' '
            } else {
                letter
            }
        })
        .take(80)
        .collect();
    let cleaned = cleaned.trim().trim_matches('.').trim();
    if cleaned.is_empty() {
        t("untitled").to_owned()
    } else {
        cleaned.to_owned()
    }
}

/// The file is a PNG, so its name says so.
fn with_png_extension(path: PathBuf) -> PathBuf {
    let is_png = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png {
        return path;
    }
    let mut name = path.into_os_string();
    name.push(".png");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names() {
        assert_eq!(clean_name("a red/blue fox?"), "a red blue fox");
        assert_eq!(clean_name("../.."), "/".replace('/', t("untitled")));
        assert_eq!(clean_name(&"x".repeat(500)).len(), 80);
        assert_eq!(
            with_png_extension(PathBuf::from("/a/v1.2")),
            PathBuf::from("/a/v1.2.png")
        );
        assert_eq!(
            with_png_extension(PathBuf::from("b.PNG")),
            PathBuf::from("b.PNG")
        );
    }
}
