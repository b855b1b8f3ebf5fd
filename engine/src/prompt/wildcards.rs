//! Wildcard files: lists of words for `__name__`, in the folders that the caller names.
//!
//! A `.txt` file holds one value a line, `#` begins a comment, and its name is its path below the
//! folder without extension. A `.json` or `.yaml` file holds a tree of lists whose names are the
//! paths of its keys. Only what lies in the folders is ever read, whatever a prompt names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dynamic::Wildcards;
use super::yaml_lists;

/// Longest file that is read, in bytes.
const MOST_BYTES: u64 = 8 << 20;
/// Files and lists that are known at once.
const MOST_NAMES: usize = 50_000;
/// Deepest folder that is looked into.
const DEEPEST: usize = 8;

/// The wildcard files of some folders.
#[derive(Debug, Default)]
pub struct WildcardFiles {
    /// By name; a name of an earlier folder wins.
    sources: BTreeMap<String, Source>,
    /// Folders that were looked into, as they are without links.
    seen: BTreeSet<PathBuf>,
}

#[derive(Debug)]
enum Source {
    /// A text file, read when it is asked for.
    Lines(PathBuf),
    /// A list of a tree.
    Values(Vec<String>),
}

impl WildcardFiles {
    /// Looks through folders; those that do not exist are empty. A file that cannot be read is left
    /// out: its name then shows as missing.
    pub fn open(folders: &[PathBuf]) -> Self {
        let mut files = Self::default();
        for folder in folders {
            files.add_folder(folder, "", 0);
        }
        files
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str, depth: usize) {
        let whole = folder.canonicalize();
        // Links may lead in circles.
        if !whole.is_ok_and(|whole| self.seen.insert(whole)) {
            return;
        }
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            let extension = path.extension().and_then(|ending| ending.to_str());
            let extension = extension.unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                if depth < DEEPEST {
                    let name = path.file_name().and_then(|name| name.to_str());
                    let prefix = format!("{prefix}{}/", name.unwrap_or(stem));
                    self.add_folder(&path, &prefix, depth + 1);
                }
                continue;
            }
            let name = format!("{prefix}{stem}");
            match extension.as_str() {
                "txt" => self.add(name, Source::Lines(path)),
                "json" => {
                    let tree = read(&path).and_then(|text| serde_json::from_str(&text).ok());
                    if let Some(tree) = tree {
                        self.add_tree(&tree, "", &name);
                    }
                }
                "yaml" | "yml" => {
                    for (key, values) in yaml_lists::read(&read(&path).unwrap_or_default()) {
                        let name = if key.is_empty() { name.clone() } else { key };
                        self.add(name, Source::Values(values));
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, name: String, source: Source) {
        if self.sources.len() < MOST_NAMES {
            self.sources.entry(name).or_insert(source);
        }
    }

    /// The lists of a JSON tree, which serde bounds in depth; `file` names a list at its root.
    fn add_tree(&mut self, tree: &Value, path: &str, file: &str) {
        let values: Vec<String> = match tree {
            Value::Object(children) => {
                for (key, child) in children {
                    let slash = if path.is_empty() { "" } else { "/" };
                    self.add_tree(child, &format!("{path}{slash}{key}"), file);
                }
                return;
            }
            Value::Array(items) => items.iter().filter_map(word).collect(),
            leaf => word(leaf).into_iter().collect(),
        };
        let name = if path.is_empty() { file } else { path };
        self.add(name.to_owned(), Source::Values(values));
    }
}

impl Wildcards for WildcardFiles {
    fn values(&self, pattern: &str) -> Vec<String> {
        let named = |name: &&String| matches(pattern, name);
        let sources = self.sources.iter().filter(|(name, _)| named(name));
        let mut values = Vec::new();
        for (_, source) in sources {
            match source {
                Source::Values(list) => values.extend(list.iter().cloned()),
                Source::Lines(path) => values.extend(lines(&read(path).unwrap_or_default())),
            }
        }
        values
    }
}

/// Values of a text file.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A file's text, where it is not too long; bytes that are no UTF-8 are replaced.
fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    // Opening a pipe would wait for whoever writes to it.
    let file = path.is_file().then(|| File::open(path).ok())??;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MOST_BYTES {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// Whether a pattern with `*` (any letters, also slashes) and `?` (one letter) fits, in either case.
fn matches(pattern: &str, name: &str) -> bool {
    let fold = |text: &str| -> Vec<char> { text.to_lowercase().chars().collect() };
    let (pattern, name) = (fold(pattern), fold(name));
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[from] => {
                (at, from) = (at + 1, from + 1);
            }
            _ => match star {
                Some((starred, taken)) => {
                    star = Some((starred, taken + 1));
                    (at, from) = (starred + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        for (pattern, name, fits) in [
            ("a", "a", true),
            ("A", "a", true),
            ("a", "ab", false),
            ("a*", "a/b", true),
            ("*b", "a/b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn files_trees_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("colour.txt", "\u{feff}red\n# no\n\n  green  \r\nblue");
        write("animals/cat.txt", "tabby");
        write(
            "tree.json",
            r#"{"plants": {"herb": ["mint", 3, null], "one": "x"}}"#,
        );
        write("list.json", r#"["p", "q"]"#);
        write(
            "trees.yaml",
            "wood:\n  hard:\n    - oak\n    - \"ash: old\"\n",
        );
        write("broken.json", "{");
        write("note.md", "no");
        let files = WildcardFiles::open(&[folder.path().to_owned(), "nowhere".into()]);
        let names: Vec<&str> = files.names().collect();
        assert_eq!(
            names,
            [
                "animals/cat",
                "colour",
                "list",
                "plants/herb",
                "plants/one",
                "wood/hard"
            ]
        );
        assert_eq!(files.values("colour"), ["red", "green", "blue"]);
        assert_eq!(files.values("animals/*"), ["tabby"]);
        assert_eq!(files.values("plants/*"), ["mint", "3", "x"]);
        assert_eq!(files.values("wood/hard"), ["oak", "ash: old"]);
        assert!(files.values("../colour").is_empty());
        assert!(files.values("none").is_empty());
    }
}
