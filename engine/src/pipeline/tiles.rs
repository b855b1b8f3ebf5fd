//! Decoding in tiles: large pictures within bounded work space. Tiles overlap, and fade into each other
//! where they do. A decoder's group norms see one tile instead of the picture, so the pixels are other
//! ones: the recipe says when it is done.

use candle_core::Tensor;

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::model::Autoencoder;
use crate::latent::Latents;
use crate::nn::Act;

/// Least share of a tile's side that it has in common with the next one, as in diffusers.
const OVERLAP: f64 = 0.25;

/// Where tiles of `side` begin along `length`: evenly spread, the first at 0, the last at the end.
fn starts(length: usize, side: usize) -> Vec<usize> {
    if length <= side {
        return vec![0];
    }
    let apart = side - (side as f64 * OVERLAP).ceil() as usize;
    let count = (length - side).div_ceil(apart.max(1)) + 1;
    let last = (length - side) as f64;
    let at = |index: usize| (last * index as f64 / (count - 1) as f64).round() as usize;
    (0..count).map(at).collect()
}

/// What each pixel of each tile counts for along one side: rising over what it has in common with the
/// tile before, falling over what it has in common with the next. The sum over all tiles is 1 everywhere.
fn weights(starts: &[usize], side: usize, factor: usize) -> Vec<Vec<f32>> {
    let ends = |index: usize| (starts[index] * factor, (starts[index] + side) * factor);
    // At a pixel's middle, of a slope from one end to the other.
    let along = |at: usize, (from, to): (usize, usize)| {
        let share = (at as f32 + 0.5 - from as f32) / (to - from) as f32;
        share.clamp(0.0, 1.0)
    };
    let slopes = |index: usize| {
        let (start, end) = ends(index);
        let before = index.checked_sub(1).map(|before| (start, ends(before).1));
        let next = (index + 1 < starts.len()).then(|| (ends(index + 1).0, end));
        let of_pixel = move |at: usize| {
            let rising = before.map_or(1.0, |common| along(at, common));
            let falling = next.map_or(1.0, |common| 1.0 - along(at, common));
            rising.min(falling)
        };
        (start..end).map(of_pixel).collect()
    };
    let mut all: Vec<Vec<f32>> = (0..starts.len()).map(slopes).collect();
    let mut sums = vec![0.0; ends(starts.len() - 1).1];
    for (start, weights) in starts.iter().zip(&all) {
        let places = sums[start * factor..].iter_mut();
        places.zip(weights).for_each(|(sum, weight)| *sum += weight);
    }
    // Three tiles may meet where they are close.
    for (start, weights) in starts.iter().zip(&mut all) {
        let places = sums[start * factor..].iter();
        places.zip(weights).for_each(|(sum, weight)| *weight /= sum);
    }
    all
}

