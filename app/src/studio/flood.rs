//! Flood fill: masks the area of the picture whose colours are similar to the one under the pointer.

use super::edit::{Recorder, TileChange};
use super::geometry::PixelRect;
use super::stroke::compose;
use super::tiles::{Plane, TILE_PX, Tile};

/// How a flood fill spreads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// The pixel it starts from, inside the picture.
    pub seed_px: [u32; 2],
    /// Largest difference from the seed's colour in any channel, alpha included, 0 to 255.
    pub tolerance: u8,
    /// Only the area connected with the seed, instead of similar colours everywhere.
    pub connected: bool,
    /// Takes the mask away instead of adding to it.
    pub erase: bool,
}

/// One bit a pixel: what is reached.
struct Reached {
    width: usize,
    bits: Vec<u64>,
}

impl Reached {
    fn new([width, height]: [u32; 2]) -> Self {
        let pixels = width as usize * height as usize;
        Self {
            width: width as usize,
            bits: vec![0; pixels.div_ceil(64)],
        }
    }

    fn get(&self, x: u32, y: u32) -> bool {
        let at = y as usize * self.width + x as usize;
        self.bits[at / 64] >> (at % 64) & 1 == 1
    }

    fn set(&mut self, x: u32, y: u32) {
        let at = y as usize * self.width + x as usize;
        self.bits[at / 64] |= 1 << (at % 64);
    }
}

/// The area of `picture` that a flood fill reaches: 255 there, 0 elsewhere. `None` for a seed outside.
/// Takes time in proportion to the picture, so not for the interface's thread.
pub fn flooded(picture: &Plane<4>, flood: Flood) -> Option<Plane<1>> {
    let [width, height] = picture.size_px();
    let [seed_x, seed_y] = flood.seed_px;
    if seed_x >= width || seed_y >= height {
        return None;
    }
    let seed = picture.pixel(seed_x, seed_y);
    let similar = |pixel: [u8; 4]| {
        pixel
            .iter()
            .zip(seed)
            .all(|(&one, other)| one.abs_diff(other) <= flood.tolerance)
    };
    let reached = flood
        .connected
        .then(|| spread(picture, flood.seed_px, similar));
    let mut area = Plane::flat([width, height], [0]);
    for index in 0..area.tiles().len() {
        let rect = area.tile_rect(index);
        let chosen = |x: u32, y: u32| match &reached {
            Some(reached) => reached.get(x, y),
            None => similar(picture.pixel(x, y)),
        };
        if any_in(&rect, chosen)
            && let Some(tile) = area.tile_mut(index)
        {
            let pixels = tile.pixels_mut();
            for y in rect.y0..rect.y1 {
                for x in rect.x0..rect.x1 {
                    let at = ((y - rect.y0) * TILE_PX + x - rect.x0) as usize;
                    pixels[at] = if chosen(x, y) { 255 } else { 0 };
                }
            }
            area.flatten_tile(index);
        }
    }
    Some(area)
}

/// Adds an area to a mask of the same size or takes it away, and returns the changed tiles.
pub fn paint_area(mask: &mut Plane<1>, area: &Plane<1>, erase: bool) -> Vec<TileChange<1>> {
    if mask.size_px() != area.size_px() {
        return Vec::new();
    }
    let full = if erase { [0] } else { [255] };
    let mut recorder = Recorder::default();
    for (index, cover) in area.tiles().iter().enumerate() {
        let settled = mask.tiles()[index].flat_value() == Some(full);
        if settled || cover.flat_value() == Some([0]) {
            continue;
        }
        let Some(tile) = recorder.touch(mask, index) else {
            continue;
        };
        match cover.pixels() {
            None => *tile = Tile::flat(full),
            Some(cover) => {
                for (value, &cover) in tile.pixels_mut().iter_mut().zip(cover) {
                    compose(value, cover, erase);
                }
            }
        }
    }
    recorder.finish(mask)
}

