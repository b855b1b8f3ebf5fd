//! A pointwise convolution whose result takes its input's memory: in front of a decoder's last level the
//! input alone is a third of the peak.

use std::sync::Arc;

use super::host::{self, Around};
use super::{Same, Then};
use crate::error::Result;
use crate::kernels::cpu::conv::Conv2d;
use crate::nn::act::Host;
use crate::nn::memory::Buffer;

/// Smaller maps are not worth the way there and back.
const LEAST_BYTES: usize = 16 << 20;
/// So much goes through at once.
const BAND_BYTES: usize = 8 << 20;

/// As [`host::conv2d`], within the memory of `x` where nothing else holds it and the result has no more
/// channels. A pixel's result depends on that pixel alone: the bits are the same.
pub(super) fn conv2d<T: Same>(
    mut x: Host<T>,
    conv: &Conv2d,
    around: Around<'_>,
) -> Result<Host<T>> {
    let then = Then::default();
    let (inputs, outputs) = (x.channels, conv.weight().outputs());
    let window = conv.window();
    let fits = (window.kernel, window.stride) == ((1, 1), 1)
        && outputs <= inputs
        && inputs == conv.weight().inputs()
        && size_of_val(&x.data[..]) >= LEAST_BYTES;
    let pixels = x.rows();
    let Some(data) = Arc::get_mut(&mut x.data).filter(|_| fits) else {
        return host::conv2d(&x, conv, around, &then, None);
    };
    let together = (BAND_BYTES / (inputs * size_of::<T>())).max(1);
    for from in (0..pixels).step_by(together) {
        let count = together.min(pixels - from);
        let mut band = Buffer::unspecified(count * inputs);
        band.as_mut_slice()
            .copy_from_slice(&data[from * inputs..][..count * inputs]);
        let band = Host {
            data: Arc::new(band),
            batch: 1,
            height: count,
            width: 1,
            channels: inputs,
            is_map: true,
        };
        let made = host::conv2d(&band, conv, around, &then, None)?;
        // Never beyond what was read: the result's rows are no longer than the input's.
        data.as_mut_slice()[from * outputs..][..count * outputs].copy_from_slice(&made.data);
    }
    data.truncate(pixels * outputs);
    x.channels = outputs;
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::conv::Window;
    use crate::kernels::cpu::{Precision, trusted_isa};
    use half::bf16;

    fn map<T: Same>(channels: usize, [height, width]: [usize; 2]) -> Host<T> {
        let values = (0..height * width * channels)
            .map(|at| T::from_f32(((at * 7919) % 1013) as f32 / 506.0 - 1.0));
        Host {
            data: Arc::new(Buffer::new(values.collect())),
            batch: 1,
            height,
            width,
            channels,
            is_map: true,
        }
    }

    fn check<T: Same>(
        precision: Precision,
        [from, to]: [usize; 2],
        size: [usize; 2],
        within: bool,
    ) {
        let weights: Vec<f32> = (0..from * to)
            .map(|at| ((at * 31) % 97) as f32 / 97.0 - 0.5)
            .collect();
        let window = Window {
            kernel: (1, 1),
            stride: 1,
            padding: [0; 4],
            upsample: false,
        };
        let conv = Conv2d::new(trusted_isa(), precision, &weights, (to, from), window);
        let bias: Vec<f32> = (0..to).map(|at| at as f32 / 10.0).collect();
        let around = Around {
            bias: Some(&bias),
            ..Around::default()
        };
        let x = map::<T>(from, size);
        let wanted = host::conv2d(&x, &conv, around, &Then::default(), None).unwrap();
        let held = x.clone();
        let same = |made: &Host<T>| {
            assert_eq!(
                (made.channels, made.height, made.width),
                (to, size[0], size[1])
            );
            let pairs = made.data.iter().zip(wanted.data.iter());
            assert_eq!(made.data.len(), wanted.data.len());
            assert!(
                pairs
                    .into_iter()
                    .all(|(a, b)| a.to_f32().to_bits() == b.to_f32().to_bits())
            );
        };
        let place = x.data.as_ptr();
        let made = conv2d(x, &conv, around).unwrap();
        same(&made);
        assert_ne!(made.data.as_ptr(), place, "somebody else holds it");
        let made = conv2d(held, &conv, around).unwrap();
        same(&made);
        assert_eq!(made.data.as_ptr() == place, within);
    }

    #[test]
    fn the_bits_are_those_of_the_plain_convolution_in_the_memory_of_the_input() {
        // 16 MiB and a little, in bands that do not divide it.
        check::<f32>(Precision::F32, [64, 24], [257, 257], true);
        check::<bf16>(Precision::Bf16, [96, 96], [301, 300], true);
        // Too small, and too wide a result.
        check::<f32>(Precision::F32, [64, 24], [9, 7], false);
        check::<f32>(Precision::F32, [64, 80], [257, 257], false);
    }
}
