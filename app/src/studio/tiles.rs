//! Planes of pixels in copy-on-write tiles of 256 px: the memory of the document and its mask.
//!
//! A clone of a plane shares all its tiles, so undo steps, the session writer and background
//! encoders hold whole pictures for the price of a list of pointers. Every content of a tile has a
//! revision that no other content has: whoever keeps something made from a tile (a texture, a file
//! record) compares revisions to learn whether it is out of date.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::geometry::PixelRect;

/// Side of a tile in pixels.
pub const TILE_PX: u32 = 256;
/// Pixels of a tile.
const TILE_AREA: usize = (TILE_PX * TILE_PX) as usize;
/// Longest side a document may have, in pixels.
pub const MAX_SIDE_PX: u32 = 16_384;

static NEXT_REVISION: AtomicU64 = AtomicU64::new(1);

fn next_revision() -> u64 {
    NEXT_REVISION.fetch_add(1, Ordering::Relaxed)
}

/// One tile: `C` bytes a pixel, always 256 x 256 pixels; what lies beyond the plane's edge is
/// padding without meaning.
#[derive(Clone, Debug)]
pub struct Tile<const C: usize> {
    revision: u64,
    data: TileData<C>,
}

#[derive(Clone, Debug)]
enum TileData<const C: usize> {
    /// Every pixel has this value: most of a mask, at no cost.
    Flat([u8; C]),
    /// `C * 65536` bytes, rows from the top.
    Pixels(Arc<Vec<u8>>),
}

impl<const C: usize> Tile<C> {
    /// A tile of one value.
    pub fn flat(value: [u8; C]) -> Self {
        Self {
            revision: next_revision(),
            data: TileData::Flat(value),
        }
    }

    /// A tile from `C * 65536` bytes; `None` for another length. A single value becomes flat.
    pub fn from_pixels(pixels: Vec<u8>) -> Option<Self> {
        if pixels.len() != TILE_AREA * C {
            return None;
        }
        let mut tile = Self {
            revision: next_revision(),
            data: TileData::Pixels(Arc::new(pixels)),
        };
        tile.flatten();
        Some(tile)
    }

    /// Changes with the content, and never comes back for another content.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The tile's only value, if it is stored as one.
    pub fn flat_value(&self) -> Option<[u8; C]> {
        match self.data {
            TileData::Flat(value) => Some(value),
            TileData::Pixels(_) => None,
        }
    }

    /// All `C * 65536` bytes, unless the tile is flat.
    pub fn pixels(&self) -> Option<&[u8]> {
        match &self.data {
            TileData::Flat(_) => None,
            TileData::Pixels(pixels) => Some(pixels),
        }
    }

    /// The pixel at (x, y) of the tile, both below 256.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; C] {
        match &self.data {
            TileData::Flat(value) => *value,
            TileData::Pixels(pixels) => {
                let at = (y * TILE_PX + x) as usize * C;
                std::array::from_fn(|channel| pixels[at + channel])
            }
        }
    }

    /// Writable bytes: copied first when shared, and the revision moves on.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        self.revision = next_revision();
        if let TileData::Flat(value) = self.data {
            self.data = TileData::Pixels(Arc::new(value.repeat(TILE_AREA)));
        }
        match &mut self.data {
            TileData::Pixels(pixels) => Arc::make_mut(pixels).as_mut_slice(),
            TileData::Flat(_) => &mut [],
        }
    }

    /// Bytes of memory the tile's pixels take (shared or not).
    pub fn byte_len(&self) -> usize {
        match &self.data {
            TileData::Flat(_) => 0,
            TileData::Pixels(pixels) => pixels.len(),
        }
    }

    /// Stores the tile as one value if all its pixels are equal.
    fn flatten(&mut self) {
        let TileData::Pixels(pixels) = &self.data else {
            return;
        };
        let first: [u8; C] = std::array::from_fn(|channel| pixels[channel]);
        if pixels.chunks_exact(C).all(|pixel| pixel == first) {
            self.data = TileData::Flat(first);
        }
    }
}

/// A picture (`C` = 4, RGBA) or mask (`C` = 1) made of tiles.
#[derive(Clone, Debug)]
pub struct Plane<const C: usize> {
    size_px: [u32; 2],
    tiles: Vec<Tile<C>>,
}

impl<const C: usize> Plane<C> {
    /// A plane of one value. Sides are brought into 1 to [`MAX_SIDE_PX`].
    pub fn flat(size_px: [u32; 2], value: [u8; C]) -> Self {
        let size_px = size_px.map(|side| side.clamp(1, MAX_SIDE_PX));
        let count = size_px[0].div_ceil(TILE_PX) * size_px[1].div_ceil(TILE_PX);
        Self {
            size_px,
            tiles: vec![Tile::flat(value); count as usize],
        }
    }

