//! Add-ons among the files: LoRA and their kin, textual inversions. What they are is told from headers,
//! what they are for from what their makers wrote into them or beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Catalog, beside};
use crate::error::Result;
use crate::recipe::AddOnKind;
use crate::weights::embedding::EmbeddingFile;
use crate::weights::files::ByteSource;
use crate::weights::lora::AddOnFile;

/// Trigger words listed of one add-on.
const WORDS_LIMIT: usize = 24;
/// Largest sidecar that is read.
const LIMIT_BYTES: u64 = 1 << 20;

/// One add-on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddOnInfo {
    /// What it is.
    pub kind: AddOnKind,
    /// What prompts call it: its file name without ending. Of several LoRA of one file name each has as
    /// much of its folder before it as tells it from the others: `xl/detail`.
    pub name: String,
    /// Another name that its maker gave it.
    pub alias: Option<String>,
    /// The file.
    pub path: PathBuf,
    /// Bytes.
    pub size_bytes: u64,
    /// How it is made: `lora`, `loha`, `lokr`, `full`, `ia3`, `dora`; empty for embeddings.
    pub algorithms: Vec<String>,
    /// Models that it was made for, for people; empty where nothing tells.
    pub base: String,
    /// Vectors of an embedding; 0 for others.
    #[serde(default)]
    pub vectors: u32,
    /// As A1111 hashes it, where the file says it.
    pub hash: Option<String>,
    /// What its owner noted beside it.
    pub notes: AddOnNotes,
}

/// What people wrote about an add-on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddOnNotes {
    /// Words that call up what it learned, the most frequent in its training first.
    pub trigger_words: Vec<String>,
    /// What its owner puts into the prompt with it.
    pub activation_text: String,
    /// The weight that its owner prefers.
    pub preferred_weight: Option<f64>,
    /// Anything else.
    pub text: String,
    /// A picture of what it does.
    pub preview: Option<PathBuf>,
}

impl Catalog {
    /// The add-on that a name means: by file name, with or without its folders and its ending, else by
    /// alias where that is unique; capital and small letters differ, as in A1111. `pinned`: the first
    /// digits of its hash; they find a file that was renamed or moved, and choose between files of one
    /// name.
    pub fn add_on(&self, kind: AddOnKind, name: &str, pinned: Option<&str>) -> Option<&AddOnInfo> {
        let all = || self.add_ons.iter().filter(|add_on| add_on.kind == kind);
        let is_pinned = |add_on: &&AddOnInfo| {
            let hash = add_on.hash.as_deref();
            pinned.is_some_and(|digits| hash.is_some_and(|hash| hash.starts_with(digits)))
        };
        let called = self.called(kind, name, pinned.is_some());
        let named = || called.iter().copied();
        let aliased = || all().filter(|add_on| add_on.alias.as_deref() == Some(name));
        // A file of that name whose hash nothing says may be the one; one of another hash is not.
        let unknown = || named().find(|add_on| pinned.is_none() || add_on.hash.is_none());
        let by_name = named().find(is_pinned).or_else(unknown);
        let only_alias = || aliased().next().filter(|_| aliased().count() == 1);
        by_name
            .or_else(|| aliased().find(is_pinned))
            .or_else(|| all().find(is_pinned))
            .or_else(|| named().next())
            .or(only_alias())
    }

    /// The add-ons that a name may mean, by their files: the one of that very name first, then those
    /// whose paths end so, safetensors before other formats. `moved`: where there is none, those of that
    /// file name in other folders.
    pub fn called(&self, kind: AddOnKind, name: &str, moved: bool) -> Vec<&AddOnInfo> {
        let all = || self.add_ons.iter().filter(|add_on| add_on.kind == kind);
        let (exact, others): (Vec<_>, Vec<_>) = all().partition(|add_on| add_on.name == name);
        let mut called = exact;
        called.extend(others.into_iter().filter(|add_on| add_on.lies_at(name)));
        let file_name = name.rsplit('/').next().unwrap_or(name);
        if called.is_empty() && moved {
            called.extend(all().filter(|add_on| add_on.lies_at(file_name)));
        }
        let is_other = |add_on: &AddOnInfo| {
            let ending = add_on.path.extension();
            !ending.is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
        };
        called.sort_by_key(|add_on| (add_on.name != name, is_other(add_on)));
        called
    }

    /// Gives LoRA of one file name names that differ.
    pub(super) fn tell_add_ons_apart(&mut self) {
        let mut namesakes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for add_on in self
            .add_ons
            .iter()
            .filter(|one| one.kind == AddOnKind::Lora)
        {
            let paths = namesakes.entry(add_on.name.clone()).or_default();
            paths.push(add_on.path.clone());
        }
        namesakes.retain(|_, paths| paths.len() > 1);
        for add_on in self
            .add_ons
            .iter_mut()
            .filter(|one| one.kind == AddOnKind::Lora)
        {
            if let Some(paths) = namesakes.get(&add_on.name)
                && let Some(name) = shortest_tail(&add_on.path, paths)
            {
                add_on.name = name;
            }
        }
    }
}

