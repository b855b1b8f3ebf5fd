//! From the painted mask to what the model repaints and how the result is pasted: pure geometry on
//! 8-bit masks (255 = repaint).

use crate::raster::Mask;

/// Share of the blurred mask from which on the model repaints: blur widens its area.
const WIDENED_FROM: f32 = 0.05;
/// The reference's threshold for an unblurred mask: half.
const PAINTED_FROM: u8 = 128;

/// A rectangle in picture pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// The smallest rectangle around everything painted; `None` when nothing is.
pub fn painted_bounds(mask: &Mask) -> Option<Rect> {
    let width = mask.width_px as usize;
    let mut bounds: Option<[usize; 4]> = None;
    for (y, row) in mask.values.chunks_exact(width).enumerate() {
        let Some(left) = row.iter().position(|&value| value > 0) else {
            continue;
        };
        let right = row.iter().rposition(|&value| value > 0).unwrap_or(left);
        let [l, t, r, _] = bounds.unwrap_or([left, y, right, y]);
        bounds = Some([l.min(left), t, r.max(right), y]);
    }
    bounds.map(|[left, top, right, bottom]| Rect {
        x: left as u32,
        y: top as u32,
        width: (right - left + 1) as u32,
        height: (bottom - top + 1) as u32,
    })
}

/// The crop that “only masked” shows the model: `bounds` with `padding` on each side, then grown
/// towards the shape of `native`, inside a picture of `size` (width, height).
pub fn context_crop(bounds: Rect, padding: u32, native: [u32; 2], size: [u32; 2]) -> Rect {
    let span = |start: u32, length: u32, limit: u32| {
        let from = start.saturating_sub(padding);
        (from, (start + length + padding).min(limit) - from)
    };
    let (mut x, mut width) = span(bounds.x, bounds.width, size[0]);
    let (mut y, mut height) = span(bounds.y, bounds.height, size[1]);
    // Grow the shorter side, about its middle, as far as the picture allows.
    let wanted_width = u64::from(height) * u64::from(native[0]) / u64::from(native[1].max(1));
    let wanted_height = u64::from(width) * u64::from(native[1]) / u64::from(native[0].max(1));
    if wanted_width > u64::from(width) {
        (x, width) = grow(x, width, wanted_width, size[0]);
    } else if wanted_height > u64::from(height) {
        (y, height) = grow(y, height, wanted_height, size[1]);
    }
    Rect {
        x,
        y,
        width,
        height,
    }
}

fn grow(start: u32, length: u32, wanted: u64, limit: u32) -> (u32, u32) {
    let longer = u32::try_from(wanted)
        .unwrap_or(limit)
        .min(limit)
        .max(length);
    let before = (longer - length) / 2;
    (start.saturating_sub(before).min(limit - longer), longer)
}

/// The size a crop is shown to the model at: its shape, about the area of `native`, sides in
/// multiples of `multiple`.
pub fn context_size(crop: Rect, native: [u32; 2], multiple: u32) -> [u32; 2] {
    let area = f64::from(native[0]) * f64::from(native[1]);
    let scale = (area / (f64::from(crop.width) * f64::from(crop.height))).sqrt();
    [crop.width, crop.height].map(|side| {
        let steps = (f64::from(side) * scale / f64::from(multiple))
            .round()
            .max(1.0) as u32;
        (steps * multiple).clamp(multiple, 8192)
    })
}

/// A mask's blur, from which both the model's area and the paste's weights follow.
pub struct Feather {
    blurred: Option<Vec<f32>>,
    radius_px: usize,
}

impl Feather {
    /// Blurs with a Gaussian of standard deviation `radius_px / 2`; 0 leaves the mask as painted.
    pub fn new(mask: &Mask, radius_px: u32) -> Self {
        let blurred = (radius_px > 0).then(|| gaussian_blur(mask, radius_px));
        Self {
            blurred,
            radius_px: radius_px as usize,
        }
    }

    /// What the model repaints: binary, 255 or 0. Contains every pixel painted at least half, and
    /// with blur a margin around.
    pub fn repainted(&self, mask: &Mask) -> Mask {
        let binary = |wanted: &dyn Fn(usize, u8) -> bool| -> Vec<u8> {
            let values = mask.values.iter().enumerate();
            values
                .map(|(at, &value)| if wanted(at, value) { 255 } else { 0 })
                .collect()
        };
        let mut values = binary(&|at, value| {
            let blurred = self.blurred.as_ref().map_or(0.0, |blurred| blurred[at]);
            value >= PAINTED_FROM || blurred >= WIDENED_FROM
        });
        if values.iter().all(|&value| value == 0) {
            // Only faint paint: all of it is meant.
            values = binary(&|_, value| value > 0);
        }
        Mask {
            values: values.into(),
            ..mask.clone()
        }
    }

