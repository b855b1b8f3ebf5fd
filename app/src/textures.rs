//! Pixels on the graphics card: one texture for the canvas's picture, one reused for previews, and
//! a bounded cache of thumbnails.

use std::sync::Arc;

use egui::{ColorImage, TextureHandle, TextureOptions};
use pentimento_engine::raster::Picture;

/// A texture and the pixels it shows.
struct Held {
    handle: TextureHandle,
    shown: Arc<[u8]>,
}

/// All textures of the window.
#[derive(Default)]
pub struct Textures {
    document: Option<Held>,
    preview: Option<Held>,
}

impl Textures {
    /// The canvas's picture; uploaded when its pixels are others than last time.
    pub fn document(&mut self, ctx: &egui::Context, picture: &Picture) -> TextureHandle {
        hold(&mut self.document, ctx, "document", picture)
    }

    /// The live preview, in one texture that is reused.
    pub fn preview(&mut self, ctx: &egui::Context, picture: &Picture) -> TextureHandle {
        hold(&mut self.preview, ctx, "preview", picture)
    }
}

fn hold(
    slot: &mut Option<Held>,
    ctx: &egui::Context,
    name: &str,
    picture: &Picture,
) -> TextureHandle {
    match slot {
        Some(held) if Arc::ptr_eq(&held.shown, &picture.rgba) => held.handle.clone(),
        Some(held) => {
            held.handle
                .set(color_image(picture), TextureOptions::LINEAR);
            held.shown = Arc::clone(&picture.rgba);
            held.handle.clone()
        }
        None => {
            let handle = ctx.load_texture(name, color_image(picture), TextureOptions::LINEAR);
            *slot = Some(Held {
                handle: handle.clone(),
                shown: Arc::clone(&picture.rgba),
            });
            handle
        }
    }
}

/// The picture as egui wants it.
pub fn color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgba_unmultiplied(
        [picture.width_px as usize, picture.height_px as usize],
        &picture.rgba,
    )
}
