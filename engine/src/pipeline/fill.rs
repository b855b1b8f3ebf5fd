//! “Fill”: the masked area takes colours grown inward from its surroundings, as a smooth base for
//! the model.

use crate::raster::{Mask, Picture};

/// Replaces the pixels under `repainted` (255) by a blend of the colours around: each ring takes the
/// mean of its known neighbours, from the edge inward, then the area is smoothed.
pub fn fill_from_surroundings(picture: &Picture, repainted: &Mask) -> Picture {
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    let mut known: Vec<bool> = repainted.values.iter().map(|&value| value == 0).collect();
    let pixels = picture.rgba.as_chunks::<4>().0;
    let mut pixels: Vec<[f32; 4]> = pixels.iter().map(|pixel| pixel.map(f32::from)).collect();
    let mut ring: Vec<usize> = (0..known.len())
        .filter(|&at| !known[at] && neighbours(at, width, height).any(|other| known[other]))
        .collect();
    while !ring.is_empty() {
        let around = |at: usize| neighbours(at, width, height).filter(|&other| known[other]);
        let colours: Vec<[f32; 4]> = ring
            .iter()
            .map(|&at| mean(around(at).map(|other| pixels[other])))
            .collect();
        for (&at, colour) in ring.iter().zip(colours) {
            pixels[at] = colour;
            known[at] = true;
        }
        let next = ring.iter().flat_map(|&at| neighbours(at, width, height));
        let mut next: Vec<usize> = next.filter(|&other| !known[other]).collect();
        next.sort_unstable();
        next.dedup();
        ring = next;
    }
    smooth(&mut pixels, repainted, width, height);
    let rgba: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| pixel.map(|value| value.round() as u8))
        .collect();
    Picture {
        rgba: rgba.into(),
        ..picture.clone()
    }
}

/// A few rounds of averaging inside the area take the seams out.
fn smooth(pixels: &mut [[f32; 4]], repainted: &Mask, width: usize, height: usize) {
    let inside: Vec<usize> = (0..pixels.len())
        .filter(|&at| repainted.values[at] != 0)
        .collect();
    for _ in 0..16 {
        let means: Vec<[f32; 4]> = inside
            .iter()
            .map(|&at| mean(neighbours(at, width, height).map(|other| pixels[other])))
            .collect();
        for (&at, colour) in inside.iter().zip(means) {
            pixels[at] = colour;
        }
    }
}

fn neighbours(at: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (at % width, at / width);
    let beside = [
        (x > 0).then(|| at - 1),
        (x + 1 < width).then(|| at + 1),
        (y > 0).then(|| at - width),
        (y + 1 < height).then(|| at + width),
    ];
    beside.into_iter().flatten()
}

fn mean(colours: impl Iterator<Item = [f32; 4]>) -> [f32; 4] {
    let mut sum = [0.0; 4];
    let mut count = 0.0_f32;
    for colour in colours {
        sum.iter_mut()
            .zip(colour)
            .for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.map(|value| value / count.max(1.0))
}