    /// Weight of the model's pixels in the paste, 0 to 1: never above the painted value, so 0
    /// wherever nothing is painted. With blur it rises from 0 at the edge to full inside.
    pub fn weights(&self, mask: &Mask) -> Vec<f32> {
        let painted = mask.values.iter().map(|&value| f32::from(value) / 255.0);
        let Some(blurred) = &self.blurred else {
            return painted.collect();
        };
        // Relative to the neighbourhood's peak, so that thin strokes still reach full weight.
        let peak = local_maximum(blurred, mask.width_px as usize, self.radius_px);
        let rise = blurred.iter().zip(&peak).map(|(&value, &peak)| {
            if peak > 0.0 {
                (2.0 * value / peak - 1.0).clamp(0.0, 1.0)
            } else {
                0.0
            }
        });
        painted
            .zip(rise)
            .map(|(painted, rise)| painted * rise)
            .collect()
    }
}

fn gaussian_blur(mask: &Mask, radius_px: u32) -> Vec<f32> {
    let sigma = radius_px as f32 / 2.0;
    let reach = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> = (0..=reach)
        .map(|i| (-((i * i) as f32) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
    kernel.iter_mut().for_each(|weight| *weight /= sum);
    let weigh = |line: &[f32], at: usize| {
        let mut sum = kernel[0] * line[at];
        for (offset, weight) in kernel.iter().enumerate().skip(1) {
            // The mask is taken to go on with its edge value.
            let after = (at + offset).min(line.len() - 1);
            sum += weight * (line[at.saturating_sub(offset)] + line[after]);
        }
        sum
    };
    let source: Vec<f32> = mask
        .values
        .iter()
        .map(|&value| f32::from(value) / 255.0)
        .collect();
    both_ways(&source, mask.width_px as usize, weigh)
}

fn local_maximum(values: &[f32], width: usize, radius: usize) -> Vec<f32> {
    both_ways(values, width, |line, at| {
        let reach = at.saturating_sub(radius)..(at + radius + 1).min(line.len());
        line[reach].iter().copied().fold(0.0, f32::max)
    })
}

/// Applies a function of (line, place) along all rows, then along all columns of the result.
fn both_ways(values: &[f32], width: usize, function: impl Fn(&[f32], usize) -> f32) -> Vec<f32> {
    let along_rows = |values: &[f32], width: usize| -> Vec<f32> {
        let rows = values.chunks_exact(width);
        rows.flat_map(|row| (0..width).map(|at| function(row, at)))
            .collect()
    };
    let transposed = |values: &[f32], width: usize| -> Vec<f32> {
        let height = values.len() / width;
        (0..values.len())
            .map(|at| values[(at % height) * width + at / height])
            .collect()
    };
    let height = values.len() / width;
    let across = transposed(&along_rows(values, width), width);
    transposed(&along_rows(&across, height), height)
}

/// The mask on the latents' grid (1 = repaint), by nearest neighbour as the reference: the pixel at
/// each cell's upper left. A mask too thin to be met that way repaints every cell it touches.
pub fn on_latents(repainted: &Mask, factor: usize, [width, height]: [usize; 2]) -> Vec<f32> {
    let (full_width, full_height) = (repainted.width_px as usize, repainted.height_px as usize);
    let value = |x: usize, y: usize| {
        repainted.values[y.min(full_height - 1) * full_width + x.min(full_width - 1)]
    };
    let each_cell = |wanted: &dyn Fn(usize, usize) -> bool| -> Vec<f32> {
        (0..width * height)
            .map(|index| wanted((index % width) * factor, (index / width) * factor))
            .map(|wanted| f32::from(u8::from(wanted)))
            .collect()
    };
    let nearest = each_cell(&|x, y| value(x, y) >= PAINTED_FROM);
    if nearest.iter().any(|&value| value > 0.0) {
        return nearest;
    }
    each_cell(&|x, y| (y..y + factor).any(|y| (x..x + factor).any(|x| value(x, y) > 0)))
}
