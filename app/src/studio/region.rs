//! Outlines on the mask: polygons filled by the non-zero winding rule with smooth edges, so that a
//! lasso that crosses itself still holds everything it went around.

use super::edit::{Recorder, TileChange};
use super::geometry::{ImagePoint, PixelRect};
use super::stroke::compose;
use super::tiles::{Plane, TILE_PX};

/// Lines sampled in each row of pixels; coverage along a line is exact.
const LINES: u32 = 4;

/// Fills (or empties) the inside of `outline`, closed from its last point to its first, and
/// returns the changed tiles. Fewer than three points, or points that are not finite, fill nothing.
pub fn fill_outline(
    mask: &mut Plane<1>,
    outline: &[ImagePoint],
    erase: bool,
) -> Vec<TileChange<1>> {
    if outline.len() < 3 || !outline.iter().all(|point| point.is_finite()) {
        return Vec::new();
    }
    let bounds = outline_bounds(outline, mask.size_px());
    if bounds.is_empty() {
        return Vec::new();
    }
    let crossings = crossings(outline, &bounds);
    let mut recorder = Recorder::default();
    let mut cover = vec![0.0_f32; bounds.width() as usize];
    for y in bounds.y0..bounds.y1 {
        cover.fill(0.0);
        let first = ((y - bounds.y0) * LINES) as usize;
        for line in &crossings[first..first + LINES as usize] {
            add_line(line, &bounds, &mut cover);
        }
        put_row(mask, &mut recorder, [bounds.x0, y], &cover, erase);
    }
    recorder.finish(mask)
}

/// The corners of a rectangle between two points, on whole pixels: every pixel it touches belongs
/// to it.
pub fn rectangle_outline(one: ImagePoint, other: ImagePoint) -> [ImagePoint; 4] {
    let (x0, x1) = (one.x.min(other.x).floor(), one.x.max(other.x).ceil());
    let (y0, y1) = (one.y.min(other.y).floor(), one.y.max(other.y).ceil());
    [
        ImagePoint::new(x0, y0),
        ImagePoint::new(x1, y0),
        ImagePoint::new(x1, y1),
        ImagePoint::new(x0, y1),
    ]
}

fn outline_bounds(outline: &[ImagePoint], size_px: [u32; 2]) -> PixelRect {
    let mut min = ImagePoint::new(f32::INFINITY, f32::INFINITY);
    let mut max = ImagePoint::new(f32::NEG_INFINITY, f32::NEG_INFINITY);
    for point in outline {
        min = ImagePoint::new(min.x.min(point.x), min.y.min(point.y));
        max = ImagePoint::new(max.x.max(point.x), max.y.max(point.y));
    }
    PixelRect::covering(min, max, size_px)
}

