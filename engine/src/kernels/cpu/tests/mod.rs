//! Each kernel against its slow twin, on every instruction set this processor has and on the
//! emulation of the widest.

mod attention;
mod doubling;
mod functions;
mod integers;
mod passes;
mod products;
mod strips;
mod winograd;

use half::bf16;

use super::conv::{Conv2d, Pictures, Window};
use super::epilogue::Epilogue;
use super::shared::{Rows, RowsMut};
use super::simd::Element;
use super::{Activation, Isa, Precision, reference};

/// Numbers in -1..1, the same for the same seed.
pub(super) fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The same numbers rounded to bf16 and widened again.
pub(super) fn rounded(values: &[f32], precision: Precision) -> Vec<f32> {
    match precision {
        Precision::F32 => values.to_vec(),
        Precision::Bf16 => values.iter().map(|&x| bf16::from_f32(x).to_f32()).collect(),
    }
}

/// The numbers as an element type.
pub(super) fn as_elements<T: Element>(values: &[f32]) -> Vec<T> {
    values.iter().map(|&x| T::from_f32(x)).collect()
}

/// Panics unless `got` is within `tolerance` of `want`, relative to the greatest value wanted.
#[track_caller]
pub(super) fn assert_close<T: Element>(got: &[T], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: lengths");
    let scale = want.iter().fold(1e-30_f64, |m, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(g.to_f32()) - w).abs() / scale;
        assert!(
            error <= tolerance,
            "{what}: value {i} is {g:?}, wanted {w}, error {error:e}"
        );
    }
}

/// Runs `check` for every instruction set in both precisions.
pub(super) fn for_all(check: impl Fn(Isa, Precision)) {
    for isa in Isa::testable() {
        for precision in [Precision::F32, Precision::Bf16] {
            check(isa, precision);
        }
    }
}

/// Checks a way to convolve three doubled pictures: bias of each picture, activation and residual come to
/// the pixels they belong to, strides are kept, and nothing is written beside the result.
#[track_caller]
pub(super) fn check_around(
    tolerance: impl Fn(Isa, Precision) -> f64,
    convolve: impl Fn(&Conv2d, Rows<'_, f32>, Pictures, &Epilogue<'_, f32>, RowsMut<'_, f32>),
) {
    let (channels, outputs, window) = (36, 37, Window::doubling());
    let shape = Pictures {
        images: 3,
        height: 5,
        width: 4,
    };
    let pixels = window.output(shape).pixels();
    for_all(|isa, precision| {
        let weight = rounded(&numbers(outputs * channels * 9, 61), precision);
        let conv = Conv2d::new(isa, precision, &weight, (outputs, channels), window);
        let wide = rounded(&numbers(shape.pixels() * 50, 63), precision);
        let input: Vec<f32> = wide
            .chunks(50)
            .flat_map(|row| row[3..3 + channels].to_vec())
            .collect();
        let (bias, residual) = (numbers(3 * outputs, 64), numbers(pixels * outputs, 65));
        let mut want = reference::conv2d(&input, shape, &weight, (outputs, channels), window);
        for (i, v) in want.iter_mut().enumerate() {
            let image = i / outputs / (pixels / 3);
            let biased = *v + f64::from(bias[image * outputs + i % outputs]);
            *v = reference::activation(Activation::Silu, biased) + f64::from(residual[i]);
        }
        let epilogue = Epilogue::default()
            .group_bias(&bias, pixels / 3)
            .activation(Activation::Silu)
            .residual(Rows::new(&residual, pixels, outputs));
        let mut out = vec![7.0_f32; pixels * 60];
        convolve(
            &conv,
            Rows::strided(&wide[3..], shape.pixels(), channels, 50),
            shape,
            &epilogue,
            RowsMut::strided(&mut out[10..], pixels, outputs, 60),
        );
        let mut inside = Vec::new();
        for row in out.chunks(60) {
            let outside = row[..10].iter().chain(&row[10 + outputs..]);
            assert!(outside.copied().all(|x| x == 7.0), "{}", isa.name());
            inside.extend_from_slice(&row[10..10 + outputs]);
        }
        assert_close(&inside, &want, tolerance(isa, precision), isa.name());
    });
}