fn any_in(rect: &PixelRect, chosen: impl Fn(u32, u32) -> bool) -> bool {
    (rect.y0..rect.y1).any(|y| (rect.x0..rect.x1).any(|x| chosen(x, y)))
}

/// The area connected with the seed over the four sides of pixels, span by span (Heckbert, “A seed
/// fill algorithm”, Graphics Gems, 1990).
fn spread(picture: &Plane<4>, seed_px: [u32; 2], similar: impl Fn([u8; 4]) -> bool) -> Reached {
    let [width, height] = picture.size_px();
    let mut reached = Reached::new([width, height]);
    let mut waiting = vec![seed_px];
    while let Some([x, y]) = waiting.pop() {
        if reached.get(x, y) {
            continue;
        }
        let mut left = x;
        while left > 0 && !reached.get(left - 1, y) && similar(picture.pixel(left - 1, y)) {
            left -= 1;
        }
        let mut end = x + 1;
        while end < width && !reached.get(end, y) && similar(picture.pixel(end, y)) {
            end += 1;
        }
        (left..end).for_each(|x| reached.set(x, y));
        let neighbours = [y.checked_sub(1), (y + 1 < height).then_some(y + 1)];
        for row in neighbours.into_iter().flatten() {
            // One seed for each run of pixels to visit.
            let mut in_run = false;
            for x in left..end {
                let open = !reached.get(x, row) && similar(picture.pixel(x, row));
                if open && !in_run {
                    waiting.push([x, row]);
                }
                in_run = open;
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dark picture with two bright squares that touch at a corner only.
    fn squares() -> Plane<4> {
        let size = [300_u32, 300];
        let bytes: Vec<u8> = (0..size[0] * size[1])
            .flat_map(|at| {
                let (x, y) = (at % size[0], at / size[0]);
                let first = (200..260).contains(&x) && (200..260).contains(&y);
                let second = (260..290).contains(&x) && (260..290).contains(&y);
                let level = if first || second {
                    200
                } else {
                    20 + (x % 5) as u8
                };
                [level, level, level, 255]
            })
            .collect();
        Plane::from_bytes(size, &bytes).expect("fits")
    }

    fn fill(picture: &Plane<4>, mask: &mut Plane<1>, flood: Flood) {
        let area = flooded(picture, flood).expect("the seed is inside");
        paint_area(mask, &area, flood.erase);
    }

    fn area(mask: &Plane<1>) -> usize {
        mask.to_bytes()
            .iter()
            .filter(|&&value| value == 255)
            .count()
    }

    #[test]
    fn connected_fill_stops_at_edges_and_corners() {
        let picture = squares();
        let mut mask = Plane::flat(picture.size_px(), [0]);
        let mut flood = Flood {
            seed_px: [210, 210],
            tolerance: 8,
            connected: true,
            erase: false,
        };
        fill(&picture, &mut mask, flood);
        assert_eq!(area(&mask), 60 * 60);
        flood.connected = false;
        fill(&picture, &mut mask, flood);
        assert_eq!(area(&mask), 60 * 60 + 30 * 30);
        flood.erase = true;
        fill(&picture, &mut mask, flood);
        assert_eq!(area(&mask), 0);
    }

    #[test]
    fn tolerance_decides_and_a_seed_outside_does_nothing() {
        let picture = squares();
        let mut mask = Plane::flat(picture.size_px(), [0]);
        let mut flood = Flood {
            seed_px: [0, 0],
            tolerance: 0,
            connected: true,
            erase: false,
        };
        fill(&picture, &mut mask, flood);
        assert_eq!(area(&mask), 300, "one column");
        flood.tolerance = 4;
        fill(&picture, &mut mask, flood);
        assert_eq!(area(&mask), 300 * 300 - 60 * 60 - 30 * 30);
        flood.seed_px = [300, 0];
        assert!(flooded(&picture, flood).is_none());
    }
}
