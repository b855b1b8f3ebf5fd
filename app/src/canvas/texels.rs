//! How pictures and masks become texels: premultiplied RGBA, a texel being the mean of its pixels.

use super::layers::{TexelArea, Texels};
use crate::studio::tiles::{TILE_PX, Tile};

/// Picture pixels as they are.
pub(super) struct PictureTexels;

impl Texels<4> for PictureTexels {
    fn style(&self) -> u64 {
        0
    }

    fn write(&self, tile: &Tile<4>, area: &TexelArea, out: &mut Vec<u8>) {
        let [width, height] = area.texels();
        let Some(pixels) = tile.pixels() else {
            let texel = premultiplied(tile.pixel(0, 0));
            out.extend(texel.iter().cycle().take((width * height * 4) as usize));
            return;
        };
        for row in 0..height {
            if area.step == 1 {
                let start = (row * TILE_PX * 4) as usize;
                let line = &pixels[start..start + (width * 4) as usize];
                for pixel in line.chunks_exact(4) {
                    out.extend(premultiplied([pixel[0], pixel[1], pixel[2], pixel[3]]));
                }
            } else {
                for column in 0..width {
                    out.extend(mean_picture(pixels, area, column, row));
                }
            }
        }
    }
}

fn premultiplied([r, g, b, a]: [u8; 4]) -> [u8; 4] {
    if a == 255 {
        return [r, g, b, a];
    }
    let weigh = |channel: u8| ((u32::from(channel) * u32::from(a) + 127) / 255) as u8;
    [weigh(r), weigh(g), weigh(b), a]
}

/// Pixels `[x0, x1) x [y0, y1)` of a texel.
fn block(area: &TexelArea, column: u32, row: u32) -> ([u32; 2], [u32; 2]) {
    let (x0, y0) = (column * area.step, row * area.step);
    (
        [x0, (x0 + area.step).min(area.width_px)],
        [y0, (y0 + area.step).min(area.height_px)],
    )
}

fn mean_picture(pixels: &[u8], area: &TexelArea, column: u32, row: u32) -> [u8; 4] {
    let ([x0, x1], [y0, y1]) = block(area, column, row);
    let mut sums = [0_u32; 4];
    for y in y0..y1 {
        let start = ((y * TILE_PX + x0) * 4) as usize;
        let line = &pixels[start..start + ((x1 - x0) * 4) as usize];
        for pixel in line.chunks_exact(4) {
            let alpha = u32::from(pixel[3]);
            for (sum, &channel) in sums.iter_mut().zip(&pixel[..3]) {
                *sum += u32::from(channel) * alpha;
            }
            sums[3] += alpha;
        }
    }
    let count = ((x1 - x0) * (y1 - y0)).max(1);
    let weighed = |sum: u32| ((sum + count * 255 / 2) / (count * 255)) as u8;
    [
        weighed(sums[0]),
        weighed(sums[1]),
        weighed(sums[2]),
        ((sums[3] + count / 2) / count) as u8,
    ]
}

/// The mask as a wash of one colour, with a line along its edge that stands out on any picture.
pub(super) struct MaskTexels {
    /// Opaque colour of the wash, RGB.
    pub(super) colour: [u8; 3],
    /// Colour of the edge line, RGB; none draws no line.
    pub(super) edge: Option<[u8; 3]>,
    /// Strength of the edge line over the wash, 0 to 1.
    pub(super) edge_opacity: f32,
    /// Strength of the wash, 0 to 1.
    pub(super) opacity: f32,
}

impl MaskTexels {
    /// The edge line's colour over a texel of the wash.
    fn over(&self, [r, g, b]: [u8; 3], below: [u8; 4]) -> [u8; 4] {
        let share = self.edge_opacity.clamp(0.0, 1.0);
        let above = [r, g, b, 255].map(|channel| f32::from(channel) * share);
        std::array::from_fn(|channel| {
            (above[channel] + f32::from(below[channel]) * (1.0 - share) + 0.5) as u8
        })
    }

    fn wash(&self, value: u8) -> [u8; 4] {
        let share = f32::from(value) / 255.0 * self.opacity.clamp(0.0, 1.0);
        let [r, g, b] = self.colour.map(|c| (f32::from(c) * share + 0.5) as u8);
        [r, g, b, (255.0 * share + 0.5) as u8]
    }
}

