//! Planes on the graphics card: textures of 512 texels a side, at the level of detail the zoom asks
//! for, of which only tiles that changed are uploaded.
//!
//! At level k a texel is the mean of 2^k x 2^k pixels, so a picture of any size costs about as much
//! texture memory as the screen has pixels, and looks smooth when zoomed out. No texture is larger
//! than any graphics card takes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use egui::{ColorImage, Pos2, Rect, TextureFilter, TextureHandle, TextureOptions, pos2};

use super::view::ViewTransform;
use crate::studio::geometry::PixelRect;
use crate::studio::tiles::{Plane, TILE_PX, Tile};

/// Side of a texture in texels: two tiles.
const TEXTURE_TEXELS: u32 = 2 * TILE_PX;
/// Coarsest level: a tile is 4 texels wide.
const MAX_LEVEL: u32 = 6;
/// Textures kept of one layer, about 1 MiB each; what was not drawn for longest goes first.
const MAX_TEXTURES: usize = 160;

/// Zoom from which pixels are shown as squares; below it the picture is smoothed.
const SHARP_FROM_ZOOM: f32 = 4.5;

/// Time for uploads in one frame. What does not fit comes in the next frames.
pub(super) struct UploadBudget {
    until: Instant,
    /// Whether something was left for the next frame.
    pub(super) spent: bool,
}

impl UploadBudget {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            spent: false,
        }
    }

    fn allows(&mut self) -> bool {
        self.spent |= Instant::now() > self.until;
        !self.spent
    }
}

/// What turns pixels into texels.
pub(super) trait Texels<const C: usize> {
    /// Changes when the same pixels would give other texels.
    fn style(&self) -> u64;
    /// Writes the texels of a tile, `width * height` of them with `4` bytes each (premultiplied
    /// alpha), each for `step * step` pixels.
    fn write(&self, tile: &Tile<C>, area: &TexelArea, out: &mut Vec<u8>);
}

/// The part of a tile that has pixels inside the plane, and the size of a texel.
pub(super) struct TexelArea {
    /// Pixels inside the plane.
    pub(super) width_px: u32,
    /// Pixels inside the plane.
    pub(super) height_px: u32,
    /// Pixels a texel on each side.
    pub(super) step: u32,
}

