//! Finds models: the built-in ones, and folders in the diffusers layout and single files below the
//! user's model folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::add_ons;
use super::beside::{self, Sidecar, SidecarDefaults};
use super::decoders::{self, AutoencoderInfo, Part};
use super::kin::{self, Suggested};
use super::lending::Network;
use super::{AddOnInfo, Catalog, Choice, Defaults, ModelInfo, ModelProblem, Storage, walk};
use crate::engine::EmbeddedModel;
use crate::error::{EngineError, Result};
use crate::families::model::{Fit, ModelFacts};
use crate::families::single::{self, Opened};
use crate::families::{self, FamilySpec};
use crate::samplers::SAMPLERS;
use crate::schedules::SCHEDULES;
use crate::weights::files::ModelFiles;
use crate::weights::format::{self, Header};

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
    /// Which models it can lend parts to.
    pub fit: Fit,
    /// The model that lends what its file does not hold.
    pub lender: Option<Arc<Self>>,
}

/// What a place turned out to be.
#[derive(Clone, Debug)]
enum Seen {
    Model(Box<Found>),
    Problem(EngineError),
    /// A network that needs parts of another model.
    Network(Box<Network>),
    /// An autoencoder alone.
    Autoencoder(Box<AutoencoderInfo>),
    /// Something that belongs to models and is none; told where it can be applied.
    AddOn(Option<Box<AddOnInfo>>),
}

/// Looks through model folders, and remembers what it saw: only what changed is opened again.
#[derive(Debug, Default)]
pub struct Scanner {
    seen: HashMap<PathBuf, (Stamp, Seen)>,
}

/// Path, length and time of change of files.
type Stamp = Vec<(PathBuf, u64, u128)>;

impl Scanner {
    /// Looks through everything. Broken models become problems, never errors.
    pub fn scan(
        &mut self,
        folders: &[PathBuf],
        embedded: &[EmbeddedModel],
    ) -> (Catalog, Vec<Found>) {
        let mut catalog = Catalog {
            samplers: samplers(),
            schedules: schedules(),
            ..Catalog::default()
        };
        let mut found: Vec<Found> = Vec::new();
        let mut networks: Vec<Network> = Vec::new();
        for &model in embedded {
            match inspect(model.id, &ModelFiles::embedded(model)) {
                Ok(mut whole) => {
                    whole.info.sha256 = Some(model.sha256.to_owned());
                    add(&mut found, whole);
                }
                Err(error) => catalog.problems.push(ModelProblem {
                    path: ModelFiles::embedded(model).label(""),
                    error,
                }),
            }
        }
        let walked = walk::walk(folders);
        catalog.problems.extend(walked.problems);
        let mut before = std::mem::take(&mut self.seen);
        for path in walked.places {
            let stamp = stamp_around(&path);
            let known = before.remove(&path).filter(|(known, _)| *known == stamp);
            let seen = known.map_or_else(|| look_at(&path), |(_, seen)| seen);
            match &seen {
                Seen::Model(model) => add(&mut found, model.as_ref().clone()),
                Seen::Network(network) => networks.push(network.as_ref().clone()),
                Seen::Problem(error) => catalog.problems.push(ModelProblem {
                    path: path.clone(),
                    error: error.clone(),
                }),
                Seen::Autoencoder(file) => catalog.add_autoencoder(file.as_ref().clone()),
                Seen::AddOn(info) => catalog.add_ons.extend(info.as_deref().cloned()),
            }
            self.seen.insert(path, (stamp, seen));
        }
        // All whole models are known now, and keep the ids they have without these.
        let whole = found.len();
        for network in networks {
            match network.complete(&found[..whole]) {
                Ok(model) => add(&mut found, model),
                Err(error) => catalog.problems.push(ModelProblem {
                    path: network.path,
                    error,
                }),
            }
        }
        catalog.tell_add_ons_apart();
        catalog.models = found.iter().map(|model| model.info.clone()).collect();
        (catalog, found)
    }

    /// Whether another scan of these folders would see something else.
    pub fn has_changed(&self, folders: &[PathBuf]) -> bool {
        let places = walk::walk(folders).places;
        let same = |path: &PathBuf| {
            let known = self.seen.get(path);
            known.is_some_and(|(stamp, _)| *stamp == stamp_around(path))
        };
        places.len() != self.seen.len() || !places.iter().all(same)
    }
}

