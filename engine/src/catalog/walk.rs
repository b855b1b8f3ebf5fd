//! Walks model folders as people have them: the trees of A1111, ComfyUI, InvokeAI, SwarmUI and Fooocus,
//! in place. A file's ending only nominates it; what it is, its content says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ModelProblem;
use crate::error::EngineError;

/// Folder levels below a model folder that are searched.
const DEPTH_LIMIT: usize = 8;
/// Entries looked at in one folder.
const ENTRIES_LIMIT: usize = 10_000;
/// Models and candidates in all.
const FOUND_LIMIT: usize = 20_000;

/// Endings of files that may be models.
const ENDINGS: &[&str] = &["safetensors", "sft", "ckpt", "gguf", "pt", "pth", "bin"];
/// Endings that only models have: a broken file is worth a word there.
const MODEL_ENDINGS: &[&str] = &["safetensors", "sft", "ckpt", "gguf"];
/// Folders of programs and pictures in those trees, by name without case.
const PASSED_BY: &[&str] = &[
    "__pycache__",
    "custom_nodes",
    "extensions",
    "node_modules",
    "output",
    "outputs",
    "repositories",
    "site-packages",
    "venv",
];

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Folders in the diffusers layout and files that may be models, absolute, by name.
    pub(super) places: Vec<PathBuf>,
    /// Folders that cannot be read.
    pub(super) problems: Vec<ModelProblem>,
}

/// Looks through all folders, each once however links lead there. A file among them is a candidate
/// whatever its ending.
pub(super) fn walk(folders: &[PathBuf]) -> Walked {
    let mut walked = Walked::default();
    let mut seen = BTreeSet::new();
    let mut open: Vec<(PathBuf, usize)> =
        folders.iter().rev().map(|path| (path.clone(), 0)).collect();
    while let Some((folder, depth)) = open.pop() {
        let absolute = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
        if !seen.insert(absolute.canonicalize().unwrap_or_else(|_| absolute.clone())) {
            continue;
        }
        if absolute.join("model_index.json").is_file() || absolute.is_file() {
            walked.places.push(absolute);
            continue;
        }
        let entries = match std::fs::read_dir(&absolute) {
            Ok(entries) => entries,
            // A models folder that was never made is an empty one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                walked.problems.push(ModelProblem {
                    error: EngineError::io(&absolute, "read", &error),
                    path: absolute,
                });
                continue;
            }
        };
        for entry in entries.take(ENTRIES_LIMIT).flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if name.to_string_lossy().starts_with('.') || walked.places.len() >= FOUND_LIMIT {
                continue;
            }
            if path.is_dir() {
                let passed_by = PASSED_BY
                    .iter()
                    .any(|passed| name.eq_ignore_ascii_case(passed));
                if depth < DEPTH_LIMIT && !passed_by {
                    open.push((path, depth + 1));
                }
            } else if has_ending(&path, ENDINGS) && path.is_file() {
                walked.places.push(path);
            }
        }
    }
    let name = |path: &PathBuf| path.file_name().map(OsStr::to_ascii_lowercase);
    walked
        .places
        .sort_by_cached_key(|path| (name(path), path.clone()));
    walked.places.dedup();
    walked
}

/// Whether a broken file of that name was meant as a model.
pub(super) fn is_meant_as_model(path: &Path) -> bool {
    path.is_dir() || has_ending(path, MODEL_ENDINGS)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().unwrap_or_default();
    endings
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}
