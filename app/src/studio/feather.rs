//! The feather preview: the mask as a run would use it, blurred by the engine's own arithmetic.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use pentimento_engine::pipeline::mask::Feather as EngineFeather;
use pentimento_engine::raster::Mask;

use super::draft::StartMode;
use super::geometry::PixelRect;
use super::io_task::IoTask;
use super::mask::bounds;
use super::tiles::Plane;
use super::{Effect, Studio};

/// Shown where the model repaints but nothing is pasted: the margin that blur adds around the mask.
const MARGIN_LEVEL: u8 = 56;

/// The preview and what it was made from.
#[derive(Clone, Debug, Default)]
pub struct FeatherPreview {
    ready: Option<(u64, Plane<1>)>,
    asked: Option<u64>,
}

impl Studio {
    /// The blurred mask, if it is wanted and up to date.
    pub fn feather_shown(&self) -> Option<&Plane<1>> {
        let (key, plane) = self.feather.ready.as_ref()?;
        (self.feather_key()? == *key).then_some(plane)
    }

    /// Asks for the blurred mask when it is wanted and out of date. Call once a frame.
    pub fn feather_effect(&mut self) -> Option<Effect> {
        let key = self.feather_key()?;
        let is_ready = self
            .feather
            .ready
            .as_ref()
            .is_some_and(|(of, _)| *of == key);
        if is_ready || self.feather.asked.is_some() {
            return None;
        }
        let mask = self.document.canvas()?.mask.clone();
        self.feather.asked = Some(key);
        Some(Effect::Io(IoTask::Feather {
            key,
            mask,
            radius_px: self.draft.start.blur_px,
        }))
    }

    /// Takes the answer; `None` when it could not be made.
    pub(super) fn on_feather(&mut self, key: u64, plane: Option<Plane<1>>) {
        self.feather.asked = None;
        if let Some(plane) = plane {
            self.feather.ready = Some((key, plane));
        }
    }

    /// What a preview depends on; `None` while none is wanted or a stroke is being drawn.
    fn feather_key(&self) -> Option<u64> {
        let start = &self.draft.start;
        let canvas = self.document.canvas()?;
        let wanted = start.feather_preview
            && start.mode == StartMode::Repaint
            && start.blur_px > 0
            && !self.document.is_drawing()
            && self.document.has_mask();
        wanted.then(|| {
            let mut hasher = DefaultHasher::new();
            start.blur_px.hash(&mut hasher);
            for tile in canvas.mask.tiles() {
                tile.revision().hash(&mut hasher);
            }
            hasher.finish()
        })
    }
}

/// Blurs the painted part of a mask: 255 where the model's pixels are pasted in full, a low level
/// where they only surround, 0 elsewhere. Takes time in proportion to the painted area.
pub fn feathered(mask: &Plane<1>, radius_px: u32) -> Plane<1> {
    let [width, height] = mask.size_px();
    let mut out = Plane::flat(mask.size_px(), [0]);
    let Some(painted) = bounds(mask) else {
        return out;
    };
    // The blur's reach and the paste's neighbourhood lie within twice the radius.
    let margin = 2 * radius_px + 2;
    let area = PixelRect {
        x0: painted.x0.saturating_sub(margin),
        y0: painted.y0.saturating_sub(margin),
        x1: (painted.x1 + margin).min(width),
        y1: (painted.y1 + margin).min(height),
    };
    let mut values = Vec::with_capacity(area.width() as usize * area.height() as usize);
    for y in area.y0..area.y1 {
        values.extend((area.x0..area.x1).map(|x| mask.pixel(x, y)[0]));
    }
    let Some(crop) = Mask::new(area.width(), area.height(), values) else {
        return out;
    };
    let feather = EngineFeather::new(&crop, radius_px);
    let repainted = feather.repainted(&crop);
    let levels: Vec<u8> = feather
        .weights(&crop)
        .into_iter()
        .zip(repainted.values.iter())
        .map(|(weight, &repainted)| {
            let pasted = (weight * 255.0 + 0.5) as u8;
            pasted.max(if repainted > 0 { MARGIN_LEVEL } else { 0 })
        })
        .collect();
    put(&mut out, area, &levels);
    out
}

fn put(plane: &mut Plane<1>, area: PixelRect, levels: &[u8]) {
    for index in plane.tiles_in(area) {
        let rect = plane.tile_rect(index);
        let part = rect.intersection(&area);
        let Some(tile) = plane.tile_mut(index) else {
            continue;
        };
        let pixels = tile.pixels_mut();
        for y in part.y0..part.y1 {
            let from = ((y - area.y0) * area.width() + part.x0 - area.x0) as usize;
            let to = ((y - rect.y0) * super::tiles::TILE_PX + part.x0 - rect.x0) as usize;
            let width = part.width() as usize;
            pixels[to..to + width].copy_from_slice(&levels[from..from + width]);
        }
        plane.flatten_tile(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::geometry::ImagePoint;
    use crate::studio::region::{fill_outline, rectangle_outline};

    #[test]
    fn the_crop_gives_what_the_whole_mask_gives() {
        let mut mask = Plane::<1>::flat([400, 300], [0]);
        let outline =
            rectangle_outline(ImagePoint::new(150.0, 100.0), ImagePoint::new(280.0, 200.0));
        fill_outline(&mut mask, &outline, false);
        let preview = feathered(&mask, 12);
        let whole = crate::studio::document::mask_of_plane(&mask);
        let feather = EngineFeather::new(&whole, 12);
        let weights = feather.weights(&whole);
        let repainted = feather.repainted(&whole);
        for (at, value) in preview.to_bytes().into_iter().enumerate() {
            let pasted = (weights[at] * 255.0 + 0.5) as u8;
            let margin = if repainted.values[at] > 0 {
                MARGIN_LEVEL
            } else {
                0
            };
            assert!(value.abs_diff(pasted.max(margin)) <= 1, "pixel {at}");
        }
        assert_eq!(preview.pixel(215, 150), [255]);
        assert_eq!(preview.pixel(10, 10), [0]);
        assert!(preview.pixel(148, 150)[0] > 0, "the margin shows");
    }
}
