//! Pictures as plain 8-bit sRGB memory: what crosses between the engine and whoever shows it; and
//! the way from files (`decode`) and to files (`encode`).

mod decode;
mod encode;
mod header;
mod profile;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use decode::{
    MAX_FILE_BYTES, decode_picture, load_mask, load_picture, mask_from_picture, read_picture_file,
};
pub use encode::{TextChunk, encode_png, encode_png_mask, encode_png_with_text};

use serde::{Deserialize, Serialize};

/// An RGBA picture, 8 bits a channel, sRGB, straight (not premultiplied) alpha, rows from the top.
/// Cheap to clone: the pixels are shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Width in pixels, at least 1.
    pub width_px: u32,
    /// Height in pixels, at least 1.
    pub height_px: u32,
    /// `4 * width_px * height_px` bytes.
    pub rgba: Arc<[u8]>,
}

/// A grey picture, 8 bits: a mask (255 = repaint, 0 = keep).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// Width in pixels, at least 1.
    pub width_px: u32,
    /// Height in pixels, at least 1.
    pub height_px: u32,
    /// `width_px * height_px` bytes.
    pub values: Arc<[u8]>,
}

impl Picture {
    /// Wraps pixels. `None` when the length does not fit the size, or a side is 0.
    pub fn new(width_px: u32, height_px: u32, rgba: impl Into<Arc<[u8]>>) -> Option<Self> {
        let rgba = rgba.into();
        let fits = width_px > 0
            && height_px > 0
            && rgba.len() as u64 == 4 * u64::from(width_px) * u64::from(height_px);
        fits.then_some(Self {
            width_px,
            height_px,
            rgba,
        })
    }

    /// The four bytes at (x, y), both inside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let at = 4 * (y as usize * self.width_px as usize + x as usize);
        [
            self.rgba[at],
            self.rgba[at + 1],
            self.rgba[at + 2],
            self.rgba[at + 3],
        ]
    }
}

impl Mask {
    /// Wraps values. `None` when the length does not fit the size, or a side is 0.
    pub fn new(width_px: u32, height_px: u32, values: impl Into<Arc<[u8]>>) -> Option<Self> {
        let values = values.into();
        let fits = width_px > 0
            && height_px > 0
            && values.len() as u64 == u64::from(width_px) * u64::from(height_px);
        fits.then_some(Self {
            width_px,
            height_px,
            values,
        })
    }

    /// The value at (x, y), both inside the mask.
    pub fn value(&self, x: u32, y: u32) -> u8 {
        self.values[y as usize * self.width_px as usize + x as usize]
    }

    /// Whether nothing is painted.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|&value| value == 0)
    }
}
