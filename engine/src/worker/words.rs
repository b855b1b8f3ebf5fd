//! Embeddings that a picture's prompts may name: found, opened, hashed, and taught to each model whose
//! text encoders they fit.

use std::path::Path;
use std::sync::Arc;

use super::Loaded;
use super::add_ons::{Hashes, hash};
use crate::cancel::CancelToken;
use crate::catalog::{AddOnInfo, Catalog};
use crate::error::{EngineError, Result};
use crate::families::model::{Model, Word};
use crate::prompt::learned::may_hold;
use crate::prompt::timeline::Script;
use crate::prompt::{PromptSyntax, lone_words};
use crate::recipe::{AddOnKind, AddOnMade, Recipe};
use crate::weights::embedding::EmbeddingFile;
use crate::weights::files::ByteSource;

/// A file that a word of the prompts may mean.
#[derive(Clone)]
pub(super) struct Candidate {
    word: Word,
    /// SHA-256 of all its bytes, in hex.
    hash: String,
}

/// What a model was taught.
pub(super) struct Taught {
    /// What there was to choose from: names and hashes.
    of: Vec<(String, String)>,
    /// What was chosen.
    words: Vec<(String, String)>,
    /// Names that no file fits.
    misfits: Vec<String>,
    /// What the user should know.
    notes: Vec<String>,
}

/// What came of it for a picture.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) made: Vec<AddOnMade>,
    pub(super) notes: Vec<String>,
}

/// Every text that is encoded at some step.
pub(super) fn texts(recipe: &Recipe) -> Vec<String> {
    let steps = recipe.steps as usize;
    let syntax = recipe.prompting.syntax;
    let script = Script::read(&recipe.prompt, &recipe.negative_prompt, syntax, steps);
    let parts = script.parts.into_iter().map(|(_, schedule)| schedule);
    let all = parts.chain([script.negative]);
    all.flat_map(|schedule| schedule.texts).collect()
}

/// All files whose names may stand in these texts; of one name the one that the recipe means first. A
/// file that cannot be read is said in a note: its name is text.
///
/// # Errors
/// `Cancelled`.
pub(super) fn candidates(
    recipe: &Recipe,
    texts: &[String],
    catalog: &Catalog,
    cancel: &CancelToken,
) -> Result<(Vec<Candidate>, Vec<String>)> {
    let (mut found, mut notes): (Vec<(Candidate, bool)>, _) = (Vec::new(), Vec::new());
    if recipe.prompting.syntax == PromptSyntax::Plain {
        return Ok((Vec::new(), notes));
    }
    let embeddings = catalog.add_ons.iter();
    for info in embeddings.filter(|info| info.kind == AddOnKind::Embedding) {
        if !texts.iter().any(|text| may_hold(text, &info.name)) {
            continue;
        }
        match open(info, cancel) {
            Ok((word, hashes)) => {
                let pinned = recipe.add_ons.pinned(AddOnKind::Embedding, &info.name);
                let is_meant = pinned.is_some_and(|digits| hashes.begin_with(digits));
                let hash = hashes.whole;
                found.push((Candidate { word, hash }, is_meant));
            }
            Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
            Err(error) => notes.push(unread(&info.name, &error)),
        }
    }
    found.sort_by_key(|(_, is_meant)| !is_meant);
    for (at, (candidate, _)) in found.iter().enumerate() {
        let name = &candidate.word.name;
        let is_name = |(other, _): &&(Candidate, bool)| other.word.name == *name;
        let is_first = !found[..at].iter().any(|one| is_name(&one));
        let is_meant = found.iter().filter(is_name).any(|(_, is_meant)| *is_meant);
        if is_first && !is_meant && recipe.add_ons.pinned(AddOnKind::Embedding, name).is_some() {
            notes.push(other_file(name));
        }
    }
    let candidates = found.into_iter().map(|(candidate, _)| candidate);
    Ok((candidates.collect(), notes))
}

fn open(info: &AddOnInfo, cancel: &CancelToken) -> Result<(Word, Hashes)> {
    let file = EmbeddingFile::open(&info.path)?;
    let hashes = hash(&ByteSource::open(&info.path)?, cancel)?;
    let word = Word {
        name: info.name.clone(),
        file: Arc::new(file),
    };
    Ok((word, hashes))
}

