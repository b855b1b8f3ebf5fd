//! Finds models: the built-in ones, and folders in the diffusers layout below the user's model
//! folders, up to two levels deep.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Deserialize;

use super::{Catalog, Choice, Defaults, ModelInfo, ModelProblem};
use crate::engine::EmbeddedModel;
use crate::error::{EngineError, Result};
use crate::families::model::ModelFacts;
use crate::families::{self, FamilySpec};
use crate::samplers::SAMPLERS;
use crate::schedules::SCHEDULES;
use crate::weights::files::ModelFiles;

/// Folder levels below a model folder that are searched.
const DEPTH: usize = 2;
/// Entries looked at in one folder.
const ENTRIES_LIMIT: usize = 10_000;
/// Largest sidecar file read.
const SIDECAR_LIMIT_BYTES: u64 = 64 << 10;

/// A model with what is needed to load it.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the interface sees.
    pub info: ModelInfo,
    /// Its files.
    pub files: ModelFiles,
    /// Paths of the files that are loaded, relative, sorted.
    pub loaded: Vec<String>,
    /// Changes when any of these files does.
    pub stamp: Vec<(String, u64, u128)>,
}

/// What a folder's `pentimento.json` may say. None of it decides a pixel.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sidecar {
    name: Option<String>,
    description: Option<String>,
    native_px: Option<[u32; 2]>,
    defaults: SidecarDefaults,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SidecarDefaults {
    steps: Option<u32>,
    guidance: Option<f64>,
    sampler: Option<String>,
    schedule: Option<String>,
    example_prompts: Vec<String>,
}

/// Looks through everything. Broken models become problems, never errors.
pub fn scan(folders: &[PathBuf], embedded: &[EmbeddedModel]) -> (Catalog, Vec<Found>) {
    let mut catalog = Catalog {
        samplers: samplers(),
        schedules: schedules(),
        ..Catalog::default()
    };
    let mut found: Vec<Found> = Vec::new();
    let mut add =
        |id: &str, files: ModelFiles, problems: &mut Vec<ModelProblem>| match inspect(id, &files) {
            Ok(mut model) => {
                model.info.id = unique_id(&found, id);
                found.push(model);
            }
            Err(error) => problems.push(ModelProblem {
                path: files.label(""),
                error,
            }),
        };
    for &model in embedded {
        add(model.id, ModelFiles::embedded(model), &mut catalog.problems);
    }
    let mut paths = Vec::new();
    for folder in folders {
        collect(folder, 0, &mut paths, &mut catalog.problems);
    }
    paths.sort_by_key(|path| path.file_name().map(|name| name.to_ascii_lowercase()));
    paths.dedup();
    for path in paths {
        let id = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        add(&id, ModelFiles::folder(path), &mut catalog.problems);
    }
    catalog.models = found.iter().map(|model| model.info.clone()).collect();
    (catalog, found)
}

/// A model folder by its path, whether or not it lies in a searched folder.
///
/// # Errors
/// What is wrong with it.
pub fn inspect_folder(path: &Path) -> Result<Found> {
    let id = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    inspect(&id, &ModelFiles::folder(path))
}

fn collect(
    folder: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
    problems: &mut Vec<ModelProblem>,
) {
    if folder.join("model_index.json").is_file() {
        paths.push(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
        return;
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // A models folder that was never made is an empty one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            let error = EngineError::io(folder, "read", &error);
            problems.push(ModelProblem {
                path: folder.to_owned(),
                error,
            });
            return;
        }
    };
    if depth == DEPTH {
        return;
    }
    for entry in entries.take(ENTRIES_LIMIT).flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_dir() {
            collect(&entry.path(), depth + 1, paths, problems);
        }
    }
}

fn unique_id(found: &[Found], id: &str) -> String {
    let taken = |id: &str| found.iter().any(|model| model.info.id == id);
    let mut unique = id.to_owned();
    let mut number = 2;
    while taken(&unique) {
        unique = format!("{id} ({number})");
        number += 1;
    }
    unique
}

