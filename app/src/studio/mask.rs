//! The mask as a whole: invert, clear, mask everything, its bounds. 255 = repaint, 0 = keep.

use super::edit::TileChange;
use super::geometry::PixelRect;
use super::tiles::{Plane, TILE_PX, Tile};

/// Whether nothing is masked. Cheap: an untouched tile is stored as one value, and a tile that was
/// emptied again is folded back to one when the edit ends.
pub fn is_empty(mask: &Plane<1>) -> bool {
    mask.tiles()
        .iter()
        .all(|tile| tile.flat_value() == Some([0]))
}

/// Turns every value `v` into `255 - v`; returns the changed tiles.
pub fn invert(mask: &mut Plane<1>) -> Vec<TileChange<1>> {
    replace_tiles(mask, |tile| match tile.flat_value() {
        Some([value]) => Tile::flat([255 - value]),
        None => {
            let mut inverted = tile.clone();
            for value in inverted.pixels_mut() {
                *value = 255 - *value;
            }
            inverted
        }
    })
}

/// Sets every value to `value`; returns the changed tiles.
pub fn fill(mask: &mut Plane<1>, value: u8) -> Vec<TileChange<1>> {
    replace_tiles(mask, |_| Tile::flat([value]))
}

/// Puts the values of `other` (of the same size) in place; returns the changed tiles.
pub fn replace(mask: &mut Plane<1>, other: &Plane<1>) -> Vec<TileChange<1>> {
    if mask.size_px() != other.size_px() {
        return Vec::new();
    }
    let mut tiles = other.tiles().iter();
    replace_tiles(mask, |tile| {
        tiles.next().cloned().unwrap_or_else(|| tile.clone())
    })
}

fn replace_tiles(
    mask: &mut Plane<1>,
    mut new_tile: impl FnMut(&Tile<1>) -> Tile<1>,
) -> Vec<TileChange<1>> {
    let mut changes = Vec::new();
    for index in 0..mask.tiles().len() {
        let before = mask.tiles()[index].clone();
        let after = new_tile(&before);
        if !mask.tile_equals(index, &after) {
            mask.set_tile(index, after.clone());
            changes.push(TileChange {
                index,
                before,
                after,
            });
        }
    }
    changes
}

/// The smallest rectangle around everything masked; `None` when nothing is.
pub fn bounds(mask: &Plane<1>) -> Option<PixelRect> {
    let mut bounds = PixelRect::default();
    for (index, tile) in mask.tiles().iter().enumerate() {
        let rect = mask.tile_rect(index);
        match (tile.flat_value(), tile.pixels()) {
            (Some([0]), _) => {}
            (Some(_), _) => bounds = bounds.union(&rect),
            (None, Some(pixels)) => bounds = bounds.union(&tile_bounds(pixels, &rect)),
            (None, None) => {}
        }
    }
    (!bounds.is_empty()).then_some(bounds)
}

fn tile_bounds(pixels: &[u8], rect: &PixelRect) -> PixelRect {
    let mut bounds = PixelRect::default();
    for y in 0..rect.height() {
        let start = (y * TILE_PX) as usize;
        let row = &pixels[start..start + rect.width() as usize];
        let first = row.iter().position(|&value| value != 0);
        let last = row.iter().rposition(|&value| value != 0);
        if let (Some(first), Some(last)) = (first, last) {
            bounds = bounds.union(&PixelRect {
                x0: rect.x0 + first as u32,
                y0: rect.y0 + y,
                x1: rect.x0 + last as u32 + 1,
                y1: rect.y0 + y + 1,
            });
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::geometry::ImagePoint;
    use crate::studio::region::{fill_outline, rectangle_outline};

    #[test]
    fn invert_twice_is_the_start_and_clear_empties() {
        let mut mask = Plane::<1>::flat([400, 300], [0]);
        assert!(is_empty(&mask));
        assert!(bounds(&mask).is_none());
        let outline =
            rectangle_outline(ImagePoint::new(250.0, 20.0), ImagePoint::new(270.0, 299.0));
        fill_outline(&mut mask, &outline, false);
        assert!(!is_empty(&mask));
        assert_eq!(
            bounds(&mask),
            Some(PixelRect {
                x0: 250,
                y0: 20,
                x1: 270,
                y1: 299
            })
        );
        let start = mask.clone();
        assert_eq!(invert(&mut mask).len(), 4);
        assert_eq!(mask.pixel(0, 0), [255]);
        assert_eq!(mask.pixel(260, 100), [0]);
        invert(&mut mask);
        assert!(mask == start);
        assert_eq!(fill(&mut mask, 0).len(), 4);
        assert!(is_empty(&mask));
        assert!(fill(&mut mask, 0).is_empty());
        assert_eq!(replace(&mut mask, &start).len(), 4);
        assert!(mask == start);
    }
}