impl TexelArea {
    /// Texels across and down.
    pub(super) fn texels(&self) -> [u32; 2] {
        [
            self.width_px.div_ceil(self.step),
            self.height_px.div_ceil(self.step),
        ]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TextureKey {
    level: u32,
    column: u32,
    row: u32,
    /// Shown enlarged: pixels stay squares.
    sharp: bool,
}

struct Texture {
    handle: TextureHandle,
    /// For each tile below it: revision and style of what was uploaded.
    shown: HashMap<usize, (u64, u64)>,
    used_frame: u64,
}

/// The textures of one plane.
#[derive(Default)]
pub(super) struct Layer {
    textures: HashMap<TextureKey, Texture>,
    size_px: [u32; 2],
    frame: u64,
}

impl Layer {
    /// Draws the part of `plane` that shows in `clip` (screen), uploading what changed.
    pub(super) fn draw<const C: usize>(
        &mut self,
        painter: &egui::Painter,
        plane: &Plane<C>,
        transform: &ViewTransform,
        texels: &impl Texels<C>,
        budget: &mut UploadBudget,
    ) {
        if self.size_px != plane.size_px() {
            self.textures.clear();
            self.size_px = plane.size_px();
        }
        self.frame += 1;
        let zoom = transform.scale * painter.pixels_per_point();
        let level = level_for(zoom);
        let span = TEXTURE_TEXELS << level;
        let visible = transform.pixels_from_screen(painter.clip_rect(), plane.size_px());
        if visible.is_empty() {
            return;
        }
        for row in visible.y0 / span..visible.y1.div_ceil(span) {
            for column in visible.x0 / span..visible.x1.div_ceil(span) {
                let key = TextureKey {
                    level,
                    column,
                    row,
                    sharp: zoom >= SHARP_FROM_ZOOM,
                };
                let rect = PixelRect {
                    x0: column * span,
                    y0: row * span,
                    x1: (column * span + span).min(plane.size_px()[0]),
                    y1: (row * span + span).min(plane.size_px()[1]),
                };
                self.update(painter.ctx(), plane, key, rect, texels, budget);
                self.put(painter, key, rect, transform);
            }
        }
        self.evict();
    }

    /// Uploads the tiles of a texture that changed.
    fn update<const C: usize>(
        &mut self,
        ctx: &egui::Context,
        plane: &Plane<C>,
        key: TextureKey,
        rect: PixelRect,
        texels: &impl Texels<C>,
        budget: &mut UploadBudget,
    ) {
        let step = 1 << key.level;
        let frame = self.frame;
        let texture = self
            .textures
            .entry(key)
            .or_insert_with(|| new_texture(ctx, rect, step, key.sharp));
        texture.used_frame = frame;
        let style = texels.style();
        for index in plane.tiles_in(rect) {
            let Some(tile) = plane.tile(index) else {
                continue;
            };
            let wanted = (tile.revision(), style);
            if texture.shown.get(&index) == Some(&wanted) {
                continue;
            }
            // At least one tile a frame, so that a slow machine gets there too.
            if !budget.allows() {
                return;
            }
            let place = plane.tile_rect(index);
            let area = TexelArea {
                width_px: place.width(),
                height_px: place.height(),
                step,
            };
            let [width, height] = area.texels().map(|side| side as usize);
            let mut bytes = Vec::with_capacity(width * height * 4);
            texels.write(tile, &area, &mut bytes);
            let image = ColorImage::from_rgba_premultiplied([width, height], &bytes);
            let at = [(place.x0 - rect.x0) / step, (place.y0 - rect.y0) / step];
            texture
                .handle
                .set_partial(at.map(|texel| texel as usize), image, options(key.sharp));
            texture.shown.insert(index, wanted);
        }
    }

    fn put(
        &self,
        painter: &egui::Painter,
        key: TextureKey,
        rect: PixelRect,
        transform: &ViewTransform,
    ) {
        let Some(texture) = self.textures.get(&key) else {
            return;
        };
        let step = 1 << key.level;
        let size = texture.handle.size();
        // The last texel may stand for fewer pixels than the others.
        let uv_max: Pos2 = pos2(
            rect.width() as f32 / (size[0] as u32 * step) as f32,
            rect.height() as f32 / (size[1] as u32 * step) as f32,
        );
        painter.image(
            texture.handle.id(),
            transform.screen_from_pixels(rect),
            Rect::from_min_max(Pos2::ZERO, uv_max),
            egui::Color32::WHITE,
        );
    }

    fn evict(&mut self) {
        if self.textures.len() <= MAX_TEXTURES {
            return;
        }
        let mut ages: Vec<u64> = self
            .textures
            .values()
            .map(|texture| texture.used_frame)
            .collect();
        ages.sort_unstable();
        let oldest_kept = ages[ages.len() - MAX_TEXTURES];
        let frame = self.frame;
        self.textures
            .retain(|_, texture| texture.used_frame >= oldest_kept || texture.used_frame == frame);
    }
}

/// The coarsest level whose texels are not larger than a screen pixel.
fn level_for(zoom: f32) -> u32 {
    let halvings = (1.0 / zoom.max(f32::MIN_POSITIVE)).log2() + 0.01;
    (halvings.max(0.0) as u32).min(MAX_LEVEL)
}

fn options(sharp: bool) -> TextureOptions {
    TextureOptions {
        magnification: if sharp {
            TextureFilter::Nearest
        } else {
            TextureFilter::Linear
        },
        ..TextureOptions::LINEAR
    }
}

fn new_texture(ctx: &egui::Context, rect: PixelRect, step: u32, sharp: bool) -> Texture {
    let size = [rect.width(), rect.height()].map(|side| side.div_ceil(step) as usize);
    let clear = ColorImage::from_rgba_premultiplied(size, &vec![0; size[0] * size[1] * 4]);
    Texture {
        handle: ctx.load_texture("canvas tile", clear, options(sharp)),
        shown: HashMap::new(),
        used_frame: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_zoom() {
        for (zoom, level) in [
            (64.0, 0),
            (1.0, 0),
            (0.51, 0),
            (0.5, 1),
            (0.3, 1),
            (0.25, 2),
            (1.0 / 64.0, 6),
            (0.001, 6),
        ] {
            assert_eq!(level_for(zoom), level, "{zoom}");
        }
    }
}
