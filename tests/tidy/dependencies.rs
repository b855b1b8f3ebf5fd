//! What each package may depend on, and that the lock file holds one of each thing that must be one.

use crate::tree::{self, expect_none};

/// Names in the `[dependencies]` tables (of any target) of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or("");
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names
}

fn manifest(package: &str) -> Vec<String> {
    let path = tree::root().join(package).join("Cargo.toml");
    let found = dependencies(&std::fs::read_to_string(path).expect("manifest can be read"));
    assert!(found.len() > 5, "{package}: {found:?}");
    found
}

#[test]
fn tables_are_read() {
    let text = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# no\n\"b\" = \"1\"\n[target.'cfg(unix)'.dependencies]\nc = { version = \"1\" }\n[lints]\nd = 1\n";
    assert_eq!(dependencies(text), ["a", "b", "c"]);
}

#[test]
fn the_engine_has_no_interface_and_the_app_no_tensors() {
    let mut found = Vec::new();
    for name in manifest("engine") {
        if name.contains("egui")
            || [
                "eframe",
                "rfd",
                "winit",
                "wgpu",
                "directories",
                "pentimento",
            ]
            .contains(&&*name)
        {
            found.push(format!("engine: {name}"));
        }
    }
    for name in manifest("app") {
        if name.starts_with("candle") || ["gemm", "safetensors", "tokenizers"].contains(&&*name) {
            found.push(format!("app: {name}"));
        }
    }
    expect_none("dependencies against the design's direction", &found);
}

#[test]
fn versions_are_decided_in_one_place() {
    let mut found = Vec::new();
    for package in ["engine", "app", "tests"] {
        let path = tree::root().join(package).join("Cargo.toml");
        let text = std::fs::read_to_string(path).expect("manifest can be read");
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]");
            } else if inside
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                found.push(format!("{package}: {line}"));
            }
        }
    }
    expect_none("versions outside the workspace's table", &found);
}

#[test]
fn the_lock_file_holds_one_of_each() {
    let lock =
        std::fs::read_to_string(tree::root().join("Cargo.lock")).expect("Cargo.lock is committed");
    for name in [
        "egui",
        "eframe",
        "wgpu",
        "winit",
        "candle-core",
        "accesskit",
    ] {
        let count = lock
            .lines()
            .filter(|line| *line == format!("name = \"{name}\""))
            .count();
        assert_eq!(count, 1, "{name} is in Cargo.lock {count} times");
    }
    for forbidden in ["openssl-sys", "gtk-sys", "onig_sys", "reqwest", "hf-hub"] {
        assert!(
            !lock.contains(&format!("name = \"{forbidden}\"")),
            "{forbidden}: a build needs Rust and a C compiler only, and the program no network"
        );
    }
}