/// For each sampled line from the top of `bounds`: where the outline crosses it, and which way.
fn crossings(outline: &[ImagePoint], bounds: &PixelRect) -> Vec<Vec<(f32, i32)>> {
    let lines = (bounds.height() * LINES) as usize;
    let mut crossings = vec![Vec::new(); lines];
    let top = bounds.y0 as f32;
    for (index, &from) in outline.iter().enumerate() {
        let to = outline[(index + 1) % outline.len()];
        let (upper, lower, winding) = if from.y <= to.y {
            (from, to, 1)
        } else {
            (to, from, -1)
        };
        // Line n lies at top + (n + 0.5) / LINES; the edge holds its upper end, not its lower one.
        let place = |y: f32| ((y - top) * LINES as f32 - 0.5).ceil();
        let first = place(upper.y).max(0.0) as usize;
        let end = (place(lower.y).max(0.0) as usize).min(lines);
        let slope = (lower.x - upper.x) / (lower.y - upper.y).max(f32::MIN_POSITIVE);
        for (line, crossings) in crossings.iter_mut().enumerate().take(end).skip(first) {
            let y = top + (line as f32 + 0.5) / LINES as f32;
            crossings.push((upper.x + (y - upper.y) * slope, winding));
        }
    }
    for line in &mut crossings {
        line.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    crossings
}

/// Adds one line's share to a row of coverage, 0 to 1 a pixel.
fn add_line(crossings: &[(f32, i32)], bounds: &PixelRect, cover: &mut [f32]) {
    let (left, right) = (bounds.x0 as f32, bounds.x1 as f32);
    let share = 1.0 / LINES as f32;
    let mut winding = 0;
    for pair in crossings.windows(2) {
        winding += pair[0].1;
        let (x0, x1) = (pair[0].0.clamp(left, right), pair[1].0.clamp(left, right));
        if winding == 0 || x1 <= x0 {
            continue;
        }
        let first = (x0 - left) as usize;
        let last = (((x1 - left).ceil() as usize).max(first + 1) - 1).min(cover.len() - 1);
        for (column, cover) in cover.iter_mut().enumerate().take(last + 1).skip(first) {
            let pixel = left + column as f32;
            *cover += share * (x1.min(pixel + 1.0) - x0.max(pixel)).max(0.0);
        }
    }
}

/// Composes a row of coverage that starts at pixel `[x, y]`.
fn put_row(
    mask: &mut Plane<1>,
    recorder: &mut Recorder<1>,
    [x, y]: [u32; 2],
    cover: &[f32],
    erase: bool,
) {
    let row = PixelRect {
        x0: x,
        y0: y,
        x1: x + cover.len() as u32,
        y1: y + 1,
    };
    let full = if erase { [0] } else { [255] };
    for index in mask.tiles_in(row) {
        let rect = mask.tile_rect(index);
        let part = rect.intersection(&row);
        let cover = &cover[(part.x0 - x) as usize..(part.x1 - x) as usize];
        let settled = mask
            .tile(index)
            .is_none_or(|tile| tile.flat_value() == Some(full));
        if settled || cover.iter().all(|&cover| cover <= 0.0) {
            continue;
        }
        if let Some(tile) = recorder.touch(mask, index) {
            let start = ((y - rect.y0) * TILE_PX + part.x0 - rect.x0) as usize;
            let values = &mut tile.pixels_mut()[start..start + cover.len()];
            for (value, cover) in values.iter_mut().zip(cover) {
                compose(value, (cover.clamp(0.0, 1.0) * 255.0 + 0.5) as u8, erase);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_covers_the_pixels_it_touches_and_no_other() {
        let mut mask = Plane::<1>::flat([600, 300], [0]);
        let outline =
            rectangle_outline(ImagePoint::new(300.2, 10.5), ImagePoint::new(250.9, 270.0));
        let changes = fill_outline(&mut mask, &outline, false);
        assert_eq!(changes.len(), 4);
        for y in 0..300 {
            for x in 0..600 {
                let inside = (250..301).contains(&x) && (10..270).contains(&y);
                assert_eq!(mask.pixel(x, y), [if inside { 255 } else { 0 }], "{x} {y}");
            }
        }
        let everything =
            rectangle_outline(ImagePoint::new(-50.0, -50.0), ImagePoint::new(900.0, 900.0));
        fill_outline(&mut mask, &everything, true);
        assert_eq!(mask.byte_len(), 0);
    }

    #[test]
    fn a_triangle_has_half_the_area_and_smooth_edges() {
        let mut mask = Plane::<1>::flat([100, 100], [0]);
        let outline = [
            ImagePoint::new(0.0, 0.0),
            ImagePoint::new(100.0, 0.0),
            ImagePoint::new(0.0, 100.0),
        ];
        fill_outline(&mut mask, &outline, false);
        let sum: u64 = mask.to_bytes().iter().map(|&value| u64::from(value)).sum();
        let area = sum as f64 / 255.0;
        assert!((area - 5000.0).abs() < 20.0, "{area}");
        assert!(
            mask.to_bytes()
                .iter()
                .any(|&value| (64..192).contains(&value))
        );
    }

    #[test]
    fn a_loop_that_crosses_itself_is_filled_and_nonsense_is_not() {
        let mut mask = Plane::<1>::flat([100, 100], [0]);
        // The same square twice around: the even-odd rule would leave it empty.
        let square = rectangle_outline(ImagePoint::new(20.0, 20.0), ImagePoint::new(80.0, 80.0));
        let twice: Vec<_> = square.iter().chain(&square).copied().collect();
        fill_outline(&mut mask, &twice, false);
        assert_eq!(mask.pixel(50, 50), [255]);
        let bad = [ImagePoint::new(f32::NAN, 0.0); 4];
        assert!(fill_outline(&mut mask, &bad, false).is_empty());
        assert!(fill_outline(&mut mask, &square[..2], false).is_empty());
    }
}
