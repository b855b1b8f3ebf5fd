//! A model, or parts of one, in a single file: its header, sorted into parts.

use std::collections::BTreeMap;
use std::path::Path;

use super::element::{self, ElementType, Entry};
use super::files::ByteSource;
use super::format::{self, Header};
use super::names::{self, Entries, TextKind};
use crate::error::Result;

/// Most bytes that a question about a model's kind may read of one tensor.
const PROBE_LIMIT_BYTES: u64 = 64 << 10;

/// An open file with its tensors under diffusers' names.
#[derive(Debug)]
pub struct SingleFile {
    /// The file.
    pub source: ByteSource,
    /// Id of its format, one of `format::FORMATS`.
    pub format: &'static str,
    /// Texts and numbers beside the tensors.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by part (`unet`, `vae`, `text_encoder`…) and diffusers' name.
    pub parts: BTreeMap<String, Entries>,
    /// Whose text transformer each text encoder is.
    pub text: BTreeMap<String, TextKind>,
    /// The element type that holds most bytes.
    pub precision: Option<ElementType>,
    /// Names of all tensors as they are stored.
    pub stored: Vec<String>,
    /// What was found and left alone, for people.
    pub notes: Vec<String>,
}

impl SingleFile {
    /// Opens a file of any format and reads its header.
    ///
    /// # Errors
    /// `BadFile` when it has no known format or its header is broken, `Io` when reading fails.
    pub fn open(path: &Path) -> Result<Self> {
        let source = ByteSource::open(path)?;
        let format = format::identify(&source)?;
        let header = (format.read_header)(&source)?;
        let precision = header.precision();
        let Header {
            entries,
            metadata,
            mut notes,
        } = header;
        let stored = entries.keys().cloned().collect();
        let sorted = names::sort(entries);
        if let Some(first) = sorted.rest.first()
            && !sorted.parts.is_empty()
        {
            let count = sorted.rest.len();
            notes.push(format!(
                "{count} tensors belong to no known part, the first is “{first}”"
            ));
        }
        Ok(Self {
            source,
            format: format.id,
            metadata,
            parts: sorted.parts,
            text: sorted.text,
            precision,
            stored,
            notes,
        })
    }

    /// A tensor of a part.
    pub fn entry(&self, part: &str, name: &str) -> Option<&Entry> {
        self.parts.get(part)?.get(name)
    }

    /// Whether the file holds a tensor of that stored name.
    pub fn stores(&self, name: &str) -> bool {
        self.stored
            .binary_search_by(|stored| stored.as_str().cmp(name))
            .is_ok()
    }

    /// The numbers of a small tensor, where a model's kind shows in nothing else; `None` when it is
    /// missing or not small.
    ///
    /// # Errors
    /// `BadFile` when the file ends before, `Io` when reading fails.
    pub fn probe(&self, part: &str, name: &str) -> Result<Option<Vec<f32>>> {
        let small = |entry: &&Entry| entry.len <= PROBE_LIMIT_BYTES;
        match self.entry(part, name).filter(small) {
            Some(entry) => Ok(element::to_f32(&entry.read(&self.source)?, entry.element)),
            None => Ok(None),
        }
    }
}