impl AddOnInfo {
    /// Whether its path, with or without its ending, ends with these folders and name.
    fn lies_at(&self, name: &str) -> bool {
        let bare = self.path.with_extension("");
        !name.is_empty() && (bare.ends_with(name) || self.path.ends_with(name))
    }
}

/// The end of a path that none of the others has, without its ending where that is enough, as
/// `folder/name`; `None` where there is none.
fn shortest_tail(path: &Path, all: &[PathBuf]) -> Option<String> {
    let others = || all.iter().filter(|other| *other != path);
    let tail_of = |path: &Path, length: usize| {
        let parts: Vec<_> = path.components().collect();
        let from = parts.len().checked_sub(length)?;
        let parts = parts[from..].iter();
        let parts = parts.map(|part| part.as_os_str().to_string_lossy().into_owned());
        Some(parts.collect::<Vec<_>>().join("/"))
    };
    let depth = path.components().count();
    let bare = |path: &Path| path.with_extension("");
    let without_ending = (2..depth)
        .filter_map(|length| tail_of(&bare(path), length))
        .find(|tail| !others().any(|other| bare(other).ends_with(tail)));
    let with_ending = || {
        (1..depth)
            .filter_map(|length| tail_of(path, length))
            .find(|tail| !others().any(|other| other.ends_with(tail)))
    };
    without_ending.or_else(with_ending)
}

/// What an add-on's file is.
///
/// # Errors
/// Those of [`AddOnFile::open`] when it is none.
pub(super) fn inspect(path: &Path) -> Result<AddOnInfo> {
    inspect_embedding(path).or_else(|_| inspect_lora(path))
}

