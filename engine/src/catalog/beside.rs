//! What people keep beside a model: a preview, notes, its name and defaults. None of it decides a
//! pixel, and a broken one is no reason to refuse a model.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{EngineError, Result};
use crate::weights::files::{ByteSource, ModelFiles};

/// Largest file read; A1111's extensions write some hundred kilobytes.
const LIMIT_BYTES: u64 = 1 << 20;
/// A folder's own file.
const SIDECAR: &str = "pentimento.json";
/// Endings after a model's name, in order of preference (A1111, ComfyUI, SwarmUI and InvokeAI).
const PREVIEWS: &[&str] = &[
    "preview.png",
    "preview.jpg",
    "preview.jpeg",
    "preview.webp",
    "png",
    "jpg",
    "jpeg",
    "webp",
];

/// What a sidecar may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sidecar {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) notes: Option<String>,
    pub(super) native_px: Option<[u32; 2]>,
    pub(super) defaults: SidecarDefaults,
}

/// What to start with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SidecarDefaults {
    pub(super) steps: Option<u32>,
    pub(super) guidance: Option<f64>,
    pub(super) sampler: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) example_prompts: Vec<String>,
}

/// The sidecar of a model: `pentimento.json` in its folder, or `NAME.json` beside its file.
///
/// # Errors
/// `BadFile` when `pentimento.json` is malformed: nobody but this program's users writes it.
pub(super) fn read(files: &ModelFiles) -> Result<Sidecar> {
    if let Some(model) = files.single_path() {
        return Ok(read_foreign(&model.with_extension("json")).unwrap_or_default());
    }
    if !files.exists(SIDECAR) {
        return Ok(Sidecar::default());
    }
    let bytes = files.open_aside(SIDECAR)?.read_all(LIMIT_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        EngineError::bad_file(
            files.label(SIDECAR),
            format!("malformed ({error})"),
            "mend the file or delete it: it only names the model and its defaults",
        )
    })
}

/// `NAME.json` as A1111 writes it (`description`, `notes`, `activation text`, `negative text`), with
/// this program's own fields where they are.
fn read_foreign(path: &Path) -> Option<Sidecar> {
    let bytes = ByteSource::open(path).ok()?.read_all(LIMIT_BYTES).ok()?;
    let fields: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let mut sidecar: Sidecar = serde_json::from_value(Value::Object(fields.clone()))
        .unwrap_or_else(|_foreign| Sidecar {
            name: text("name").map(str::to_owned),
            description: text("description").map(str::to_owned),
            notes: text("notes").map(str::to_owned),
            ..Sidecar::default()
        });
    let more = [
        ("activation text", "Activation text"),
        ("negative text", "Negative text"),
    ];
    let lines = more
        .iter()
        .filter_map(|(field, label)| Some(format!("{label}: {}", text(field)?)));
    let notes: Vec<String> = sidecar.notes.take().into_iter().chain(lines).collect();
    sidecar.notes = (!notes.is_empty()).then(|| notes.join("\n"));
    Some(sidecar)
}

/// The picture that shows what a model does, if there is one.
pub(super) fn preview(model: &Path) -> Option<PathBuf> {
    previews(model).into_iter().find(|path| path.is_file())
}

/// Where it may lie.
fn previews(model: &Path) -> Vec<PathBuf> {
    let beside = PREVIEWS.iter().map(|ending| {
        if model.is_dir() {
            model.join(ending)
        } else {
            model.with_extension(ending)
        }
    });
    beside.collect()
}

/// Every file beside a single file that the catalogue shows something of.
pub(super) fn watched(model: &Path) -> Vec<PathBuf> {
    let mut paths = previews(model);
    paths.extend(["json", "yaml", "civitai.info"].map(|ending| model.with_extension(ending)));
    paths
}
