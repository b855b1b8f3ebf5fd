//! Brush strokes on the mask: pointer samples in image pixels become a gapless band of capsules
//! (a segment with round ends), drawn into the touched tiles only.
//!
//! A capsule is the exact sweep of the round brush along the segment, so a stroke has no gaps and
//! no scallops however fast the pointer moves; long segments are cut into even pieces to keep the
//! area of each piece near the brush's own.

use serde::{Deserialize, Serialize};

use super::edit::{Recorder, TileChange};
use super::geometry::{ImagePoint, PixelRect};
use super::tiles::{Plane, TILE_PX};

/// Smallest brush in pixels across.
pub const MIN_BRUSH_PX: f32 = 1.0;
/// Largest brush in pixels across.
pub const MAX_BRUSH_PX: f32 = 512.0;

/// A round brush.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brush {
    /// Diameter in image pixels, [`MIN_BRUSH_PX`] to [`MAX_BRUSH_PX`].
    pub size_px: f32,
    /// Share of the radius that is painted fully, 0 (soft) to 1 (hard).
    pub hardness: f32,
    /// Takes the mask away instead of adding to it.
    pub erase: bool,
}

impl Brush {
    /// The same brush with its values brought into range.
    #[must_use]
    pub fn clamped(self) -> Self {
        let size_px = if self.size_px.is_finite() {
            self.size_px
        } else {
            MIN_BRUSH_PX
        };
        Self {
            size_px: size_px.clamp(MIN_BRUSH_PX, MAX_BRUSH_PX),
            hardness: if self.hardness.is_finite() {
                self.hardness.clamp(0.0, 1.0)
            } else {
                1.0
            },
            erase: self.erase,
        }
    }

    /// Radius of the fully painted core and radius beyond which nothing is painted. At least one
    /// pixel lies between them, which smooths the edge of a hard brush.
    fn radii(&self) -> (f32, f32) {
        let radius = self.size_px / 2.0;
        let core = (radius * self.hardness).min(radius - 0.5).max(0.0);
        (core, radius + 0.5)
    }
}

/// A stroke that is being drawn.
#[derive(Clone, Debug)]
pub struct Stroke {
    brush: Brush,
    /// The last sample, and the point up to which capsules are drawn.
    sample: ImagePoint,
    drawn_to: ImagePoint,
    recorder: Recorder<1>,
}

impl Stroke {
    /// Starts with a dab at `at`.
    pub fn begin(brush: Brush, at: ImagePoint, mask: &mut Plane<1>) -> Self {
        let mut stroke = Self {
            brush: brush.clamped(),
            sample: at,
            drawn_to: at,
            recorder: Recorder::default(),
        };
        stroke.capsule(mask, at, at);
        stroke
    }

    /// Draws on to the next sample. Samples closer than a twentieth of the brush to what is drawn
    /// wait for more, so that a fast mouse costs no more than a slow one.
    pub fn line_to(&mut self, point: ImagePoint, mask: &mut Plane<1>) {
        if !point.is_finite() {
            return;
        }
        self.sample = point;
        let wait_px = (self.brush.size_px / 20.0).clamp(0.25, 16.0);
        if self.drawn_to.distance(point) >= wait_px {
            self.draw_to(point, mask);
        }
    }

    /// Draws what still waits and returns the changed tiles.
    pub fn finish(mut self, mask: &mut Plane<1>) -> Vec<TileChange<1>> {
        let end = self.sample;
        if self.drawn_to != end {
            self.draw_to(end, mask);
        }
        self.recorder.finish(mask)
    }

    /// Takes the whole stroke back.
    pub fn abort(self, mask: &mut Plane<1>) {
        self.recorder.roll_back(mask);
    }

    /// The brush it is drawn with.
    pub fn brush(&self) -> Brush {
        self.brush
    }

    /// The last sample.
    pub fn last_point(&self) -> ImagePoint {
        self.sample
    }

    fn draw_to(&mut self, point: ImagePoint, mask: &mut Plane<1>) {
        let from = self.drawn_to;
        let piece_px = (self.brush.size_px / 2.0).max(8.0);
        // A sample may be far outside the picture: the number of pieces stays bounded.
        let pieces = (from.distance(point) / piece_px).ceil().clamp(1.0, 4096.0) as u32;
        for piece in 0..pieces {
            let start = from.lerp(point, piece as f32 / pieces as f32);
            let end = from.lerp(point, (piece + 1) as f32 / pieces as f32);
            self.capsule(mask, start, end);
        }
        self.drawn_to = point;
    }