/// A note on a file that is another one than the recipe names.
pub(super) fn other_file(name: &str) -> String {
    format!("the file called “{name}” differs from the one that the recipe names")
}

fn unread(name: &str, error: &EngineError) -> String {
    format!("the embedding “{name}” cannot be read and counts as words: {error}")
}

/// Whether a text has a name standing alone.
fn says(text: &str, name: &str) -> bool {
    let plain = |text: &str| {
        let text = text.replace('\\', "").to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    lone_words(&plain(text), &plain(name)).next().is_some()
}

impl Loaded {
    /// Takes the words that the prompts may hold into the vocabulary; says which they do hold.
    ///
    /// # Errors
    /// `Io` and `Compute` from the model.
    pub(super) fn learn(&mut self, texts: &[String], candidates: &[Candidate]) -> Result<Learned> {
        let of: Vec<(String, String)> = candidates.iter().map(Candidate::key).collect();
        let known = self.words.take().filter(|taught| taught.of == of);
        let taught = match known {
            Some(taught) => taught,
            None => {
                self.encodings.clear();
                teach(self.model.as_mut(), candidates, of)?
            }
        };
        let taught = self.words.insert(taught);
        let mut learned = Learned {
            notes: taught.notes.clone(),
            ..Learned::default()
        };
        if taught.of.is_empty() {
            return Ok(learned);
        }
        let mut held = Vec::new();
        for text in texts {
            held.extend(self.model.words_in(text)?);
        }
        let words = taught.words.iter();
        for (name, hash) in words.filter(|(name, _)| held.contains(name)) {
            learned.made.push(AddOnMade {
                kind: AddOnKind::Embedding,
                name: name.clone(),
                hash: hash.clone(),
                unet: 1.0,
                text: 1.0,
            });
        }
        for name in &taught.misfits {
            if texts.iter().any(|text| says(text, name)) {
                let note = "was made for another kind of model: its name is read as words";
                learned.notes.push(format!("the embedding “{name}” {note}"));
            }
        }
        Ok(learned)
    }
}

impl Candidate {
    fn key(&self) -> (String, String) {
        (self.word.name.clone(), self.hash.clone())
    }
}

/// Teaches a model the first file of each name whose vectors fit; the next one where that is broken.
fn teach(
    model: &mut dyn Model,
    candidates: &[Candidate],
    of: Vec<(String, String)>,
) -> Result<Taught> {
    let encoders = model.text_encoders();
    let fits = |candidate: &&Candidate| candidate.word.file.fits(&encoders);
    let mut fitting: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    let mut misfits: Vec<String> = Vec::new();
    for Candidate { word, .. } in candidates {
        let is_fit = fitting.iter().any(|one| one.word.name == word.name);
        if !is_fit && !misfits.contains(&word.name) {
            misfits.push(word.name.clone());
        }
    }
    let mut notes = Vec::new();
    loop {
        let mut chosen: Vec<&Candidate> = Vec::new();
        for candidate in &fitting {
            let is_same = |one: &&Candidate| one.word.name == candidate.word.name;
            if !chosen.iter().any(is_same) {
                chosen.push(candidate);
            }
        }
        let words: Vec<Word> = chosen.iter().map(|one| one.word.clone()).collect();
        let Err(error) = model.teach(&words) else {
            return Ok(Taught {
                of,
                words: chosen.into_iter().map(Candidate::key).collect(),
                misfits,
                notes,
            });
        };
        let broken = broken_file(&error).and_then(|path| {
            let mut files = fitting.iter();
            files.position(|one| one.word.file.path() == path)
        });
        let Some(at) = broken else {
            return Err(error);
        };
        let candidate = fitting.remove(at);
        notes.push(unread(&candidate.word.name, &error));
    }
}

/// The file that an error speaks of.
fn broken_file(error: &EngineError) -> Option<&Path> {
    match error {
        EngineError::BadFile { path, .. } | EngineError::Io { path, .. } => Some(path),
        _ => None,
    }
}
