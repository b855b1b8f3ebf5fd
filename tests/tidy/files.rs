//! Shape of the files: length, a module doc on top, no orphan, fixtures with their scripts, small enough.

use crate::tree::{self, File, below, expect_none};

const MOST_LINES: usize = 600;
/// Networks that follow a published original, and tables of names.
const MOST_LINES_OF_NETWORKS: usize = 900;
const NETWORKS: [&str; 2] = ["engine/src/families/", "engine/src/weights/names/"];

fn too_long(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust() || file.path.ends_with(".py"))
        // The starter's making is a record of what was run, kept as it was.
        .filter(|file| !file.path.starts_with("assets/starter/"))
        .filter_map(|file| {
            let lines = file.text().lines().count();
            let network = NETWORKS.iter().any(|folder| file.path.starts_with(folder));
            let most = if network {
                MOST_LINES_OF_NETWORKS
            } else {
                MOST_LINES
            };
            (lines > most).then(|| format!("{}: {lines} lines, at most {most}", file.path))
        })
        .collect()
}

#[test]
fn no_file_is_too_long() {
    let long = "x\n".repeat(601);
    let examples = [
        File::example("app/src/a.rs", &long),
        File::example("engine/src/families/x/unet.rs", &long),
    ];
    assert_eq!(too_long(&examples).len(), 1);
    expect_none("files are too long", &too_long(&tree::files()));
}

fn without_doc(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.is_rust())
        .filter(|file| !file.text().trim_start().starts_with("//!"))
        .map(|file| file.path.clone())
        .collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_eq!(
        without_doc(&[File::example("app/src/a.rs", "fn a() {}")]).len(),
        1
    );
    expect_none(
        "files without a module doc at the top",
        &without_doc(&tree::files()),
    );
}

/// Rust files that no `mod` line of their parent names: they would never be compiled.
fn orphans(files: &[File]) -> Vec<String> {
    let roots = ["main.rs", "lib.rs", "build.rs"];
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        if roots.contains(&name) {
            continue;
        }
        let (module, home) = match name.strip_suffix(".rs") {
            Some("mod") => folder
                .rsplit_once('/')
                .map_or((folder, ""), |(up, last)| (last, up)),
            Some(stem) => (stem, folder),
            None => continue,
        };
        let parents = [
            format!("{home}/main.rs"),
            format!("{home}/lib.rs"),
            format!("{home}/mod.rs"),
            format!("{home}.rs"),
        ];
        let line = format!("mod {module};");
        let path_line = format!("#[path = \"{name}\"]");
        let named = files.iter().any(|other| {
            // The usual way, or under another name from the file beside it.
            let usual = parents.contains(&other.path)
                && other.text().lines().any(|text| {
                    let declaration = text.trim().trim_end_matches(|c| c != ';');
                    declaration.ends_with(&line)
                });
            let beside = other.path.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
            usual || (beside && other.is_rust() && other.text().contains(&path_line))
        });
        if !named {
            found.push(format!("{}: no `{line}` beside it", file.path));
        }
    }
    found
}

#[test]
fn every_file_is_compiled() {
    let examples = [
        File::example(
            "app/src/lib.rs",
            "//! x\npub mod a; // first\npub(crate) mod b;\n",
        ),
        File::example("app/src/a.rs", ""),
        File::example("app/src/b/mod.rs", "mod c;"),
        File::example("app/src/b/c.rs", ""),
        File::example("app/src/b/forgotten.rs", ""),
    ];
    let found = orphans(&examples);
    assert!(
        found.len() == 1 && found[0].contains("forgotten"),
        "{found:?}"
    );
    expect_none("files that are never compiled", &orphans(&tree::files()));
}

fn without_script(files: &[File]) -> Vec<String> {
    let mut folders: Vec<&str> = below(files, "tests/fixtures")
        .filter_map(|file| {
            file.path
                .split('/')
                .nth(2)
                .filter(|_| file.path.matches('/').count() > 2)
        })
        .collect();
    folders.dedup();
    folders
        .into_iter()
        .filter(|folder| {
            !below(files, &format!("tests/fixtures/{folder}"))
                .any(|file| file.path.ends_with(".py"))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_fixture_has_the_script_that_made_it() {
    let examples = [
        File::example("tests/fixtures/a/make.py", ""),
        File::example("tests/fixtures/a/out.safetensors", ""),
        File::example("tests/fixtures/b/out.safetensors", ""),
    ];
    assert_eq!(without_script(&examples), vec!["b"]);
    expect_none("fixtures without a script", &without_script(&tree::files()));
}

#[test]
fn fixtures_stay_small() {
    let files = tree::files();
    let total: u64 = below(&files, "tests/fixtures").map(|file| file.bytes).sum();
    assert!(
        total < 20_000_000,
        "the fixtures weigh {total} bytes together"
    );
    let large: Vec<String> = files
        .iter()
        .filter(|file| file.bytes > 8_000_000 && !file.path.starts_with("assets/starter/model/"))
        .map(|file| format!("{}: {} bytes", file.path, file.bytes))
        .collect();
    expect_none("large files", &large);
}
