//! What a dialog is titled, which file name it suggests, and what is done with the path it gives.

use std::path::{Path, PathBuf};

use super::io_task::{Ask, Chosen, IoTask};
use crate::text::t;

impl Ask {
    /// The dialog's title.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Picture => t("dialog-open-picture"),
            Self::Mask { .. } => t("dialog-load-mask"),
            Self::Save { .. } | Self::CopyFile(_) => t("dialog-save-copy"),
            Self::ModelFolder => t("dialog-model-folder"),
            Self::LibraryFolder => t("dialog-library-folder"),
        }
    }

    /// The file name a dialog for saving begins with; empty for the others.
    pub fn suggested_name(&self) -> String {
        match self {
            Self::Save { name, .. } => format!("{}.png", clean_name(name)),
            Self::CopyFile(from) => file_name(from),
            _ => String::new(),
        }
    }

    /// As [`Self::with_path`], for a path that was typed: where a dialog would have asked before
    /// replacing a file, a free name is taken.
    pub fn with_typed_path(self, path: PathBuf) -> IoTask {
        match self {
            Self::Save { .. } | Self::CopyFile(_) => {
                self.with_path(unused(with_png_extension(path)))
            }
            _ => self.with_path(path),
        }
    }

    /// What is to be done with the path that was chosen.
    pub fn with_path(self, path: PathBuf) -> IoTask {
        match self {
            Self::Picture => IoTask::Open(path),
            Self::Mask { size_px } => IoTask::LoadMask { path, size_px },
            Self::Save { pixels, .. } => IoTask::Save {
                path: with_png_extension(path),
                pixels,
            },
            Self::CopyFile(from) => IoTask::CopyFile {
                from,
                to: with_png_extension(path),
            },
            Self::ModelFolder => IoTask::Chose(Chosen::ModelFolder(path)),
            Self::LibraryFolder => IoTask::Chose(Chosen::LibraryFolder(path)),
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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
    // A dialog asked about the name without it.
    unused(PathBuf::from(name))
}

/// The path, or where a file has it already, with the first number behind it that is free.
fn unused(path: PathBuf) -> PathBuf {
    if !path.exists() {
        return path;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let numbered = |number: u32| path.with_file_name(format!("{stem} ({number}).{extension}"));
    let free = (2..1000).map(numbered).find(|path| !path.exists());
    free.unwrap_or(path)
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

    #[test]
    fn a_typed_path_replaces_no_file() {
        let folder = tempfile::TempDir::new().expect("temporary folder");
        let taken = folder.path().join("a.png");
        assert_eq!(unused(taken.clone()), taken);
        std::fs::write(&taken, "kept").expect("file");
        let free = folder.path().join("a (2).png");
        assert_eq!(unused(taken.clone()), free);
        let ask = Ask::CopyFile(PathBuf::from("b.png"));
        match ask.with_typed_path(folder.path().join("a")) {
            IoTask::CopyFile { to, .. } => assert_eq!(to, free),
            other => panic!("{other:?}"),
        }
    }
}