impl Texels<1> for MaskTexels {
    fn style(&self) -> u64 {
        let mut style = u64::from((self.opacity * 255.0) as u8)
            ^ (u64::from((self.edge_opacity * 15.0) as u8) << 60);
        for channel in self.colour.iter().chain(self.edge.iter().flatten()) {
            style = (style << 8) | u64::from(*channel);
        }
        style
    }

    fn write(&self, tile: &Tile<1>, area: &TexelArea, out: &mut Vec<u8>) {
        let [width, height] = area.texels().map(|side| side as usize);
        let Some(pixels) = tile.pixels() else {
            let texel = self.wash(tile.pixel(0, 0)[0]);
            out.extend(texel.iter().cycle().take(width * height * 4));
            return;
        };
        let values: Vec<u8> = (0..height)
            .flat_map(|row| (0..width).map(move |column| (column as u32, row as u32)))
            .map(|(column, row)| mean_mask(pixels, area, column, row))
            .collect();
        let washes: [[u8; 4]; 256] = std::array::from_fn(|value| self.wash(value as u8));
        for (at, &value) in values.iter().enumerate() {
            match self.edge {
                Some(line) if is_edge(&values, width, at) => {
                    out.extend(self.over(line, washes[usize::from(value)]));
                }
                _ => out.extend(washes[usize::from(value)]),
            }
        }
    }
}

fn mean_mask(pixels: &[u8], area: &TexelArea, column: u32, row: u32) -> u8 {
    if area.step == 1 {
        return pixels[(row * TILE_PX + column) as usize];
    }
    let ([x0, x1], [y0, y1]) = block(area, column, row);
    let mut sum = 0_u32;
    for y in y0..y1 {
        let start = (y * TILE_PX + x0) as usize;
        let line = &pixels[start..start + (x1 - x0) as usize];
        sum += line.iter().map(|&value| u32::from(value)).sum::<u32>();
    }
    let count = ((x1 - x0) * (y1 - y0)).max(1);
    ((sum + count / 2) / count) as u8
}

/// Whether a texel is the outermost one that is painted at least half. Neighbours in other tiles do
/// not count: the line has no false pieces along tiles.
fn is_edge(values: &[u8], width: usize, at: usize) -> bool {
    let outside = |at: usize| values.get(at).is_some_and(|&value| value < 128);
    values[at] >= 128
        && ((!at.is_multiple_of(width) && outside(at - 1))
            || (!(at + 1).is_multiple_of(width) && outside(at + 1))
            || (at >= width && outside(at - width))
            || outside(at + width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::tiles::Plane;

    #[test]
    fn texels_are_means_of_premultiplied_pixels() {
        // Columns of opaque white and transparent red: half-transparent white, no pink.
        let bytes: Vec<u8> = (0..6 * 4)
            .flat_map(|at| {
                if at % 2 == 0 {
                    [255, 255, 255, 255]
                } else {
                    [255, 0, 0, 0]
                }
            })
            .collect();
        let plane = Plane::<4>::from_bytes([6, 4], &bytes).expect("fits");
        let area = TexelArea {
            width_px: 6,
            height_px: 4,
            step: 4,
        };
        let mut out = Vec::new();
        PictureTexels.write(&plane.tiles()[0], &area, &mut out);
        assert_eq!(out, [128, 128, 128, 128, 128, 128, 128, 128]);
        let one = TexelArea { step: 1, ..area };
        out.clear();
        PictureTexels.write(&plane.tiles()[0], &one, &mut out);
        assert_eq!(out.len(), 6 * 4 * 4);
        assert_eq!(out[..8], [255, 255, 255, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn the_edge_line_goes_around_what_is_painted() {
        let mut values = [0; 64];
        for y in 2..6 {
            for x in 2..6 {
                values[y * 8 + x] = 255;
            }
        }
        let edges = (0..64).filter(|&at| is_edge(&values, 8, at)).count();
        assert_eq!(edges, 12);
        assert_eq!((0..64).filter(|&at| is_edge(&[255; 64], 8, at)).count(), 0);
    }
}