    /// Cuts `C * width * height` bytes (rows from the top) into tiles. `None` when the length does
    /// not fit, or a side is 0 or above [`MAX_SIDE_PX`].
    pub fn from_bytes(size_px: [u32; 2], bytes: &[u8]) -> Option<Self> {
        let sides_fit = size_px.iter().all(|side| (1..=MAX_SIDE_PX).contains(side));
        if !sides_fit || bytes.len() != size_px[0] as usize * size_px[1] as usize * C {
            return None;
        }
        let mut plane = Self::flat(size_px, [0; C]);
        let stride = size_px[0] as usize * C;
        for index in 0..plane.tiles.len() {
            let rect = plane.tile_rect(index);
            let width = rect.width() as usize * C;
            let mut pixels = Vec::with_capacity(TILE_AREA * C);
            for y in rect.y0..rect.y1 {
                let at = y as usize * stride + rect.x0 as usize * C;
                pixels.extend_from_slice(&bytes[at..at + width]);
                // Padding repeats the row's last pixel, so that a flat picture has flat tiles.
                let last: [u8; C] = std::array::from_fn(|c| pixels[pixels.len() - C + c]);
                for _ in rect.width()..TILE_PX {
                    pixels.extend_from_slice(&last);
                }
            }
            for _ in rect.height()..TILE_PX {
                pixels.extend_from_within(pixels.len() - TILE_PX as usize * C..);
            }
            if let Some(tile) = Tile::from_pixels(pixels) {
                plane.tiles[index] = tile;
            }
        }
        Some(plane)
    }

    /// All pixels in one piece, rows from the top: `C * width * height` bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size_px[0] as usize * self.size_px[1] as usize * C);
        for y in 0..self.size_px[1] {
            for column in 0..self.columns() {
                let tile = &self.tiles[((y / TILE_PX) * self.columns() + column) as usize];
                let width = (self.size_px[0] - column * TILE_PX).min(TILE_PX) as usize;
                match &tile.data {
                    TileData::Flat(value) => bytes.extend(value.iter().cycle().take(width * C)),
                    TileData::Pixels(pixels) => {
                        let at = ((y % TILE_PX) * TILE_PX) as usize * C;
                        bytes.extend_from_slice(&pixels[at..at + width * C]);
                    }
                }
            }
        }
        bytes
    }

    /// `[width, height]` in pixels.
    pub fn size_px(&self) -> [u32; 2] {
        self.size_px
    }

    /// Tiles in a row.
    pub fn columns(&self) -> u32 {
        self.size_px[0].div_ceil(TILE_PX)
    }

    /// Tiles in a column.
    pub fn rows(&self) -> u32 {
        self.size_px[1].div_ceil(TILE_PX)
    }

    /// All tiles, row by row.
    pub fn tiles(&self) -> &[Tile<C>] {
        &self.tiles
    }

    /// The tile of this index (row by row), if there is one.
    pub fn tile(&self, index: usize) -> Option<&Tile<C>> {
        self.tiles.get(index)
    }

    /// The tile of this index for writing.
    pub fn tile_mut(&mut self, index: usize) -> Option<&mut Tile<C>> {
        self.tiles.get_mut(index)
    }

    /// Puts a tile; an index outside is ignored.
    pub fn set_tile(&mut self, index: usize, tile: Tile<C>) {
        if let Some(place) = self.tiles.get_mut(index) {
            *place = tile;
        }
    }

    /// Stores a tile as one value if all its pixels inside the plane are equal.
    pub fn flatten_tile(&mut self, index: usize) {
        let rect = self.tile_rect(index);
        let Some(tile) = self.tiles.get_mut(index) else {
            return;
        };
        let TileData::Pixels(pixels) = &tile.data else {
            return;
        };
        let first = tile.pixel(0, 0);
        let width = rect.width() as usize * C;
        let same = (0..rect.height()).all(|y| {
            let at = (y * TILE_PX) as usize * C;
            let row = &pixels[at..at + width];
            row.chunks_exact(C).all(|pixel| pixel == first)
        });
        if same {
            tile.data = TileData::Flat(first);
        }
    }

    /// The pixels of the plane that a tile holds.
    pub fn tile_rect(&self, index: usize) -> PixelRect {
        let columns = self.columns() as usize;
        let x0 = (index % columns) as u32 * TILE_PX;
        let y0 = (index / columns) as u32 * TILE_PX;
        PixelRect {
            x0,
            y0,
            x1: (x0 + TILE_PX).min(self.size_px[0]),
            y1: (y0 + TILE_PX).min(self.size_px[1]),
        }
    }

    /// Indices of the tiles that hold a pixel of `rect`.
    pub fn tiles_in(&self, rect: PixelRect) -> impl Iterator<Item = usize> + use<C> {
        let rect = rect.intersection(&PixelRect::of_size(self.size_px));
        let columns = self.columns();
        let (across, down) = if rect.is_empty() {
            (0..0, 0..0)
        } else {
            (
                rect.x0 / TILE_PX..rect.x1.div_ceil(TILE_PX),
                rect.y0 / TILE_PX..rect.y1.div_ceil(TILE_PX),
            )
        };
        down.flat_map(move |row| {
            across
                .clone()
                .map(move |column| (row * columns + column) as usize)
        })
    }

    /// The pixel at (x, y), both inside the plane.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; C] {
        let index = (y / TILE_PX) * self.columns() + x / TILE_PX;
        self.tiles[index as usize].pixel(x % TILE_PX, y % TILE_PX)
    }

    /// Bytes of memory of all tiles, shared or not.
    pub fn byte_len(&self) -> usize {
        self.tiles.iter().map(Tile::byte_len).sum()
    }

    /// Whether `other` is a copy of this plane that neither has changed since. Cheap: no pixel is
    /// looked at.
    pub fn is_same(&self, other: &Self) -> bool {
        self.size_px == other.size_px
            && self
                .tiles
                .iter()
                .zip(&other.tiles)
                .all(|(one, two)| one.revision == two.revision)
    }

    /// Whether a tile's pixels inside the plane equal those of `other`, a tile for the same place.
    pub fn tile_equals(&self, index: usize, other: &Tile<C>) -> bool {
        let Some(tile) = self.tiles.get(index) else {
            return false;
        };
        if tile.revision == other.revision {
            return true;
        }
        match (&tile.data, &other.data) {
            (TileData::Flat(one), TileData::Flat(two)) => one == two,
            (TileData::Pixels(one), TileData::Pixels(two)) => {
                let rect = self.tile_rect(index);
                let width = rect.width() as usize * C;
                (0..rect.height()).all(|y| {
                    let at = (y * TILE_PX) as usize * C;
                    one[at..at + width] == two[at..at + width]
                })
            }
            _ => {
                let rect = self.tile_rect(index);
                (0..rect.height())
                    .all(|y| (0..rect.width()).all(|x| tile.pixel(x, y) == other.pixel(x, y)))
            }
        }
    }
}

