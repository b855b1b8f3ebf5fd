//! File formats of weights. Which one a file has is told by its content, never by its name. A format
//! is a file and one line in [`FORMATS`].

use std::collections::BTreeMap;

use super::element::{ElementType, Entry};
use super::files::ByteSource;
use super::{ckpt, gguf, safetensors};
use crate::error::{EngineError, Result};

/// What a file's header says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Tensors by the names they are stored under.
    pub entries: BTreeMap<String, Entry>,
    /// Texts and numbers beside them.
    pub metadata: BTreeMap<String, String>,
    /// What was found and left alone, for people.
    pub notes: Vec<String>,
}

impl Header {
    /// The element type that holds most bytes of the weights.
    pub fn precision(&self) -> Option<ElementType> {
        let mut bytes: BTreeMap<ElementType, u64> = BTreeMap::new();
        for entry in self
            .entries
            .values()
            .filter(|entry| entry.element.is_weight())
        {
            *bytes.entry(entry.element).or_default() += entry.len;
        }
        let most = bytes.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        Some(most.0)
    }
}

/// A file format.
pub struct Format {
    /// Stable id.
    pub id: &'static str,
    /// Whether a file of this length that begins with these bytes (at most 32) has it.
    pub sniff: fn(start: &[u8], len: u64) -> bool,
    /// Reads and checks the header; no tensor's data.
    pub read_header: fn(&ByteSource) -> Result<Header>,
}

/// Every format.
pub static FORMATS: &[Format] = &[
    Format {
        id: "safetensors",
        sniff: safetensors::sniff,
        read_header: safetensors::read_header,
    },
    Format {
        id: "gguf",
        sniff: gguf::sniff,
        read_header: gguf::read_header,
    },
    Format {
        id: "ckpt",
        sniff: ckpt::sniff,
        read_header: ckpt::read_header,
    },
];

/// The format of a file, by its first bytes.
///
/// # Errors
/// `BadFile` that says what the file looks like instead, `Io` when reading fails.
pub fn identify(source: &ByteSource) -> Result<&'static Format> {
    let mut start = [0; 32];
    let len = source.len().min(start.len() as u64) as usize;
    source.read_at(0, &mut start[..len])?;
    let known = FORMATS
        .iter()
        .find(|format| (format.sniff)(&start[..len], source.len()));
    known.ok_or_else(|| {
        let (problem, remedy) = appearance(&start[..len]);
        EngineError::bad_file(source.label(), problem, remedy)
    })
}

/// What a file that is no model looks like, and what helps.
fn appearance(start: &[u8]) -> (&'static str, &'static str) {
    let text = start.trim_ascii_start().to_ascii_lowercase();
    if start.is_empty() {
        ("the file is empty", "download it again")
    } else if text.starts_with(b"version https://git-lfs") {
        (
            "not the model but a note where it lies (Git LFS)",
            "download the file itself: `git lfs pull`",
        )
    } else if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        (
            "not a model but a web page saved under its name",
            "download the file itself, signed in where the site asks for it",
        )
    } else {
        (
            "neither safetensors nor GGUF nor a PyTorch checkpoint: its first bytes fit none",
            "the file is damaged or of another kind: download it again, or choose another",
        )
    }
}