    fn capsule(&mut self, mask: &mut Plane<1>, a: ImagePoint, b: ImagePoint) {
        let (_, outer) = self.brush.radii();
        let min = ImagePoint::new(a.x.min(b.x) - outer, a.y.min(b.y) - outer);
        let max = ImagePoint::new(a.x.max(b.x) + outer, a.y.max(b.y) + outer);
        let bounds = PixelRect::covering(min, max, mask.size_px());
        let full = if self.brush.erase { [0] } else { [255] };
        for index in mask.tiles_in(bounds) {
            let rect = mask.tile_rect(index);
            let part = bounds.intersection(&rect);
            if mask
                .tile(index)
                .is_none_or(|tile| tile.flat_value() == Some(full))
            {
                continue;
            }
            if let Some(tile) = self.recorder.touch(mask, index) {
                let pixels = tile.pixels_mut();
                let shape = Capsule::new(a, b, &self.brush);
                for y in part.y0..part.y1 {
                    let row = ((y - rect.y0) * TILE_PX) as usize;
                    let (x0, x1) = shape.row_extent(y, &part);
                    let start = row + (x0 - rect.x0) as usize;
                    let end = row + (x1.max(x0) - rect.x0) as usize;
                    shape.row(x0, y, self.brush.erase, &mut pixels[start..end]);
                }
            }
        }
    }
}

/// One piece of a stroke, ready to be sampled.
struct Capsule {
    a: ImagePoint,
    /// From a to b.
    d: ImagePoint,
    /// 1 / |d|², 0 for a dab.
    inverse_length2: f32,
    core: f32,
    outer: f32,
}

impl Capsule {
    fn new(a: ImagePoint, b: ImagePoint, brush: &Brush) -> Self {
        let d = ImagePoint::new(b.x - a.x, b.y - a.y);
        let length2 = d.x * d.x + d.y * d.y;
        let (core, outer) = brush.radii();
        Self {
            a,
            d,
            inverse_length2: if length2 > 1e-12 { 1.0 / length2 } else { 0.0 },
            core,
            outer,
        }
    }

    /// Columns of `part` that row `y` of the capsule may reach; may be a few too many.
    fn row_extent(&self, y: u32, part: &PixelRect) -> (u32, u32) {
        let centre_y = y as f32 + 0.5;
        let (low, high) = (
            self.a.y.min(self.a.y + self.d.y),
            self.a.y.max(self.a.y + self.d.y),
        );
        let dy = (low - centre_y).max(centre_y - high).max(0.0);
        let half = (self.outer * self.outer - dy * dy).max(0.0).sqrt();
        let left = self.a.x.min(self.a.x + self.d.x) - half;
        let right = self.a.x.max(self.a.x + self.d.x) + half;
        let x0 = (left.floor().max(0.0) as u32).clamp(part.x0, part.x1);
        let x1 = (right.ceil().max(0.0) as u32).clamp(part.x0, part.x1);
        (x0, x1)
    }

    /// Draws a row of mask values that starts at pixel (x0, y).
    fn row(&self, x0: u32, y: u32, erase: bool, values: &mut [u8]) {
        let py = y as f32 + 0.5 - self.a.y;
        let core2 = self.core * self.core;
        let outer2 = self.outer * self.outer;
        let ramp = 1.0 / (self.outer - self.core);
        for (offset, value) in values.iter_mut().enumerate() {
            let px = x0 as f32 + offset as f32 + 0.5 - self.a.x;
            let t = ((px * self.d.x + py * self.d.y) * self.inverse_length2).clamp(0.0, 1.0);
            let (ex, ey) = (px - t * self.d.x, py - t * self.d.y);
            let distance2 = ex * ex + ey * ey;
            if distance2 >= outer2 {
                continue;
            }
            let cover = if distance2 <= core2 {
                255
            } else {
                // Smoothstep from the core to the edge.
                let s = (self.outer - distance2.sqrt()) * ramp;
                (s * s * (3.0 - 2.0 * s) * 255.0 + 0.5) as u8
            };
            compose(value, cover, erase);
        }
    }
}