/// Latents (1, C, h, w), already without their scaling factor, to a picture (1, 3, H, W), in tiles of at
/// most `side_px` a side.
///
/// # Errors
/// `Cancelled`, or `Compute` when the device fails.
pub(super) fn decode(
    decoder: &dyn Autoencoder,
    latents: &Latents,
    side_px: u32,
    cancel: &CancelToken,
) -> Result<Tensor> {
    let [_, _, height, width] = latents.shape();
    let factor = decoder.factor();
    let side = (side_px as usize / factor).max(1);
    let sides = [side.min(height), side.min(width)];
    let (tops, lefts) = (starts(height, side), starts(width, side));
    let (full_height, full_width) = (height * factor, width * factor);
    let area = full_height * full_width;
    let downs = weights(&tops, sides[0], factor);
    let acrosses = weights(&lefts, sides[1], factor);
    let mut picture = vec![0.0_f32; 3 * area];
    for (&top, down) in tops.iter().zip(&downs) {
        for (&left, across) in lefts.iter().zip(&acrosses) {
            cancel.check()?;
            let tile = latents.tensor().narrow(2, top, sides[0])?;
            let tile = tile.narrow(3, left, sides[1])?.contiguous()?;
            let made = decoder
                .decode(&Act::from_tensor(tile), cancel)?
                .to_tensor()?;
            let values: Vec<f32> = made.flatten_all()?.to_vec1()?;
            let lines = values.chunks_exact(across.len());
            for (line, values) in lines.enumerate() {
                let (colour, y) = (line / down.len(), line % down.len());
                let from = colour * area + (top * factor + y) * full_width + left * factor;
                let out = picture[from..from + across.len()].iter_mut();
                for ((out, value), across) in out.zip(values).zip(across) {
                    *out += value * across * down[y];
                }
            }
        }
    }
    let shape = (1, 3, full_height, full_width);
    Ok(Tensor::from_vec(picture, shape, latents.tensor().device())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EngineError;
    use crate::families::model::Moments;
    use candle_core::Device;
    use std::sync::Mutex;

    /// Each pixel shows its latent's channels, four a side; remembers the sizes it was given.
    struct Enlarger(Mutex<Vec<(usize, usize)>>);

    impl Autoencoder for Enlarger {
        fn latent_channels(&self) -> usize {
            3
        }

        fn factor(&self) -> usize {
            4
        }

        fn scaling_factor(&self) -> f64 {
            1.0
        }

        fn is_tiny(&self) -> bool {
            false
        }

        fn is_deterministic(&self) -> bool {
            true
        }

        fn encode(&self, _: &Act, _: &CancelToken) -> Result<Moments> {
            Err(EngineError::Cancelled)
        }

        fn decode(&self, latents: &Act, _: &CancelToken) -> Result<Act> {
            let (height, width) = latents.size();
            self.0.lock().unwrap().push((height, width));
            let tensor = latents.to_tensor()?;
            Ok(Act::from_tensor(
                tensor.upsample_nearest2d(4 * height, 4 * width)?,
            ))
        }
    }

    #[test]
    fn tiles_reach_from_end_to_end_and_overlap() {
        for (length, side) in [
            (5, 8),
            (8, 8),
            (9, 8),
            (64, 16),
            (65, 16),
            (250, 128),
            (3, 1),
        ] {
            let starts = starts(length, side);
            assert_eq!(starts[0], 0);
            assert_eq!(starts[starts.len() - 1] + side.min(length), length);
            let overlap = (side as f64 * OVERLAP).floor() as usize;
            for pair in starts.windows(2) {
                assert!(
                    pair[0] < pair[1] && pair[1] + overlap <= pair[0] + side,
                    "{starts:?}"
                );
            }
        }
        assert_eq!(starts(256, 128).len(), 3);
    }

    #[test]
    fn weights_add_up_to_one() {
        for (length, side) in [(8, 8), (9, 8), (15, 8), (20, 8), (250, 128)] {
            let starts = starts(length, side);
            let mut sums = vec![0.0_f32; 4 * length];
            for (start, weights) in starts.iter().zip(weights(&starts, side, 4)) {
                let places = sums[4 * start..].iter_mut();
                places.zip(weights).for_each(|(sum, weight)| *sum += weight);
            }
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{sums:?}");
        }
    }

    #[test]
    fn where_a_pixel_depends_on_its_latent_alone_tiles_change_nothing() {
        let decoder = Enlarger(Mutex::default());
        let [height, width] = [23, 18];
        let values: Vec<f32> = (0..3 * height * width)
            .map(|at| (at as f32 * 0.37).sin())
            .collect();
        let latents = Latents::from_values(values, [1, 3, height, width], &Device::Cpu).unwrap();
        let cancel = CancelToken::default();
        let whole = decoder.decode(&Act::from_tensor(latents.tensor().clone()), &cancel);
        let whole = whole.unwrap().to_tensor().unwrap();
        // 35 px are 8 latents.
        let tiled = decode(&decoder, &latents, 35, &cancel).unwrap();
        assert_eq!(tiled.dims(), whole.dims());
        let off = (tiled - whole).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
        let sizes = decoder.0.lock().unwrap();
        assert!(sizes[1..].iter().all(|size| *size == (8, 8)), "{sizes:?}");
        assert_eq!(sizes.len() - 1, 4 * 3);
    }
}
