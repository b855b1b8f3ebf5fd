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

use super::simd::Element;
use super::{Isa, Precision};

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
