//! Writes journal entries as records.

use std::io::{self, Write};

use super::super::document::JournalEntry;
use super::super::edit::{Canvas, EditKind, Patch, PatchContent};
use super::super::tiles::Tile;
use super::codec::{put_text, put_tile, put_u32};
use super::{MAGIC, TILES_PER_PART, VERSION, shape, tag};

/// Appends records; counts their numbers and bytes.
pub struct JournalWriter<W> {
    out: W,
    next_record: u64,
    byte_len: u64,
}

impl<W: Write> JournalWriter<W> {
    /// Starts a new journal with the state before the first edit.
    ///
    /// # Errors
    /// The writer's.
    pub fn create(mut out: W, base: Option<&Canvas>) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        put_u32(&mut head, VERSION);
        put_u32(&mut head, 0);
        out.write_all(&head)?;
        let mut writer = Self {
            out,
            next_record: 0,
            byte_len: head.len() as u64,
        };
        writer.whole(shape::BASE, EditKind::Open, base)?;
        Ok(writer)
    }

    /// Goes on with a journal that was recovered up to this record and length.
    pub fn resume(out: W, next_record: u64, byte_len: u64) -> Self {
        Self {
            out,
            next_record,
            byte_len,
        }
    }

    /// Appends one entry.
    ///
    /// # Errors
    /// The writer's; the journal then ends in a torn entry, which recovery drops.
    pub fn append(&mut self, entry: &JournalEntry) -> io::Result<()> {
        match entry {
            JournalEntry::Undo => self.record(&[tag::UNDO]),
            JournalEntry::Redo => self.record(&[tag::REDO]),
            JournalEntry::Edit(Patch { kind, content }) => match content {
                PatchContent::Tiles { picture, mask } => {
                    self.record(&[tag::BEGIN, shape::TILES, kind_code(*kind)])?;
                    self.parts(tag::PICTURE_TILES, picture.iter().map(pair))?;
                    self.parts(tag::MASK_TILES, mask.iter().map(pair))?;
                    self.record(&[tag::COMMIT])
                }
                PatchContent::Whole(canvas) => self.whole(shape::WHOLE, *kind, canvas.as_deref()),
            },
        }
    }

    /// Bytes of the journal so far.
    pub fn byte_len(&self) -> u64 {
        self.byte_len
    }

    /// What it writes to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn whole(&mut self, shape: u8, kind: EditKind, canvas: Option<&Canvas>) -> io::Result<()> {
        let Some(canvas) = canvas else {
            self.record(&[tag::BEGIN, shape | shape::NOTHING, kind_code(kind)])?;
            return self.record(&[tag::COMMIT]);
        };
        let mut begin = vec![tag::BEGIN, shape, kind_code(kind)];
        for side in canvas.size_px() {
            put_u32(&mut begin, side);
        }
        put_text(&mut begin, &canvas.title);
        self.record(&begin)?;
        self.parts(
            tag::PICTURE_TILES,
            canvas.picture.tiles().iter().enumerate(),
        )?;
        self.parts(tag::MASK_TILES, canvas.mask.tiles().iter().enumerate())?;
        self.record(&[tag::COMMIT])
    }

    fn parts<'tiles, const C: usize>(
        &mut self,
        tag: u8,
        tiles: impl Iterator<Item = (usize, &'tiles Tile<C>)>,
    ) -> io::Result<()> {
        let mut part = vec![tag];
        let mut count = 0;
        for (index, tile) in tiles {
            put_u32(&mut part, index as u32);
            put_tile(&mut part, tile);
            count += 1;
            if count == TILES_PER_PART {
                self.record(&part)?;
                part.truncate(1);
                count = 0;
            }
        }
        if count > 0 {
            self.record(&part)?;
        }
        Ok(())
    }

    fn record(&mut self, content: &[u8]) -> io::Result<()> {
        let mut head = Vec::with_capacity(8);
        put_u32(&mut head, content.len() as u32);
        put_u32(&mut head, checksum(self.next_record, content));
        self.out.write_all(&head)?;
        self.out.write_all(content)?;
        self.next_record += 1;
        self.byte_len += (head.len() + content.len()) as u64;
        Ok(())
    }
}

fn pair<const C: usize>((index, tile): &(usize, Tile<C>)) -> (usize, &Tile<C>) {
    (*index, tile)
}

/// CRC-32 over a record's number and content: a record that stands in the wrong place fails too.
pub(super) fn checksum(number: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// The place in [`EditKind::ALL`], which only ever grows at its end.
fn kind_code(kind: EditKind) -> u8 {
    let place = EditKind::ALL.iter().position(|known| *known == kind);
    place.map_or(u8::MAX, |place| place as u8)
}

/// The kind of a code; one that a newer program wrote counts as `Open`.
pub(super) fn kind_of_code(code: u8) -> EditKind {
    let known = EditKind::ALL.get(usize::from(code));
    known.copied().unwrap_or(EditKind::Open)
}
