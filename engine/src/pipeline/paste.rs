//! Puts the model's pixels back into the opened picture. The promise of the program: where the
//! painted mask is 0, the result has the opened picture's pixels, and that is checked on every run.

use crate::raster::{Mask, Picture};

/// Blends `made` into `original` with its upper left at (`left`, `top`), by `weights` (one per pixel
/// of `original`, 0 to 1). `made` lies inside `original`.
pub fn paste(
    original: &Picture,
    made: &Picture,
    [left, top]: [u32; 2],
    weights: &[f32],
) -> Picture {
    let mut rgba = original.rgba.to_vec();
    for y in 0..made.height_px {
        for x in 0..made.width_px {
            let at = (y + top) as usize * original.width_px as usize + (x + left) as usize;
            let weight = weights[at];
            if weight <= 0.0 {
                continue;
            }
            let new = made.pixel(x, y);
            let old = &mut rgba[4 * at..4 * at + 4];
            // Transparent parts were shown to the model on white: blend from what it saw.
            let shown = f32::from(old[3]) / 255.0;
            for colour in 0..3 {
                let before = f32::from(old[colour]) * shown + 255.0 * (1.0 - shown);
                let value = before + (f32::from(new[colour]) - before) * weight;
                old[colour] = value.round() as u8;
            }
            old[3] = (f32::from(old[3]) + (255.0 - f32::from(old[3])) * weight).round() as u8;
        }
    }
    Picture {
        rgba: rgba.into(),
        ..original.clone()
    }
}

/// Whether every pixel with painted mask 0 is the same in both pictures.
pub fn unmasked_pixels_equal(original: &Picture, result: &Picture, mask: &Mask) -> bool {
    let old = original.rgba.as_chunks::<4>().0;
    let new = result.rgba.as_chunks::<4>().0;
    old.len() == new.len()
        && old.len() == mask.values.len()
        && old
            .iter()
            .zip(new)
            .zip(mask.values.iter())
            .all(|((a, b), &mask)| mask != 0 || a == b)
}
