//! Tables of which few rows are ever wanted, such as those of tokens: large ones stay in the file.

use super::Stored;
use super::slot::Origin;
use crate::cancel::CancelToken;
use crate::error::Result;

/// Tables up to this size are read whole.
const SMALL_BYTES: u64 = 1 << 20;
/// So much is read at once to check a table that stays in its file.
const CHECK_BYTES: u64 = 4 << 20;

/// A checked table (rows, channels).
#[derive(Debug)]
pub struct StoredRows {
    channels: usize,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// All rows: of a small table, or of one whose rows cannot be read alone.
    Memory(Stored),
    File(Origin),
}

impl StoredRows {
    /// Reads all rows once, so that what is wrong with the table is known at once.
    ///
    /// # Errors
    /// `Cancelled`, or as [`Stored::read`].
    pub(super) fn open(origin: Origin, cancel: &CancelToken) -> Result<Self> {
        let entry = &origin.entry;
        let count = entry.shape.first().copied().unwrap_or(0);
        let channels = entry.count() / count.max(1);
        let alone = entry.rows(0, 1).map_or(0, |row| row.len);
        if entry.len <= SMALL_BYTES || alone == 0 {
            let held = Held::Memory(origin.read()?);
            return Ok(Self { channels, held });
        }
        let together = (CHECK_BYTES / alone).max(1) as usize;
        for from in (0..count).step_by(together) {
            cancel.check()?;
            if let Some(piece) = entry.rows(from, count.min(from + together)) {
                Stored::read(&origin.source, &origin.name, &piece)?;
            }
        }
        let held = Held::File(origin);
        Ok(Self { channels, held })
    }

    /// One row as f32; `None` outside of the table.
    ///
    /// # Errors
    /// `BadFile` when the file was changed or cut off since it was opened, `Io` when reading fails.
    pub fn row(&self, index: usize) -> Result<Option<Vec<f32>>> {
        match &self.held {
            Held::Memory(stored) => {
                let from = index.saturating_mul(self.channels);
                Ok(stored.to_f32_part(from..from.saturating_add(self.channels)))
            }
            Held::File(origin) => {
                let Some(entry) = origin.entry.rows(index, index.saturating_add(1)) else {
                    return Ok(None);
                };
                let row = Origin {
                    entry,
                    ..origin.clone()
                };
                row.read().map(|stored| Some(stored.into_f32()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::EngineError;
    use crate::weights::element::{Blocks, ElementType, Entry};
    use crate::weights::files::ByteSource;

    const ROWS: usize = 1 << 15;
    const CHANNELS: usize = 64;

    fn value(at: usize) -> f32 {
        (at % 251) as f32 - 100.0
    }

    /// A table of more than a megabyte in that type, behind 8 other bytes.
    fn table(path: &std::path::Path, element: ElementType) -> Origin {
        let values = (0..ROWS * CHANNELS).map(value);
        let mut bytes = vec![7; 8];
        match element {
            ElementType::F16 => {
                bytes.extend(values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()));
            }
            // 32 whole numbers behind a scale of one.
            ElementType::Blocks(Blocks::Q8_0) => {
                let all: Vec<f32> = values.collect();
                for block in all.chunks(32) {
                    bytes.extend(half::f16::from_f32(1.0).to_le_bytes());
                    bytes.extend(block.iter().map(|v| (v / 2.0).trunc() as i8 as u8));
                }
            }
            _ => bytes.extend(values.flat_map(f32::to_le_bytes)),
        }
        std::fs::write(path, &bytes).unwrap();
        Origin {
            source: Arc::new(ByteSource::open(path).unwrap()),
            name: "tokens".to_owned(),
            entry: Entry {
                element,
                shape: vec![ROWS, CHANNELS],
                offset: 8,
                len: bytes.len() as u64 - 8,
                strides: None,
            },
        }
    }

    #[test]
    fn rows_of_a_large_table_come_from_the_file_and_are_those_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        for element in [
            ElementType::F32,
            ElementType::F16,
            ElementType::Blocks(Blocks::Q8_0),
        ] {
            let origin = table(&path, element);
            let whole = origin.read().unwrap();
            let rows = StoredRows::open(origin, &CancelToken::default()).unwrap();
            assert!(matches!(rows.held, Held::File(_)), "{element:?}");
            for row in [0, 1, 4097, ROWS - 1] {
                let from = row * CHANNELS;
                let wanted = whole.to_f32_part(from..from + CHANNELS).unwrap();
                assert_eq!(rows.row(row).unwrap(), Some(wanted), "{element:?} {row}");
            }
            assert_eq!(rows.row(ROWS).unwrap(), None);
            assert_eq!(rows.row(usize::MAX).unwrap(), None);
        }
    }

    #[test]
    fn what_is_wrong_with_a_table_is_known_when_it_is_opened_or_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let mut origin = table(&path, ElementType::F32);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        origin.source = Arc::new(ByteSource::open(&path).unwrap());
        assert!(StoredRows::open(origin, &CancelToken::default()).is_err());

        let rows =
            StoredRows::open(table(&path, ElementType::F32), &CancelToken::default()).unwrap();
        assert!(rows.row(5).is_ok());
        std::fs::write(&path, &bytes[..1000]).unwrap();
        match rows.row(5) {
            Err(EngineError::BadFile { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
}
