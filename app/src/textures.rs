//! Pixels on the graphics card: one texture reused for previews, and bounded caches of thumbnails
//! and large pictures, filled by the gallery's decoder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use pentimento_engine::raster::Picture;

use crate::gallery_link::{Decoded, Detail};

/// Thumbnails kept at most: 400 of 256 x 256 pixels are 100 MiB.
const THUMBNAILS: usize = 400;
/// Large pictures kept at most: the shown one and its neighbours.
const LARGE: usize = 3;

/// A texture and the pixels it shows.
struct Held {
    handle: TextureHandle,
    shown: Arc<[u8]>,
}

/// A picture of the cache.
struct Slot {
    texture: Option<TextureHandle>,
    used: u64,
}

/// All textures of the panels.
#[derive(Default)]
pub struct Textures {
    preview: Option<Held>,
    thumbnails: HashMap<PathBuf, Slot>,
    large: HashMap<PathBuf, Slot>,
    wanted: Vec<(PathBuf, Detail)>,
    frame: u64,
}

impl Textures {
    /// The live preview, in one texture that is reused; uploaded when its pixels are others than
    /// last time.
    pub fn preview(&mut self, ctx: &Context, picture: &Picture) -> TextureHandle {
        match &mut self.preview {
            Some(held) if Arc::ptr_eq(&held.shown, &picture.rgba) => held.handle.clone(),
            Some(held) => {
                held.handle
                    .set(color_image(picture), TextureOptions::LINEAR);
                held.shown = Arc::clone(&picture.rgba);
                held.handle.clone()
            }
            None => {
                let image = color_image(picture);
                let handle = ctx.load_texture("preview", image, TextureOptions::LINEAR);
                self.preview = Some(Held {
                    handle: handle.clone(),
                    shown: Arc::clone(&picture.rgba),
                });
                handle
            }
        }
    }

    /// A file's thumbnail; `None` while it is on the way, or when the file cannot be read.
    pub fn thumbnail(&mut self, path: &Path) -> Option<TextureHandle> {
        self.get(path, Detail::Thumbnail)
    }

    /// A file's picture in full; its thumbnail while it is on the way.
    pub fn full(&mut self, path: &Path) -> Option<TextureHandle> {
        self.get(path, Detail::Full)
            .or_else(|| self.get(path, Detail::Thumbnail))
    }

    /// Lets thumbnails and large pictures go: another gallery is shown.
    pub fn forget_files(&mut self) {
        self.thumbnails.clear();
        self.large.clear();
        self.wanted.clear();
    }

    fn get(&mut self, path: &Path, detail: Detail) -> Option<TextureHandle> {
        let frame = self.frame;
        if let Some(slot) = self.cache(detail).get_mut(path) {
            slot.used = frame;
            return slot.texture.clone();
        }
        let slot = Slot {
            texture: None,
            used: frame,
        };
        self.cache(detail).insert(path.to_path_buf(), slot);
        self.wanted.push((path.to_path_buf(), detail));
        None
    }

    /// Hands what was missed in this frame to `ask`, and lets go what was not used for longest.
    /// What `ask` refuses is missed again when it is drawn next.
    pub fn end_frame(&mut self, ask: impl Fn(&Path, Detail) -> bool) {
        for (path, detail) in std::mem::take(&mut self.wanted) {
            if !ask(&path, detail) {
                self.cache(detail).remove(&path);
            }
        }
        evict(&mut self.thumbnails, THUMBNAILS);
        evict(&mut self.large, LARGE);
        self.frame += 1;
    }

    /// Takes a decoded picture in.
    pub fn decoded(&mut self, ctx: &Context, decoded: Decoded) {
        let Some(slot) = self.cache(decoded.detail).get_mut(&decoded.path) else {
            // Let go while it was on the way.
            return;
        };
        // A texture larger than the card allows cannot be made; the thumbnail is shown then.
        let most = ctx.input(|input| input.max_texture_side);
        slot.texture = decoded
            .picture
            .filter(|picture| picture.width_px.max(picture.height_px) as usize <= most)
            .map(|picture| {
                let name = decoded.path.display().to_string();
                ctx.load_texture(name, color_image(&picture), TextureOptions::LINEAR)
            });
    }

    fn cache(&mut self, detail: Detail) -> &mut HashMap<PathBuf, Slot> {
        match detail {
            Detail::Thumbnail => &mut self.thumbnails,
            Detail::Full => &mut self.large,
        }
    }
}

fn evict(cache: &mut HashMap<PathBuf, Slot>, most: usize) {
    if cache.len() <= most {
        return;
    }
    let mut used: Vec<u64> = cache.values().map(|slot| slot.used).collect();
    used.sort_unstable();
    let oldest_kept = used[used.len() - most];
    cache.retain(|_, slot| slot.used >= oldest_kept);
}

/// The picture as egui wants it.
pub fn color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgba_unmultiplied(
        [picture.width_px as usize, picture.height_px as usize],
        &picture.rgba,
    )
}