/// A model folder or file by its path, whether or not it lies in a searched folder.
///
/// # Errors
/// What is wrong with it.
pub fn inspect_path(path: &Path) -> Result<Found> {
    match look_at(path) {
        Seen::Model(found) => Ok(*found),
        Seen::Problem(error) => Err(error),
        Seen::Network(network) => Err(network.alone()),
        Seen::Autoencoder(_) | Seen::AddOn(_) => Err(single::open(path)
            .err()
            .unwrap_or_else(|| EngineError::bad_file(path, "no model", "choose a whole model"))),
    }
}

fn look_at(path: &Path) -> Seen {
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    let id = name.unwrap_or_default().to_string_lossy();
    let seen = if path.is_dir() {
        let found = inspect(&id, &ModelFiles::folder(path));
        found.map(|found| Seen::Model(Box::new(found)))
    } else {
        look_at_file(&id, path)
    };
    seen.unwrap_or_else(|error| look_at_part(path, error))
}

fn look_at_file(id: &str, path: &Path) -> Result<Seen> {
    let mut opened = single::open(path)?;
    if let Some(lacks) = opened.lacks.take() {
        return Ok(Seen::Network(Box::new(Network::new(id, path, lacks))));
    }
    let mut found = inspect(id, &opened.files)?;
    found.info.storage.take(&opened);
    Ok(Seen::Model(Box::new(found)))
}

/// What a place is that is no whole model, for the reason given.
fn look_at_part(path: &Path, error: EngineError) -> Seen {
    if path.is_file()
        && let Ok(Some(part)) = decoders::look_at(path)
    {
        return match part {
            Part::Autoencoder(file) => Seen::Autoencoder(file),
            Part::TinyEncoder => Seen::AddOn(None),
        };
    }
    if let Ok(info) = add_ons::inspect(path) {
        return Seen::AddOn(Some(Box::new(info)));
    }
    match error {
        EngineError::UnsupportedModel { found, .. } if single::is_add_on(&found) => {
            Seen::AddOn(None)
        }
        _ if !walk::is_meant_as_model(path) => Seen::AddOn(None),
        error => Seen::Problem(error),
    }
}

/// Adds a model under an id of its own.
fn add(found: &mut Vec<Found>, mut model: Found) {
    let taken = |id: &str| found.iter().any(|other| other.info.id == id);
    model.info.id = unique(&model.info.id, taken);
    found.push(model);
}

/// An id that is not taken: the wanted one, or that with a number.
pub(super) fn unique(id: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut unique = id.to_owned();
    let mut number = 2;
    while taken(&unique) {
        unique = format!("{id} ({number})");
        number += 1;
    }
    unique
}

/// What a model is, from its files.
pub(super) fn inspect(id: &str, files: &ModelFiles) -> Result<Found> {
    let family = families::identify(files)?;
    let facts = (family.inspect)(files)?;
    let sidecar = beside::read(files)?;
    let loaded = files.opened();
    let stamp = stamp(files, &loaded)?;
    let size_bytes = stamp.iter().map(|(_, len, _)| len).sum();
    let kin = kin::suggest(id, &facts);
    let storage = Storage {
        variant: format!("{} {}", family.label, facts.variant)
            .trim_end()
            .to_owned(),
        precision: precision(files, &loaded),
        text_bytes: facts.stored.text,
        network_bytes: facts.stored.network,
        latents: facts.latents,
        preview: files.path().and_then(beside::preview),
        notes: sidecar.notes.clone().unwrap_or_default(),
        inferred: kin.iter().map(|kin| kin.note.clone()).collect(),
        ..Storage::default()
    };
    let info = ModelInfo {
        size_bytes,
        storage,
        path: files.path().map(Path::to_owned),
        ..describe(id, family, &facts, sidecar, kin)
    };
    Ok(Found {
        info,
        files: files.clone(),
        loaded,
        stamp,
        fit: facts.fit,
        lender: None,
    })
}

impl Storage {
    /// Says what is known of a single file.
    pub(super) fn take(&mut self, opened: &Opened) {
        self.format = opened.format.to_owned();
        self.precision = opened.precision.to_owned();
        self.inferred.splice(0..0, opened.notes.iter().cloned());
    }
}

/// The number type that holds most of a folder's weights.
fn precision(files: &ModelFiles, loaded: &[String]) -> String {
    let mut all = Header::default();
    let weights = |name: &&String| name.ends_with(".safetensors") || name.ends_with(".bin");
    for name in loaded.iter().filter(weights) {
        if let Ok(source) = files.open_aside(name)
            && let Ok(format) = format::identify(&source)
            && let Ok(header) = (format.read_header)(&source)
        {
            let entries = header.entries.into_iter();
            all.entries
                .extend(entries.map(|(tensor, entry)| (format!("{name}/{tensor}"), entry)));
        }
    }
    all.precision()
        .map_or_else(String::new, |element| element.id().to_owned())
}

