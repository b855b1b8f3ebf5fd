//! Reads a journal back, up to its last whole entry.

use std::io::{self, Read};

use super::super::document::{Document, JournalEntry};
use super::super::edit::{Canvas, EditKind, Patch, PatchContent};
use super::super::tiles::{MAX_SIDE_PX, Plane, Tile};
use super::codec::Reader;
use super::write::{checksum, kind_of_code};
use super::{HEAD_BYTES, MAGIC, MAX_RECORD_BYTES, VERSION, shape, tag};

/// A journal read back.
#[derive(Debug)]
pub struct Recovered {
    /// The document with its undo steps.
    pub document: Document,
    /// Bytes up to the end of the last whole entry: cut the file here before appending.
    pub byte_len: u64,
    /// The number of the next record.
    pub next_record: u64,
}

/// Why a journal cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not a journal, or its head is damaged.
    NotAJournal,
    /// A newer program wrote it.
    Newer {
        /// Its version.
        version: u32,
    },
}

/// The entry that is being read.
struct Pending {
    shape: u8,
    kind: EditKind,
    canvas: Option<Canvas>,
    picture: Vec<(usize, Tile<4>)>,
    mask: Vec<(usize, Tile<1>)>,
}

/// Reads a journal to its end or to the first damage.
///
/// # Errors
/// The reader's own errors; a damaged or torn journal is none: what came before counts. The inner
/// result says why a file is no journal of ours.
pub fn recover(input: &mut impl Read) -> io::Result<Result<Recovered, Refused>> {
    let mut head = [0; HEAD_BYTES];
    if read_full(input, &mut head)? < HEAD_BYTES || head[..8] != MAGIC {
        return Ok(Err(Refused::NotAJournal));
    }
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if version > VERSION {
        return Ok(Err(Refused::Newer { version }));
    }
    let mut document = Document::default();
    let (mut byte_len, mut next_record) = (HEAD_BYTES as u64, 0);
    let (mut position, mut number) = (byte_len, 0_u64);
    let mut pending = None;
    while let Some(content) = read_record(input, number)? {
        position += 8 + content.len() as u64;
        number += 1;
        match take_record(&content, &mut pending, &mut document) {
            Some(true) => (byte_len, next_record) = (position, number),
            Some(false) => {}
            None => break,
        }
    }
    Ok(Ok(Recovered {
        document,
        byte_len,
        next_record,
    }))
}

/// The next record's content; `None` at the end, torn or damaged.
fn read_record(input: &mut impl Read, number: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 8];
    if read_full(input, &mut head)? < head.len() {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let wanted = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if length == 0 || length > MAX_RECORD_BYTES {
        return Ok(None);
    }
    let mut content = Vec::new();
    input.take(length as u64).read_to_end(&mut content)?;
    let whole = content.len() == length && checksum(number, &content) == wanted;
    Ok(whole.then_some(content))
}

/// Reads until the buffer is full or the input ends; returns the bytes read.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Takes a record in. `Some(true)`: an entry is whole; `None`: the record makes no sense here.
fn take_record(
    content: &[u8],
    pending: &mut Option<Pending>,
    document: &mut Document,
) -> Option<bool> {
    let mut reader = Reader::new(content);
    match (reader.u8()?, pending.as_mut()) {
        (tag::BEGIN, None) => {
            *pending = Some(begin(&mut reader)?);
            Some(false)
        }
        (tag::PICTURE_TILES, Some(pending)) => {
            read_tiles(&mut reader, &mut pending.picture)?;
            Some(false)
        }
        (tag::MASK_TILES, Some(pending)) => {
            read_tiles(&mut reader, &mut pending.mask)?;
            Some(false)
        }
        (tag::COMMIT, Some(_)) => {
            commit(pending.take()?, document);
            Some(true)
        }
        (tag::UNDO, None) => {
            document.replay(JournalEntry::Undo);
            Some(true)
        }
        (tag::REDO, None) => {
            document.replay(JournalEntry::Redo);
            Some(true)
        }
        _ => None,
    }
}

fn begin(reader: &mut Reader<'_>) -> Option<Pending> {
    let shape = reader.u8()?;
    let kind = kind_of_code(reader.u8()?);
    let has_canvas = shape == shape::BASE || shape == shape::WHOLE;
    let canvas = if has_canvas {
        let size = [reader.u32()?, reader.u32()?];
        if !size.iter().all(|side| (1..=MAX_SIDE_PX).contains(side)) {
            return None;
        }
        Some(Canvas::new(reader.text()?, Plane::flat(size, [0; 4])))
    } else {
        None
    };
    Some(Pending {
        shape,
        kind,
        canvas,
        picture: Vec::new(),
        mask: Vec::new(),
    })
}

fn read_tiles<const C: usize>(
    reader: &mut Reader<'_>,
    tiles: &mut Vec<(usize, Tile<C>)>,
) -> Option<()> {
    while !reader.is_at_end() {
        tiles.push((reader.u32()? as usize, reader.tile()?));
    }
    Some(())
}

fn commit(pending: Pending, document: &mut Document) {
    let content = if pending.shape == shape::TILES {
        PatchContent::Tiles {
            picture: pending.picture,
            mask: pending.mask,
        }
    } else {
        let canvas = pending.canvas.map(|mut canvas| {
            for (index, tile) in pending.picture {
                canvas.picture.set_tile(index, tile);
            }
            for (index, tile) in pending.mask {
                canvas.mask.set_tile(index, tile);
            }
            Box::new(canvas)
        });
        if pending.shape & !shape::NOTHING == shape::BASE {
            *document = Document::from_canvas(canvas.map(|canvas| *canvas));
            return;
        }
        PatchContent::Whole(canvas)
    };
    document.replay(JournalEntry::Edit(Patch {
        kind: pending.kind,
        content,
    }));
}