fn inspect(id: &str, files: &ModelFiles) -> Result<Found> {
    let family = families::identify(files)?;
    let facts = (family.inspect)(files)?;
    let sidecar = read_sidecar(files)?;
    let loaded = files.opened();
    let stamp = stamp(files, &loaded)?;
    let size_bytes = stamp.iter().map(|(_, len, _)| len).sum();
    let info = ModelInfo {
        size_bytes,
        path: files.path().map(Path::to_owned),
        ..describe(id, family, &facts, sidecar)
    };
    Ok(Found {
        info,
        files: files.clone(),
        loaded,
        stamp,
    })
}

fn describe(id: &str, family: &FamilySpec, facts: &ModelFacts, sidecar: Sidecar) -> ModelInfo {
    let SidecarDefaults {
        steps,
        guidance,
        sampler,
        schedule,
        example_prompts,
    } = sidecar.defaults;
    let known = |id: &String| SAMPLERS.iter().any(|sampler| sampler.id == *id);
    let known_schedule = |id: &String| SCHEDULES.iter().any(|schedule| schedule.id == *id);
    let sampler = sampler
        .filter(known)
        .unwrap_or_else(|| facts.noise.default_sampler().to_owned());
    // Consistency models make their picture in a few steps, and take the scale as an input.
    let few_steps = matches!(sampler.as_str(), "lcm" | "tcd");
    ModelInfo {
        id: id.to_owned(),
        name: sidecar.name.unwrap_or_else(|| id.to_owned()),
        description: sidecar.description.unwrap_or_default(),
        path: None,
        family: family.id.to_owned(),
        size_bytes: 0,
        sha256: None,
        native_px: sidecar.native_px.unwrap_or(facts.native_px),
        multiple_px: facts.factor as u32,
        context_tokens: (facts.context - 2) as u32,
        prediction: facts.noise.prediction().id().to_owned(),
        inpainting: facts.inpainting,
        defaults: Defaults {
            steps: steps.unwrap_or(if few_steps { 4 } else { 20 }),
            guidance: guidance.unwrap_or(if few_steps { 1.5 } else { 7.0 }),
            sampler,
            schedule: schedule
                .filter(known_schedule)
                .unwrap_or_else(|| "model".to_owned()),
            example_prompts,
        },
    }
}

fn read_sidecar(files: &ModelFiles) -> Result<Sidecar> {
    const NAME: &str = "pentimento.json";
    if !files.exists(NAME) {
        return Ok(Sidecar::default());
    }
    let bytes = files.open_aside(NAME)?.read_all(SIDECAR_LIMIT_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        EngineError::bad_file(
            files.label(NAME),
            format!("malformed ({error})"),
            "mend the file or delete it: it only names the model and its defaults",
        )
    })
}

/// Length and time of change of every loaded file.
fn stamp(files: &ModelFiles, loaded: &[String]) -> Result<Vec<(String, u64, u128)>> {
    loaded
        .iter()
        .map(|name| {
            let path = files.label(name);
            let len = files.open_aside(name)?.len();
            let changed = match files.path() {
                None => None,
                Some(_) => std::fs::metadata(&path)
                    .and_then(|facts| facts.modified())
                    .ok(),
            };
            let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Ok((
                name.clone(),
                len,
                changed.map_or(0, |since| since.as_nanos()),
            ))
        })
        .collect()
}

impl Found {
    /// Whether its files are as they were when it was found.
    pub fn is_unchanged(&self) -> bool {
        stamp(&self.files, &self.loaded).is_ok_and(|stamp| stamp == self.stamp)
    }
}

fn samplers() -> Vec<Choice> {
    SAMPLERS
        .iter()
        .map(|spec| choice(spec.id, spec.label, spec.hint))
        .collect()
}

fn schedules() -> Vec<Choice> {
    SCHEDULES
        .iter()
        .map(|spec| choice(spec.id, spec.label, spec.hint))
        .collect()
}

fn choice(id: &str, label: &str, hint: &str) -> Choice {
    Choice {
        id: id.to_owned(),
        label: label.to_owned(),
        hint: hint.to_owned(),
    }
}