fn describe(
    id: &str,
    family: &FamilySpec,
    facts: &ModelFacts,
    sidecar: Sidecar,
    kin: Option<Suggested>,
) -> ModelInfo {
    let SidecarDefaults {
        steps,
        guidance,
        sampler,
        schedule,
        example_prompts,
    } = sidecar.defaults;
    let known = |id: &String| SAMPLERS.iter().any(|sampler| sampler.id == *id);
    let known_schedule = |id: &String| SCHEDULES.iter().any(|schedule| schedule.id == *id);
    let own = facts.noise.default_sampler();
    let sampler = sampler
        .filter(known)
        .unwrap_or_else(|| kin.as_ref().map_or(own, |kin| kin.sampler).to_owned());
    // Who wishes for a consistency model's sampler has one.
    let few_steps = matches!(sampler.as_str(), "lcm" | "tcd");
    let usual = if few_steps { (4, 1.5) } else { (20, 7.0) };
    let usual = kin.as_ref().map_or(usual, |kin| (kin.steps, kin.guidance));
    ModelInfo {
        id: id.to_owned(),
        name: sidecar.name.unwrap_or_else(|| id.to_owned()),
        description: sidecar.description.unwrap_or_default(),
        path: None,
        family: family.id.to_owned(),
        size_bytes: 0,
        sha256: None,
        native_px: sidecar
            .native_px
            .or(kin.as_ref().and_then(|kin| kin.native_px))
            .unwrap_or(facts.native_px),
        multiple_px: facts.factor as u32,
        context_tokens: (facts.context - 2) as u32,
        prediction: facts.noise.prediction().id().to_owned(),
        inpainting: facts.inpainting,
        edits: facts.edits,
        storage: Storage::default(),
        defaults: Defaults {
            steps: steps.unwrap_or(usual.0),
            guidance: guidance.unwrap_or(usual.1),
            sampler,
            schedule: schedule
                .filter(known_schedule)
                .unwrap_or_else(|| kin.map_or("model", |kin| kin.schedule).to_owned()),
            example_prompts,
        },
    }
}

/// Length and time of change of every loaded file, and of what decides pixels beside a single one.
fn stamp(files: &ModelFiles, loaded: &[String]) -> Result<Vec<(String, u64, u128)>> {
    let mut stamp = Vec::new();
    for name in loaded {
        let len = files.open_aside(name)?.len();
        let changed = match files.path() {
            None => 0,
            Some(_) => facts_of(&files.label(name)).map_or(0, |(_, changed)| changed),
        };
        stamp.push((name.clone(), len, changed));
    }
    for path in files
        .single_path()
        .map(single::Beside::paths)
        .into_iter()
        .flatten()
    {
        if let Some((len, changed)) = facts_of(&path) {
            stamp.push((path.to_string_lossy().into_owned(), len, changed));
        }
    }
    Ok(stamp)
}

/// Length, and time of change in nanoseconds; `None` when there is no such file.
pub(super) fn facts_of(path: &Path) -> Option<(u64, u128)> {
    let facts = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let changed = facts.modified().ok();
    let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some((facts.len(), since.map_or(0, |since| since.as_nanos())))
}

/// The stamp of everything the catalogue says something about: a folder's files, two levels deep, or
/// a file and what lies beside it.
fn stamp_around(path: &Path) -> Stamp {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut paths = if path.is_dir() {
        let (folders, mut files): (Vec<_>, Vec<_>) =
            list(path).into_iter().partition(|path| path.is_dir());
        files.extend(folders.iter().flat_map(|folder| list(folder)));
        files
    } else {
        let mut paths = beside::watched(path);
        paths.push(path.to_owned());
        paths
    };
    paths.sort();
    let with_facts = |path: PathBuf| facts_of(&path).map(|(len, changed)| (path, len, changed));
    paths.into_iter().filter_map(with_facts).collect()
}

impl Found {
    /// Whether its files are as they were when it was found.
    pub fn is_unchanged(&self) -> bool {
        let own = stamp(&self.files, &self.loaded).is_ok_and(|stamp| stamp == self.stamp);
        own && self
            .lender
            .as_ref()
            .is_none_or(|lender| lender.is_unchanged())
    }

    /// Whether another is of the very same files.
    pub fn is_same(&self, other: &Self) -> bool {
        let lent = match (&self.lender, &other.lender) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        };
        lent && self.files.label("") == other.files.label("") && self.stamp == other.stamp
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
