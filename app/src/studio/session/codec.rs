//! Bytes of tiles and numbers, little-endian; reading is bounded and never panics.

use super::super::tiles::{TILE_PX, Tile};

/// Reads values from the front of a slice; `None` where it ends early.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A tile as [`put_tile`] wrote it.
    pub(super) fn tile<const C: usize>(&mut self) -> Option<Tile<C>> {
        match self.u8()? {
            0 => {
                let value = self.take(C)?;
                Some(Tile::flat(std::array::from_fn(|channel| value[channel])))
            }
            1 => {
                let length = self.u32()? as usize;
                let packed = self.take(length)?;
                let mut pixels = vec![0; (TILE_PX * TILE_PX) as usize * C];
                let unpacked = lz4_flex::block::decompress_into(packed, &mut pixels).ok()?;
                (unpacked == pixels.len()).then(|| Tile::from_pixels(pixels))?
            }
            _ => None,
        }
    }
}

/// A number.
pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Text with its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len() as u32);
    out.extend_from_slice(text.as_bytes());
}

/// A tile: its single value, or its pixels packed by LZ4.
pub(super) fn put_tile<const C: usize>(out: &mut Vec<u8>, tile: &Tile<C>) {
    match (tile.flat_value(), tile.pixels()) {
        (Some(value), _) => {
            out.push(0);
            out.extend_from_slice(&value);
        }
        (None, pixels) => {
            out.push(1);
            let packed = lz4_flex::block::compress(pixels.unwrap_or_default());
            put_u32(out, packed.len() as u32);
            out.extend_from_slice(&packed);
        }
    }
}