/// Adds coverage to a mask value, or takes it away. Coverage does not pile up: painting twice over
/// a place is the same as painting once.
pub(super) fn compose(value: &mut u8, cover: u8, erase: bool) {
    *value = if erase {
        (*value).min(255 - cover)
    } else {
        (*value).max(cover)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brush(size_px: f32, hardness: f32) -> Brush {
        Brush {
            size_px,
            hardness,
            erase: false,
        }
    }

    fn draw(mask: &mut Plane<1>, brush: Brush, points: &[(f32, f32)]) -> Vec<TileChange<1>> {
        let at = |index: usize| ImagePoint::new(points[index].0, points[index].1);
        let mut stroke = Stroke::begin(brush, at(0), mask);
        for index in 1..points.len() {
            stroke.line_to(at(index), mask);
        }
        stroke.finish(mask)
    }

    #[test]
    fn a_dab_has_the_brush_s_size() {
        for size in [1.0_f32, 2.0, 9.0, 64.0, 512.0] {
            let mut mask = Plane::<1>::flat([700, 700], [0]);
            draw(&mut mask, brush(size, 1.0), &[(350.5, 350.5)]);
            let sum: f64 = mask.to_bytes().iter().map(|&v| f64::from(v) / 255.0).sum();
            let area = std::f64::consts::PI * f64::from(size * size) / 4.0;
            // The smooth edge is one pixel wide; the smallest brush is one pixel.
            let tolerance = f64::from(size) * 0.5 + 0.5;
            assert!((sum - area).abs() <= tolerance, "{size}: {sum} of {area}");
            assert_eq!(mask.pixel(350, 350), [255]);
        }
    }

    #[test]
    fn fast_strokes_have_no_gaps_and_no_scallops() {
        let mut mask = Plane::<1>::flat([900, 900], [0]);
        draw(&mut mask, brush(3.0, 1.0), &[(10.5, 20.5), (880.5, 850.5)]);
        for step in 0..=870 {
            let t = step as f32 / 870.0;
            let (x, y) = (10.5 + 870.0 * t, 20.5 + 830.0 * t);
            let [value] = mask.pixel(x as u32, y as u32);
            assert!(value >= 200, "gap at {x} {y}: {value}");
        }
        // A level stroke is as wide everywhere.
        let mut mask = Plane::<1>::flat([900, 200], [0]);
        draw(
            &mut mask,
            brush(60.0, 0.3),
            &[(100.0, 100.0), (800.0, 100.0)],
        );
        for y in 60..140 {
            let first = mask.pixel(150, y)[0];
            for x in 150..750 {
                assert!(mask.pixel(x, y)[0].abs_diff(first) <= 1, "{x} {y}");
            }
        }
    }

    #[test]
    fn many_samples_paint_the_same_as_one_line() {
        let one = {
            let mut mask = Plane::<1>::flat([400, 400], [0]);
            draw(&mut mask, brush(40.0, 0.6), &[(50.0, 60.0), (350.0, 300.0)]);
            mask
        };
        let mut mask = Plane::<1>::flat([400, 400], [0]);
        let points: Vec<_> = (0..=1000)
            .map(|step| {
                let t = step as f32 / 1000.0;
                (50.0 + 300.0 * t, 60.0 + 240.0 * t)
            })
            .collect();
        draw(&mut mask, brush(40.0, 0.6), &points);
        let differences = one.to_bytes().into_iter().zip(mask.to_bytes());
        let worst = differences.map(|(one, many)| one.abs_diff(many)).max();
        assert!(worst <= Some(2), "{worst:?}");
    }

    #[test]
    fn strokes_outside_are_clipped_and_nonsense_is_ignored() {
        let mut mask = Plane::<1>::flat([300, 300], [0]);
        let changes = draw(
            &mut mask,
            brush(50.0, 1.0),
            &[(-4000.0, -4000.0), (-100.0, 150.0), (9e8, 150.0)],
        );
        assert!(!changes.is_empty());
        assert_eq!(mask.pixel(0, 150), [255]);
        assert_eq!(mask.pixel(299, 150), [255]);
        assert_eq!(mask.pixel(150, 290), [0]);
        let before = mask.clone();
        let nowhere = draw(
            &mut mask,
            brush(50.0, 1.0),
            &[(5000.0, 5000.0), (6000.0, 1.0)],
        );
        assert!(nowhere.is_empty());
        let mut stroke = Stroke::begin(brush(f32::NAN, f32::NAN), ImagePoint::default(), &mut mask);
        stroke.line_to(ImagePoint::new(f32::NAN, 3.0), &mut mask);
        stroke.abort(&mut mask);
        assert!(mask == before, "an aborted stroke leaves nothing");
    }

    #[test]
    fn erasing_takes_away_what_painting_added() {
        let mut mask = Plane::<1>::flat([300, 300], [0]);
        let line = [(40.0, 40.0), (260.0, 250.0)];
        draw(&mut mask, brush(30.0, 1.0), &line);
        let mut eraser = brush(34.0, 1.0);
        eraser.erase = true;
        draw(&mut mask, eraser, &line);
        assert_eq!(mask.byte_len(), 0, "emptied tiles are folded");
        assert!(mask.to_bytes().iter().all(|&value| value == 0));
    }

    #[test]
    fn a_stroke_touches_only_the_tiles_under_it() {
        let mut mask = Plane::<1>::flat([3840, 2160], [0]);
        let before: Vec<u64> = mask.tiles().iter().map(|tile| tile.revision()).collect();
        draw(
            &mut mask,
            brush(20.0, 1.0),
            &[(300.0, 300.0), (400.0, 300.0)],
        );
        let touched = mask
            .tiles()
            .iter()
            .zip(before)
            .filter(|(tile, before)| tile.revision() != *before)
            .count();
        assert_eq!(touched, 1);
    }
}
