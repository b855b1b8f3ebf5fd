//! A recipe inside a picture file: written for others as A1111's `parameters`, for ourselves as the
//! whole record in JSON; read back from ours first, else from whatever dialect the file speaks.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::dialects::{DIALECTS, KEYWORDS, a1111};
use super::{Outcome, Record, exif, png_text};
use crate::error::{EngineError, Result};
use crate::raster::{Picture, encode_png_with_text};

/// Keyword of the PNG text chunk with our record in JSON.
pub const RECORD_KEYWORD: &str = "pentimento";

/// Keyword of the PNG text chunk with A1111's text.
pub const PARAMETERS_KEYWORD: &str = "parameters";

/// Who wrote the recipe that was found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// This program: everything is there.
    Pentimento,
    /// A1111's `parameters`, as many tools write it (Forge, sd.cpp, Krita's plugin…).
    A1111,
    /// ComfyUI's graph.
    ComfyUi,
    /// Fooocus.
    Fooocus,
    /// InvokeAI of any age.
    InvokeAi,
    /// NovelAI.
    NovelAi,
    /// SwarmUI.
    SwarmUi,
}

impl Dialect {
    /// The program's name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pentimento => "Pentimento",
            Self::A1111 => "A1111",
            Self::ComfyUi => "ComfyUI",
            Self::Fooocus => "Fooocus",
            Self::InvokeAi => "InvokeAI",
            Self::NovelAi => "NovelAI",
            Self::SwarmUi => "SwarmUI",
        }
    }
}

/// Size and texts of a picture file.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Width and height in pixels, as the header says.
    pub size_px: [u32; 2],
    /// Keyword and text, in the file's order; at most one for each keyword.
    texts: Vec<(String, String)>,
    /// What was wanted but broken or too long.
    pub(super) problems: Vec<String>,
}

impl Texts {
    /// The text of that keyword.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(key, _)| key == keyword);
        found.map(|(_, text)| text.as_str())
    }

    /// Adds a text unless one of that keyword is there.
    pub fn add(&mut self, keyword: &str, text: String) {
        if self.get(keyword).is_none() {
            self.texts.push((keyword.to_owned(), text));
        }
    }
}

/// A recipe found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRecord {
    /// The recipe, and the outcome where it is known.
    pub record: Record,
    /// Who wrote it.
    pub dialect: Dialect,
    /// What could not be honoured or differs in this program, one sentence a field.
    pub notes: Vec<String>,
    /// The picture's width and height in pixels, as its header says.
    pub size_px: [u32; 2],
}

/// A PNG file with its recipe inside. No text but ours is written.
///
/// # Errors
/// As [`crate::raster::encode_png`].
pub fn encode_png_with_record(picture: &Picture, record: &Record) -> Result<Vec<u8>> {
    encode_png_with_text(
        picture,
        &[
            (PARAMETERS_KEYWORD, Cow::Owned(a1111::write(record))),
            (RECORD_KEYWORD, Cow::Owned(record.to_json())),
        ],
    )
}

/// Reads the recipe of a PNG, JPEG or WebP file in memory; `name` is what errors call it. `None`: it has none that
/// can be read.
///
/// # Errors
/// `BadFile` for a record that is of a newer major version, or broken with nothing else to read.
pub fn read_record(bytes: &[u8], name: impl AsRef<Path>) -> Result<Option<FoundRecord>> {
    read_from(Cursor::new(bytes), name.as_ref())
}

/// Reads the recipe of a PNG, JPEG or WebP file without decoding the picture. `None`: it has none
/// that can be read, or is none of these.
///
/// # Errors
/// `Io` when the file cannot be read, and those of [`read_record`].
pub fn read_record_file(path: &Path) -> Result<Option<FoundRecord>> {
    let file = File::open(path).map_err(|error| EngineError::io(path, "read", &error))?;
    read_from(BufReader::new(file), path)
}

/// A PNG file's width and height in pixels, and its recipe or why that cannot be read. `None`: it is
/// no PNG.
///
/// # Errors
/// `Io` when the file cannot be read.
pub(crate) fn peek_png(path: &Path) -> Result<Option<Peek>> {
    let file = File::open(path).map_err(|error| EngineError::io(path, "read", &error))?;
    let text = png_text::read(BufReader::new(file), &keywords())
        .map_err(|error| EngineError::io(path, "read", &error))?;
    Ok(text.map(|text| (text.size_px, interpret(&text, path))))
}

/// Size in pixels and recipe of a file.
pub(crate) type Peek = ([u32; 2], Result<Option<FoundRecord>>);

fn read_from(file: impl Read + Seek, name: &Path) -> Result<Option<FoundRecord>> {
    match texts(file, name)? {
        Some(text) => interpret(&text, name),
        None => Ok(None),
    }
}

fn texts(file: impl Read + Seek, name: &Path) -> Result<Option<Texts>> {
    by_format(file).map_err(|error| EngineError::io(name, "read", &error))
}

fn by_format(mut file: impl Read + Seek) -> std::io::Result<Option<Texts>> {
    let mut magic = Vec::new();
    file.by_ref().take(12).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    if magic.starts_with(b"\xff\xd8\xff") {
        return exif::read_jpeg(file).map(Some);
    }
    if magic.starts_with(b"RIFF") && magic.ends_with(b"WEBP") {
        return exif::read_webp(file).map(Some);
    }
    png_text::read(file, &keywords())
}

/// Every text that is read from a PNG.
fn keywords() -> Vec<&'static str> {
    [RECORD_KEYWORD].iter().chain(KEYWORDS).copied().collect()
}

fn interpret(text: &Texts, name: &Path) -> Result<Option<FoundRecord>> {
    let size_px = text.size_px;
    let mut notes = text.problems.clone();
    let ours = text.get(RECORD_KEYWORD).map(Record::from_json);
    let refused = match ours {
        Some(Ok(record)) => {
            notes.extend(record.recipe.revision_warnings());
            return Ok(Some(FoundRecord {
                record,
                dialect: Dialect::Pentimento,
                notes,
                size_px,
            }));
        }
        // Newer: A1111's text beside it would open as something less than what it is.
        Some(Err(EngineError::InvalidRequest { field, why })) if field.ends_with("version") => {
            return Err(EngineError::bad_file(
                name,
                why,
                "the picture itself can be opened",
            ));
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    let foreign = DIALECTS
        .iter()
        .find_map(|spec| Some((spec.dialect, (spec.read)(text)?)));
    match foreign {
        Some((dialect, foreign)) => {
            notes.extend(refused.map(|error| {
                format!("the full record is broken ({error}): the short text was read instead")
            }));
            notes.extend(foreign.notes);
            Ok(Some(FoundRecord {
                record: Record {
                    recipe: foreign.recipe,
                    outcome: Outcome::default(),
                },
                dialect,
                notes,
                size_px,
            }))
        }
        None => match refused {
            Some(error) => Err(EngineError::bad_file(
                name,
                format!("the recipe inside is broken: {error}"),
                "the picture itself can be opened",
            )),
            None => Ok(None),
        },
    }
}
