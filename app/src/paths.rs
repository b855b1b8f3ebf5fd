//! Where pictures, models and program data lie: options first, then environment variables, then the
//! system's folders.

use std::ffi::OsString;
use std::path::PathBuf;

use directories::{ProjectDirs, UserDirs};

/// Environment variable with the gallery's folder.
pub const LIBRARY_VARIABLE: &str = "PENTIMENTO_LIBRARY";
/// Environment variable with the folder of program data.
pub const DATA_VARIABLE: &str = "PENTIMENTO_DATA";
/// Environment variable with folders of models, separated as in `PATH`.
pub const MODELS_VARIABLE: &str = "PENTIMENTO_MODELS";

/// Folders the program works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The gallery.
    pub library_dir: PathBuf,
    /// Program data: queue, settings, caches, and the default folder of models.
    pub data_dir: PathBuf,
    /// Folders searched for models; the first is the program's own.
    pub model_folders: Vec<PathBuf>,
    /// Folders searched for wildcard files; the first is the program's own.
    pub wildcard_folders: Vec<PathBuf>,
}

/// Folders named on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathOptions {
    /// The gallery.
    pub library_dir: Option<PathBuf>,
    /// Program data.
    pub data_dir: Option<PathBuf>,
    /// More folders of models.
    pub model_folders: Vec<PathBuf>,
    /// More folders of wildcard files.
    pub wildcard_folders: Vec<PathBuf>,
}

/// No folder can be told.
#[derive(Debug, thiserror::Error)]
#[error(
    "no home folder is known; set {LIBRARY_VARIABLE} and {DATA_VARIABLE} to folders to work in"
)]
pub struct NoHome;

impl Paths {
    /// Finds the folders; `variable` reads the environment. Nothing is created.
    ///
    /// # Errors
    /// [`NoHome`] when the system knows no home folder and nothing else names them.
    pub fn find(
        options: &PathOptions,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, NoHome> {
        let named = |option: &Option<PathBuf>, name: &str| {
            option.clone().or_else(|| {
                variable(name)
                    .filter(|value| !value.is_empty())
                    .map(PathBuf::from)
            })
        };
        let data_dir = match named(&options.data_dir, DATA_VARIABLE) {
            Some(folder) => folder,
            None => ProjectDirs::from("", "", "pentimento")
                .ok_or(NoHome)?
                .data_dir()
                .to_owned(),
        };
        let library_dir = match named(&options.library_dir, LIBRARY_VARIABLE) {
            Some(folder) => folder,
            None => pictures().ok_or(NoHome)?.join("Pentimento"),
        };
        let mut model_folders = vec![data_dir.join("models")];
        if let Some(list) = variable(MODELS_VARIABLE) {
            model_folders
                .extend(std::env::split_paths(&list).filter(|p| !p.as_os_str().is_empty()));
        }
        model_folders.extend(options.model_folders.iter().cloned());
        let mut wildcard_folders = vec![data_dir.join("wildcards")];
        wildcard_folders.extend(options.wildcard_folders.iter().cloned());
        Ok(Self {
            library_dir,
            data_dir,
            model_folders,
            wildcard_folders,
        })
    }
}

/// A path as people type it: spaces around it dropped, `~/` for the home folder, quotes and `file://`
/// of a pasted one removed.
pub fn typed_path(text: &str) -> PathBuf {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let text = quoted('"').or_else(|| quoted('\'')).unwrap_or(text);
    if let Some(address) = text.strip_prefix("file://") {
        return PathBuf::from(decoded(address));
    }
    match (text.strip_prefix("~/"), UserDirs::new()) {
        (Some(below), Some(user)) => user.home_dir().join(below),
        _ => PathBuf::from(text),
    }
}

/// The text behind `%20` and its like; anything else stays.
fn decoded(address: &str) -> String {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| address.to_owned())
}

/// The user's pictures; systems without a desktop name none.
fn pictures() -> Option<PathBuf> {
    let user = UserDirs::new()?;
    Some(
        user.picture_dir()
            .map_or_else(|| user.home_dir().join("Pictures"), PathBuf::from),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_paths_lose_what_is_not_theirs() {
        for text in [" /a/b c ", "'/a/b c'", "file:///a/b c", "\"/a/b c\""] {
            assert_eq!(typed_path(text), PathBuf::from("/a/b c"), "{text}");
        }
        assert!(typed_path("~/x").is_absolute() || UserDirs::new().is_none());
    }

    #[test]
    fn options_win_over_variables() {
        let variable = |name: &str| match name {
            LIBRARY_VARIABLE => Some(OsString::from("env-library")),
            DATA_VARIABLE => Some(OsString::from("env-data")),
            MODELS_VARIABLE => std::env::join_paths(["a", "", "b"]).ok(),
            _ => None,
        };
        let options = PathOptions {
            library_dir: Some("own".into()),
            data_dir: None,
            model_folders: vec!["c".into()],
            wildcard_folders: vec!["w".into()],
        };
        let paths = Paths::find(&options, variable).unwrap();
        assert_eq!(paths.library_dir, PathBuf::from("own"));
        assert_eq!(paths.data_dir, PathBuf::from("env-data"));
        let own = PathBuf::from("env-data").join("models");
        assert_eq!(
            paths.model_folders,
            [own, "a".into(), "b".into(), "c".into()]
        );
        let own = PathBuf::from("env-data").join("wildcards");
        assert_eq!(paths.wildcard_folders, [own, "w".into()]);
    }
}
