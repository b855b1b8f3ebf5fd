//! The files of the repository, read once a test.

use std::path::{Path, PathBuf};

/// One file: its path from the repository's root with `/`, and its text if it is text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `None` for binary files and anything above 2 MB.
    pub(crate) text: Option<String>,
}

impl File {
    /// A file for trying out a rule.
    pub(crate) fn example(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            bytes: text.len() as u64,
            text: Some(text.to_owned()),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("")
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests package lies in the repository")
        .to_owned()
}

/// All files but build output and git's own, sorted by path.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder can be read") {
            let entry = entry.expect("entry can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("entry has a type");
            if kind.is_dir() && !matches!(name.as_str(), "target" | ".git" | "__pycache__") {
                folders.push(entry.path());
            } else if kind.is_file() && name != ".git" {
                found.push(read(&root, &entry.path()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 30, "only {} files found", found.len());
    found
}

fn read(root: &Path, path: &Path) -> File {
    let relative = path.strip_prefix(root).expect("below the root");
    let bytes = path.metadata().expect("file has a size").len();
    let text = (bytes < 2_000_000)
        .then(|| std::fs::read(path).expect("file can be read"))
        .and_then(|data| String::from_utf8(data).ok());
    File {
        path: relative.to_string_lossy().replace('\\', "/"),
        bytes,
        text,
    }
}

/// The files below a folder.
pub(crate) fn below<'a>(files: &'a [File], folder: &str) -> impl Iterator<Item = &'a File> {
    let prefix = format!("{folder}/");
    files
        .iter()
        .filter(move |file| file.path.starts_with(&prefix))
}

/// Fails with all findings, one a line.
pub(crate) fn expect_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
