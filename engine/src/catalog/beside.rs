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
/// Longest text that is kept of what people wrote, in characters; sites write whole pages.
const TEXT_LIMIT: usize = 4000;
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
    "thumb.jpg",
    "thumb.png",
];
/// Endings of plain texts, as A1111 reads them.
const TEXTS: &[&str] = &["txt", "description.txt"];
/// Endings of what helpers of Civitai write (A1111's, StabilityMatrix'), and the fields with texts.
const SITES: &[(&str, &[&str])] = &[
    ("civitai.info", &["description"]),
    ("cm-info.json", &["VersionDescription", "ModelDescription"]),
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
        let mut sidecar = read_foreign(&model.with_extension("json")).unwrap_or_default();
        let notes = sidecar.notes.take().into_iter().chain(written(model));
        sidecar.notes = Some(joined(notes)).filter(|notes| !notes.is_empty());
        return Ok(sidecar);
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

/// What was written about a model's or an add-on's file beside it: by its owner in plain texts, by its
/// maker on the site it came from.
pub(super) fn written(model: &Path) -> Vec<String> {
    let read = |ending: &str| {
        let source = ByteSource::open(&model.with_extension(ending)).ok()?;
        source.read_all(LIMIT_BYTES).ok()
    };
    let plain = TEXTS.iter().filter_map(|ending| read(ending));
    let mut found: Vec<String> = plain
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .collect();
    for (ending, fields) in SITES {
        let Some(said) = read(ending).and_then(|bytes| as_object(&bytes)) else {
            continue;
        };
        let texts = fields.iter().filter_map(|field| said.get(*field)?.as_str());
        found.extend(texts.map(without_tags));
    }
    found.retain(|text| !text.is_empty());
    found.dedup();
    found
}

/// Words that call up what an add-on learned, by the site it came from.
pub(super) fn trained_words(add_on: &Path) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (ending, field) in [
        ("civitai.info", "trainedWords"),
        ("cm-info.json", "TrainedWords"),
    ] {
        let source = ByteSource::open(&add_on.with_extension(ending)).ok();
        let bytes = source.and_then(|source| source.read_all(LIMIT_BYTES).ok());
        let said = bytes
            .and_then(|bytes| as_object(&bytes))
            .unwrap_or_default();
        let listed = said.get(field).and_then(Value::as_array);
        for word in listed.into_iter().flatten().filter_map(Value::as_str) {
            let word = word.trim().to_owned();
            if !word.is_empty() && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

fn as_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}

/// Texts one below the other, cut at the limit.
pub(super) fn joined(texts: impl IntoIterator<Item = String>) -> String {
    let all: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let all = all.join("\n");
    match all.char_indices().nth(TEXT_LIMIT) {
        Some((at, _)) => format!("{}…", &all[..at]),
        None => all,
    }
}

/// A site's HTML as plain text: tags that end a line end one, others go.
fn without_tags(html: &str) -> String {
    const BREAKS: &[&str] = &["br", "/p", "/li", "/h1", "/h2", "/h3", "/div", "hr"];
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('>') else {
            rest = &rest[at..];
            break;
        };
        let tag = rest[at + 1..at + end].to_ascii_lowercase();
        let name = tag.split([' ', '\t', '\n']).next().unwrap_or_default();
        let name = name.trim_end_matches('/');
        if BREAKS.contains(&name) {
            text.push('\n');
        }
        rest = &rest[at + end + 1..];
    }
    text.push_str(rest);
    for (code, letter) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(code, letter);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
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
    let sites = SITES.iter().map(|(ending, _)| ending);
    let endings = ["json", "yaml"].iter().chain(TEXTS).chain(sites);
    paths.extend(endings.map(|ending| model.with_extension(ending)));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sites_page_becomes_plain_text() {
        let html = "<p>Best at <strong>ink</strong> &amp; wash.</p><ul><li>0.6&nbsp;to 0.8</li></ul><br/>a &lt; b";
        let plain = "Best at ink & wash.\n0.6 to 0.8\na < b";
        assert_eq!(without_tags(html), plain);
        assert_eq!(without_tags("cut <off"), "cut <off");
        assert_eq!(without_tags(""), "");
        let long = joined(["a".repeat(3999), "äöü".to_owned()]);
        assert_eq!(long.chars().count(), TEXT_LIMIT + 1);
        assert!(long.ends_with('…'));
    }
}
