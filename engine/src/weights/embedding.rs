//! Embeddings (textual inversion, Gal et al. 2022): small files with the vectors of one learned word. All
//! published forms: A1111's `.pt` (`string_to_param`), its and Civitai's `.safetensors` (`emb_params`),
//! diffusers' one tensor under the word itself, and SDXL's pair `clip_l` and `clip_g`.

use std::collections::BTreeMap;
use std::path::Path;

use super::Stored;
use super::element::Entry;
use super::files::ByteSource;
use super::format::{self, Header};
use crate::error::{EngineError, Result};

/// Most vectors of one word; contexts have 75.
const VECTORS_LIMIT: usize = 1024;
/// Widest vector.
const CHANNELS_LIMIT: usize = 1 << 14;

/// The parts whose vectors have names of their own.
const NAMED: &[(&str, &str)] = &[("clip_l", "text_encoder"), ("clip_g", "text_encoder_2")];
/// Names of the only vectors, or what they begin with.
const ONLY: &[&str] = &["emb_params", "string_to_param."];

/// An embedding's file, open, with nothing but its header read.
#[derive(Debug)]
pub struct EmbeddingFile {
    source: ByteSource,
    /// By the part that reads them; `None`: by the model's only text encoder.
    tensors: Vec<(Option<&'static str>, String, Entry)>,
}

/// Vectors of one word, (count, channels), row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// How many.
    pub count: usize,
    /// Values of each.
    pub channels: usize,
    /// All of them.
    pub values: Vec<f32>,
}

impl EmbeddingFile {
    /// Opens a file of any format.
    ///
    /// # Errors
    /// `BadFile` when its header is broken or it is no embedding, `Io` when reading fails.
    pub fn open(path: &Path) -> Result<Self> {
        let source = ByteSource::open(path)?;
        let header = (format::identify(&source)?.read_header)(&source)?;
        let tensors = pick(header).map_err(|problem| {
            EngineError::bad_file(
                path,
                problem,
                "choose a textual inversion file, or download it again",
            )
        })?;
        Ok(Self { source, tensors })
    }

    /// Vectors and channels, for each text encoder that they are for.
    pub fn sizes(&self) -> Vec<[usize; 2]> {
        let tensors = self.tensors.iter();
        tensors.map(|(_, _, entry)| sizes(entry)).collect()
    }

    /// The models that it was made for, by its width; empty where that tells nothing.
    pub fn base(&self) -> &'static str {
        match self.sizes().as_slice() {
            [[_, 768]] => "Stable Diffusion 1.x",
            [[_, 1024]] => "Stable Diffusion 2.x",
            [[_, 768], [_, 1280]] => "Stable Diffusion XL",
            _ => "",
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.source.label()
    }

    /// Whether it has vectors for a model whose text encoders have these folders and widths. Reads
    /// nothing but the header.
    pub fn fits(&self, encoders: &[(&str, usize)]) -> bool {
        self.tensors_for(encoders).is_some()
    }

    /// The tensor of each encoder, in their order; `None` where one has none, or a tensor is left over.
    fn tensors_for(&self, encoders: &[(&str, usize)]) -> Option<Vec<(&str, &Entry)>> {
        let tensor_of = |&(folder, width): &(&str, usize)| {
            let mut tensors = self.tensors.iter();
            let (_, name, entry) = tensors.find(|(part, _, entry)| {
                let fits = sizes(entry)[1] == width;
                match part {
                    Some(part) => *part == folder && fits,
                    None => encoders.len() == 1 && fits,
                }
            })?;
            Some((name.as_str(), entry))
        };
        let found: Vec<_> = encoders.iter().map(tensor_of).collect::<Option<_>>()?;
        // XL's refiner has the second encoder alone, and takes that one's vectors of a pair.
        let is_refiner = matches!(encoders, [("text_encoder_2", _)]);
        (is_refiner || found.len() == self.tensors.len()).then_some(found)
    }

    /// The vectors for a model whose text encoders have these folders and widths; `None` where they
    /// are of another width or for other encoders.
    ///
    /// # Errors
    /// `BadFile` when a number is infinite or undefined or the file ends early, `Io`.
    pub fn read_for(
        &self,
        encoders: &[(&str, usize)],
    ) -> Result<Option<BTreeMap<String, Vectors>>> {
        let Some(tensors) = self.tensors_for(encoders) else {
            return Ok(None);
        };
        let mut found = BTreeMap::new();
        for ((folder, _), (name, entry)) in encoders.iter().zip(tensors) {
            let [count, channels] = sizes(entry);
            let values = Stored::read(&self.source, name, entry)?.into_f32();
            let vectors = Vectors {
                count,
                channels,
                values,
            };
            found.insert((*folder).to_owned(), vectors);
        }
        Ok(Some(found))
    }
}

/// One vector may be stored without a side for their number.
fn sizes(entry: &Entry) -> [usize; 2] {
    match entry.shape.as_slice() {
        [channels] => [1, *channels],
        [count, channels] => [*count, *channels],
        _ => [0, 0],
    }
}

/// The text encoder that vectors are for where their name says so, that name, and where they lie.
type Piece = (Option<&'static str>, String, Entry);

/// The tensors that are the word's vectors.
fn pick(header: Header) -> Result<Vec<Piece>, String> {
    let is_named = |name: &str| NAMED.iter().any(|(known, _)| *known == name);
    let is_only = |name: &str| ONLY.iter().any(|known| name.starts_with(known));
    let entries = header.entries;
    let mut found = Vec::new();
    if entries.keys().any(|name| is_named(name)) {
        for (known, part) in NAMED {
            if let Some(entry) = entries.get(*known) {
                found.push((Some(*part), (*known).to_owned(), entry.clone()));
            }
        }
    } else {
        let marked = entries.iter().filter(|(name, _)| is_only(name));
        let mut marked: Vec<_> = marked.collect();
        if marked.is_empty() && entries.len() == 1 {
            marked = entries.iter().collect();
        }
        let [(name, entry)] = marked.as_slice() else {
            return Err("no embedding: it does not hold the vectors of one word".to_owned());
        };
        found.push((None, (*name).clone(), (*entry).clone()));
    }
    for (_, name, entry) in &found {
        let [count, channels] = sizes(entry);
        let sound =
            (1..=VECTORS_LIMIT).contains(&count) && (1..=CHANNELS_LIMIT).contains(&channels);
        if !sound || !entry.element.is_weight() {
            let shape = &entry.shape;
            return Err(format!(
                "tensor “{name}” of shape {shape:?} holds no vectors of a word"
            ));
        }
    }
    Ok(found)
}
