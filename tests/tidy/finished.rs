//! Nothing half done: no placeholders, no tests that never run, no names of one machine or one model.

use crate::source::{code, lines_with};
use crate::tree::{self, File, expect_none};

fn unfinished(files: &[File]) -> Vec<String> {
    // Spelled in two parts, so that this file does not find itself.
    let in_code = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
    ];
    let anywhere = [concat!("FIX", "ME"), concat!("X", "XX")];
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() || file.path.ends_with(".py"))
    {
        let code = code(file.text(), true);
        for word in in_code {
            found.extend(
                lines_with(&code, word)
                    .iter()
                    .map(|n| format!("{}:{n}: {word}", file.path)),
            );
        }
        for word in anywhere {
            found.extend(
                lines_with(file.text(), word)
                    .iter()
                    .map(|n| format!("{}:{n}: {word}", file.path)),
            );
        }
    }
    found
}

#[test]
fn nothing_is_left_for_later() {
    let text = concat!(
        "fn a() { todo",
        "!() }\n#[ig",
        "nore = \"slow\"]\n// FIX",
        "ME\n"
    );
    assert_eq!(unfinished(&[File::example("a.rs", text)]).len(), 3);
    expect_none("unfinished", &unfinished(&tree::files()));
}

fn machine_paths(files: &[File]) -> Vec<String> {
    let places = ["/work/", "/root/", "/home/", "/farm/", "/Users/"];
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with(".lock")) {
        for (number, line) in file.text().lines().enumerate() {
            let hit = places.iter().any(|place| {
                line.match_indices(place).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + place.len()..].chars().next();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-}>".contains(c))
                        && after.is_some_and(|c| c.is_ascii_alphabetic() || c == '.')
                })
            });
            if hit {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let text = concat!(
        "see /wo",
        "rk/target\nhttps://a.example/home/x\n$HOME/home/y\n"
    );
    assert_eq!(machine_paths(&[File::example("a.md", text)]).len(), 1);
    let mut files = tree::files();
    files.retain(|file| file.path != "tests/tidy/finished.rs");
    expect_none("paths of one machine", &machine_paths(&files));
}

/// The starter model may be replaced by files alone: the engine must not know its name, and the app
/// only where it is embedded.
fn starter_names(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with("engine/src/"))
    {
        let code = code(file.text(), true);
        for (number, line) in code.lines().enumerate() {
            if line.to_lowercase().contains("\"starter") || line.contains("assets/starter") {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn the_engine_does_not_know_the_starter_model() {
    assert_eq!(
        starter_names(&[File::example("engine/src/a.rs", "if id == \"starter\" {}")]).len(),
        1
    );
    expect_none(
        "the starter model is named in the engine",
        &starter_names(&tree::files()),
    );
}

/// Examples in the documentation are not run by the test runner: they must be marked as text.
fn unrun_examples(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let mut inside = false;
        for (number, line) in file.text().lines().enumerate() {
            let line = line.trim_start();
            let Some(doc) = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"))
            else {
                inside = false;
                continue;
            };
            let Some(kind) = doc.trim_start().strip_prefix("```") else {
                continue;
            };
            if !inside && (kind.is_empty() || kind.starts_with("rust")) {
                found.push(format!("{}:{}", file.path, number + 1));
            }
            inside = !inside;
        }
    }
    found
}

#[test]
fn examples_in_documentation_are_text_or_tests() {
    let text = "/// ```\n/// x\n/// ```\n/// ```text\n/// y\n/// ```\n";
    assert_eq!(
        unrun_examples(&[File::example("a.rs", text)]),
        vec!["a.rs:1"]
    );
    expect_none(
        "examples that no test runs",
        &unrun_examples(&tree::files()),
    );
}