impl<const C: usize> PartialEq for Plane<C> {
    fn eq(&self, other: &Self) -> bool {
        self.size_px == other.size_px
            && other
                .tiles
                .iter()
                .enumerate()
                .all(|(index, tile)| self.tile_equals(index, tile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(size_px: [u32; 2], channels: usize) -> Vec<u8> {
        let mut state = 12345_u32;
        (0..size_px[0] as usize * size_px[1] as usize * channels)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn bytes_survive_tiling_at_odd_sizes() {
        for size in [[1, 1], [255, 257], [256, 256], [700, 300]] {
            let bytes = noise(size, 4);
            let plane = Plane::<4>::from_bytes(size, &bytes).expect("fits");
            assert_eq!(plane.to_bytes(), bytes, "{size:?}");
        }
        assert!(Plane::<4>::from_bytes([2, 2], &[0; 15]).is_none());
        assert!(Plane::<1>::from_bytes([0, 2], &[]).is_none());
        assert!(Plane::<1>::from_bytes([16_385, 1], &[0; 16_385]).is_none());
    }

    #[test]
    fn flat_pictures_cost_nothing_and_a_write_copies_one_tile() {
        let plane = Plane::<1>::from_bytes([600, 600], &vec![7; 360_000]).expect("fits");
        assert_eq!(plane.byte_len(), 0);
        let mut other = plane.clone();
        other.tile_mut(4).expect("nine tiles").pixels_mut()[0] = 9;
        assert_eq!(other.byte_len(), 65_536);
        assert_eq!(plane.pixel(256, 256), [7]);
        assert_eq!(other.pixel(256, 256), [9]);
        assert!(plane != other && !plane.is_same(&other));
        assert!(plane.is_same(&plane.clone()));
        other.tile_mut(4).expect("nine tiles").pixels_mut()[0] = 7;
        assert!(plane == other);
        other.flatten_tile(4);
        assert_eq!(other.byte_len(), 0);
    }

    #[test]
    fn each_write_has_a_new_revision() {
        let mut tile = Tile::<1>::flat([0]);
        let before = tile.clone();
        assert_eq!(before.revision(), tile.revision());
        tile.pixels_mut()[3] = 1;
        assert_ne!(before.revision(), tile.revision());
        assert_eq!(before.pixel(3, 0), [0]);
    }

    #[test]
    fn tiles_in_a_rectangle() {
        let plane = Plane::<1>::flat([600, 600], [0]);
        let rect = PixelRect {
            x0: 255,
            y0: 0,
            x1: 257,
            y1: 10,
        };
        assert_eq!(plane.tiles_in(rect).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(plane.tiles_in(PixelRect::of_size([9000, 9000])).count(), 9);
        assert_eq!(plane.tiles_in(PixelRect::default()).count(), 0);
    }
}