fn inspect_lora(path: &Path) -> Result<AddOnInfo> {
    let file = AddOnFile::open(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let metadata = &file.metadata;
    let said = |key: &str| metadata.get(key).filter(|text| !text.is_empty());
    let alias = said("ss_output_name").filter(|alias| alias.as_str() != name);
    let hash = said("sshs_model_hash").filter(|hash| hash.len() == 64);
    Ok(AddOnInfo {
        kind: AddOnKind::Lora,
        alias: alias.cloned(),
        size_bytes: ByteSource::open(path)?.len(),
        algorithms: file.algorithms().into_iter().map(str::to_owned).collect(),
        base: base(metadata).unwrap_or_else(|| file.base().to_owned()),
        vectors: 0,
        hash: hash.map(|hash| hash.to_ascii_lowercase()),
        notes: notes(path, metadata),
        path: path.to_owned(),
        name: name.into_owned(),
    })
}

fn inspect_embedding(path: &Path) -> Result<AddOnInfo> {
    let file = EmbeddingFile::open(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let vectors = file.sizes().iter().map(|[count, _]| *count).max();
    Ok(AddOnInfo {
        kind: AddOnKind::Embedding,
        alias: None,
        size_bytes: ByteSource::open(path)?.len(),
        algorithms: Vec::new(),
        base: file.base().to_owned(),
        vectors: u32::try_from(vectors.unwrap_or(0)).unwrap_or(u32::MAX),
        hash: None,
        notes: notes(path, &BTreeMap::new()),
        path: path.to_owned(),
        name: name.into_owned(),
    })
}

/// The model it was trained on, by its trainer's words.
fn base(metadata: &BTreeMap<String, String>) -> Option<String> {
    let version = metadata
        .get("ss_base_model_version")
        .or_else(|| metadata.get("modelspec.architecture"))?;
    let known = [
        ("sd_v1", "Stable Diffusion 1.x"),
        ("stable-diffusion-v1", "Stable Diffusion 1.x"),
        ("sd_v2", "Stable Diffusion 2.x"),
        ("stable-diffusion-v2", "Stable Diffusion 2.x"),
        ("sdxl", "Stable Diffusion XL"),
        ("stable-diffusion-xl", "Stable Diffusion XL"),
    ];
    let known = known.iter().find(|(word, _)| version.starts_with(word));
    Some(known.map_or_else(|| version.clone(), |(_, label)| (*label).to_owned()))
}

/// What lies in it and beside it: training tags, A1111's `NAME.json`, plain texts,
/// what helpers of Civitai write.
fn notes(path: &Path, metadata: &BTreeMap<String, String>) -> AddOnNotes {
    let own = sidecar(&path.with_extension("json"));
    let text = |fields: &Map<String, Value>, key: &str| {
        let text = fields.get(key).and_then(Value::as_str);
        text.unwrap_or_default().trim().to_owned()
    };
    let mut trigger_words = beside::trained_words(path);
    let tags = metadata.get("ss_tag_frequency");
    for word in tags.map_or_else(Vec::new, |tags| frequent(tags)) {
        if !trigger_words.contains(&word) {
            trigger_words.push(word);
        }
    }
    trigger_words.truncate(WORDS_LIMIT);
    let described = [text(&own, "description"), text(&own, "notes")];
    let preferred = own.get("preferred weight").and_then(Value::as_f64);
    AddOnNotes {
        trigger_words,
        activation_text: text(&own, "activation text"),
        // A1111 writes 0 for none.
        preferred_weight: preferred.filter(|weight| weight.is_finite() && *weight != 0.0),
        text: beside::joined(described.into_iter().chain(beside::written(path))),
        preview: beside::preview(path),
    }
}

fn sidecar(path: &Path) -> Map<String, Value> {
    let read = || {
        let bytes = ByteSource::open(path).ok()?.read_all(LIMIT_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    read().unwrap_or_default()
}

/// The tags of a training's captions, over all its folders, the most frequent first.
fn frequent(tags: &str) -> Vec<String> {
    let folders: Map<String, Value> = serde_json::from_str(tags).unwrap_or_default();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (tag, count) in folders.values().filter_map(Value::as_object).flatten() {
        *counts.entry(tag.trim()).or_default() += count.as_u64().unwrap_or(0);
    }
    let mut words: Vec<_> = counts
        .into_iter()
        .filter(|(tag, _)| !tag.is_empty())
        .collect();
    words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    words
        .into_iter()
        .take(WORDS_LIMIT)
        .map(|(tag, _)| tag.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_on(name: &str, alias: Option<&str>, hash: Option<&str>) -> AddOnInfo {
        AddOnInfo {
            kind: AddOnKind::Lora,
            name: name.to_owned(),
            alias: alias.map(str::to_owned),
            path: PathBuf::from(format!("/loras/{name}-{hash:?}.safetensors")),
            size_bytes: 0,
            algorithms: Vec::new(),
            base: String::new(),
            vectors: 0,
            hash: hash.map(str::to_owned),
            notes: AddOnNotes::default(),
        }
    }

    #[test]
    fn names_before_aliases_and_hashes_for_what_was_renamed() {
        let catalog = Catalog {
            add_ons: vec![
                add_on("ink", None, Some("aaaaaaaaaa")),
                add_on("ink", None, Some("bbbbbbbbbb")),
                add_on("oil", Some("paint"), None),
                add_on("x", Some("twice"), None),
                add_on("y", Some("twice"), Some("cccccccccc")),
            ],
            ..Catalog::default()
        };
        let found = |name: &str, pinned: Option<&str>| {
            let add_on = catalog.add_on(AddOnKind::Lora, name, pinned)?;
            Some((add_on.name.as_str(), add_on.hash.as_deref()))
        };
        assert_eq!(found("ink", None), Some(("ink", Some("aaaaaaaaaa"))));
        assert_eq!(
            found("ink", Some("bbbbbbbb")),
            Some(("ink", Some("bbbbbbbbbb")))
        );
        assert_eq!(
            found("ink", Some("cccccccc")),
            Some(("y", Some("cccccccccc"))),
            "renamed, and another took its name"
        );
        assert_eq!(
            found("ink", Some("dddddddd")),
            Some(("ink", Some("aaaaaaaaaa")))
        );
        assert_eq!(found("paint", None), Some(("oil", None)));
        assert_eq!(found("Ink", None), None, "letters' case counts");
        assert_eq!(found("twice", None), None, "which of the two?");
        assert_eq!(
            found("twice", Some("cccccccc")),
            Some(("y", Some("cccccccccc")))
        );
        assert_eq!(
            found("gone", Some("cccccccc")),
            Some(("y", Some("cccccccccc")))
        );
        assert!(catalog.add_on(AddOnKind::Embedding, "ink", None).is_none());
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let at = |path: &str| AddOnInfo {
            path: PathBuf::from(path),
            ..add_on("detail", None, None)
        };
        let paths = [
            "/m/loras/detail.safetensors",
            "/m/loras/sd15/detail.safetensors",
            "/m/loras/xl/detail.pt",
            "/m/loras/xl/detail.safetensors",
        ];
        let mut catalog = Catalog {
            add_ons: paths.map(at).to_vec(),
            ..Catalog::default()
        };
        catalog.tell_add_ons_apart();
        let names: Vec<&str> = catalog
            .add_ons
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let want = [
            "loras/detail",
            "sd15/detail",
            "detail.pt",
            "xl/detail.safetensors",
        ];
        assert_eq!(names, want);
        let found = |name: &str, pinned: Option<&str>| {
            let found = catalog.add_on(AddOnKind::Lora, name, pinned)?;
            paths.iter().position(|path| Path::new(path) == found.path)
        };
        for (at, name) in want.into_iter().enumerate() {
            assert_eq!(found(name, None), Some(at), "{name}");
        }
        assert_eq!(found("detail", None), Some(0));
        assert_eq!(found("xl/detail", None), Some(3), "safetensors first");
        assert_eq!(found("gone/detail", None), None);
        assert_eq!(
            found("gone/detail", Some("cccccccc")),
            Some(0),
            "moved, perhaps"
        );
        assert_eq!(found("", None), None);
    }

    #[test]
    fn the_most_frequent_tags_come_first() {
        let tags = r#"{"3_a": {"red apple": 3, " ink ": 2}, "1_b": {"ink": 9, "": 4}}"#;
        assert_eq!(frequent(tags), ["ink", "red apple"]);
        assert!(frequent("{broken").is_empty());
    }
}
