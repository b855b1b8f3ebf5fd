//! Writes the table of files that the program carries inside: the starter model as it lies in
//! `assets/starter/model`, and the notices beside it. No file, size or name of it is known here.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let starter = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../assets/starter");
    let starter = starter.canonicalize()?;
    let model = starter.join("model");
    println!("cargo::rerun-if-changed={}", model.display());

    let mut files = Vec::new();
    walk(&model, &model, &mut files)?;
    let about: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(model.join("pentimento.json"))?)?;
    let id = about["id"].as_str().ok_or("pentimento.json has no id")?;

    let mut table =
        String::from("pub(super) static EMBEDDED_MODELS: &[EmbeddedModel] = &[EmbeddedModel {\n");
    let hash = starter.join("model.sha256");
    println!("cargo::rerun-if-changed={}", hash.display());
    let hash = fs::read_to_string(hash)?;
    let hash = hash.trim();
    writeln!(
        table,
        "    id: {id:?},\n    sha256: {hash:?},\n    files: &["
    )?;
    for (name, path) in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(
            table,
            "        ({name:?}, include_bytes!({:?})),",
            path_text(path)?
        )?;
    }
    table.push_str("    ],\n}];\n\npub(super) static NOTICES: &[(&str, &str)] = &[\n");
    for (name, path) in notices(&starter)? {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(
            table,
            "    ({name:?}, include_str!({:?})),",
            path_text(&path)?
        )?;
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("starter_table.rs");
    fs::write(out, table)?;
    Ok(())
}

/// Files below `folder`, sorted, with their paths inside `root`, `/` as separator.
fn walk(
    root: &Path,
    folder: &Path,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(root, &path, files)?;
        } else {
            let inside = path_text(path.strip_prefix(root)?)?.replace('\\', "/");
            files.push((inside, path));
        }
    }
    Ok(())
}

/// Notices and licences beside the model, the tokenizer's, and the program's own.
fn notices(starter: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut found = Vec::new();
    for folder in [
        starter,
        &starter.join("../tokenizers/clip"),
        &starter.join("../.."),
    ] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_file() && (name.starts_with("NOTICE") || name.starts_with("LICENSE")) {
                found.push((name.into_owned(), path.canonicalize()?));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn path_text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
