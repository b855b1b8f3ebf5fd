//! Small copies of pictures, cached by path, size and time of the file.

use std::path::Path;

use super::Library;
use super::date::unix_ms;
use super::files::{create_folder, write_replacing};
use crate::error::{EngineError, Result};
use crate::hash::sha256_hex;
use crate::raster::{Picture, encode_png, load_picture};

impl Library {
    /// A copy of a picture with no side longer than `max_px` (at least 1), its proportions kept. Made
    /// once, then read from the cache. The picture need not lie in the gallery.
    ///
    /// # Errors
    /// As [`load_picture`]. A cache that cannot be written is no error.
    pub fn thumbnail(&self, path: &Path, max_px: u32) -> Result<Picture> {
        let metadata = path
            .metadata()
            .map_err(|error| EngineError::io(path, "read", &error))?;
        let modified_ms = metadata.modified().map_or(0, unix_ms);
        let key = format!(
            "{}\0{}\0{modified_ms}\0{max_px}",
            path.display(),
            metadata.len()
        );
        let folder = self.root().join(".thumbnails");
        let cached = folder.join(format!("{}.png", &sha256_hex(key.as_bytes())[..32]));
        if let Ok(small) = load_picture(&cached) {
            return Ok(small);
        }
        let small = shrink(&load_picture(path)?, max_px.max(1));
        // Without a cache it is made again next time.
        drop(create_folder(&folder).and_then(|()| write_replacing(&cached, &encode_png(&small)?)));
        Ok(small)
    }
}

/// Averages pixels over the area each new pixel covers; smaller pictures stay as they are.
fn shrink(picture: &Picture, max_px: u32) -> Picture {
    let (wide, high) = (picture.width_px, picture.height_px);
    let longest = wide.max(high);
    if longest <= max_px {
        return picture.clone();
    }
    let scaled = |side: u32| {
        let side = (u64::from(side) * u64::from(max_px)).div_ceil(u64::from(longest));
        u32::try_from(side).unwrap_or(max_px).clamp(1, max_px)
    };
    let view = image::ImageBuffer::<image::Rgba<u8>, _>::from_raw(wide, high, &*picture.rgba);
    view.map(|view| image::imageops::thumbnail(&view, scaled(wide), scaled(high)))
        .and_then(|small| Picture::new(small.width(), small.height(), small.into_raw()))
        .unwrap_or_else(|| picture.clone())
}
