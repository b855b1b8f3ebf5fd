//! Norms and passes over single values.

use half::bf16;

use super::super::elementwise::{activate, add, concat, convert};
use super::super::gemm::{Rows, RowsMut};
use super::super::norm::{GroupNorm, layer_norm, softmax};
use super::super::simd::Element;
use super::super::{Activation, Isa, reference};
use super::{as_elements, assert_close, numbers};

fn group_norm<A: Element, O: Element>(isa: Isa, norm: &GroupNorm<'_>, x: &[f32]) -> Vec<O> {
    let (rows, channels) = (x.len() / norm.weight.len(), norm.weight.len());
    let (x, mut out) = (as_elements::<A>(x), vec![O::default(); x.len()]);
    norm.apply(
        isa,
        Rows::new(&x, rows, channels),
        RowsMut::new(&mut out, rows, channels),
    );
    out
}

#[test]
fn group_norm_matches_the_twin() {
    // images, pixels, channels, groups, mean
    let shapes = [
        (1, 1, 4, 2, 0.0),
        (2, 7, 6, 3, 0.0),
        (1, 300, 32, 32, 5.0),
        (3, 50, 40, 8, -1.0),
        (2, 1100, 70, 7, 1000.0),
    ];
    for isa in Isa::testable() {
        for (images, pixels, channels, groups, mean) in shapes {
            let draw = numbers(images * pixels * channels, 30);
            let x: Vec<f32> = draw.iter().map(|v| v + mean).collect();
            let (weight, bias) = (numbers(channels, 31), numbers(channels, 32));
            for activation in [Activation::None, Activation::Silu] {
                let norm = GroupNorm {
                    images,
                    groups,
                    eps: 1e-5,
                    weight: &weight,
                    bias: &bias,
                    activation,
                };
                let want: Vec<f64> = x
                    .chunks(pixels * channels)
                    .flat_map(|x| {
                        reference::group_norm(x, channels, groups, 1e-5, [&weight, &bias])
                    })
                    .map(|v| reference::activation(activation, v))
                    .collect();
                // The mean is rounded once: that is what its size costs.
                let tolerance = 2e-6 + 2e-7 * f64::from(mean.abs());
                let what = format!("{} {images}x{pixels}x{channels}", isa.name());
                assert_close(
                    &group_norm::<f32, f32>(isa, &norm, &x),
                    &want,
                    tolerance,
                    &what,
                );
                if mean == 0.0 {
                    let got = group_norm::<f32, bf16>(isa, &norm, &x);
                    assert_close(&got, &want, 4e-3, &what);
                    let got = group_norm::<bf16, f32>(isa, &norm, &x);
                    assert_close(&got, &want, 2e-2, &what);
                }
            }
        }
    }
}

#[test]
fn layer_norm_matches_the_twin_and_keeps_to_its_columns() {
    for isa in Isa::testable() {
        for (rows, cols) in [(1, 1), (3, 7), (5, 16), (40, 77), (9, 320), (2, 1000)] {
            let stride = cols + 3;
            let x: Vec<f32> = numbers(rows * stride, 33)
                .iter()
                .map(|v| v * 2.0 + 3.0)
                .collect();
            let (weight, bias) = (numbers(cols, 34), numbers(cols, 35));
            let mut out = vec![9.0_f32; rows * stride];
            let view = RowsMut::strided(&mut out, rows, cols, stride);
            layer_norm(
                isa,
                Rows::strided(&x, rows, cols, stride),
                [&weight, &bias],
                1e-5,
                view,
            );
            for (row, from) in out.chunks(stride).zip(x.chunks(stride)) {
                let line = [&weight[..], &bias[..]];
                let want = reference::group_norm(&from[..cols], cols, 1, 1e-5, line);
                assert_close(
                    &row[..cols],
                    &want,
                    3e-6,
                    &format!("{} {rows}x{cols}", isa.name()),
                );
                assert_eq!(row[cols..], [9.0; 3], "{}", isa.name());
            }
        }
    }
}

#[test]
fn softmax_rows_sum_to_one_and_match_the_twin() {
    for isa in Isa::testable() {
        for cols in [1, 5, 8, 33, 300] {
            let x: Vec<f32> = numbers(3 * cols, 36)
                .iter()
                .map(|v| v * 20.0 + 500.0)
                .collect();
            let mut out = vec![0.0_f32; 3 * cols];
            softmax(isa, Rows::new(&x, 3, cols), RowsMut::new(&mut out, 3, cols));
            let want: Vec<f64> = x
                .chunks(cols)
                .flat_map(|row| {
                    let weights: Vec<f64> =
                        row.iter().map(|v| (f64::from(*v) - 500.0).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    weights.into_iter().map(move |w| w / sum)
                })
                .collect();
            assert_close(&out, &want, 2e-6, &format!("{} {cols}", isa.name()));
        }
    }
}

#[test]
fn passes_over_single_values_match_plain_loops() {
    for isa in Isa::testable() {
        for len in [0, 1, 7, 8, 31, 70_001] {
            let (a, b) = (numbers(len, 37), numbers(len, 38));
            let mut sum = vec![0.0; len];
            add(isa, &a, &b, &mut sum);
            assert!(
                sum.iter()
                    .zip(a.iter().zip(&b))
                    .all(|(s, (a, b))| *s == a + b)
            );
            let mut narrow = vec![bf16::ZERO; len];
            convert(isa, &a, &mut narrow);
            assert!(
                narrow.iter().zip(&a).all(|(n, a)| *n == bf16::from_f32(*a)),
                "{}",
                isa.name()
            );
            let mut wide = vec![0.0_f32; len];
            convert(isa, &narrow, &mut wide);
            assert!(
                wide.iter().zip(&narrow).all(|(w, n)| *w == n.to_f32()),
                "{}",
                isa.name()
            );
            let mut active = vec![0.0; len];
            activate(isa, Activation::Gelu, &a, &mut active);
            let want: Vec<f64> = a
                .iter()
                .map(|x| reference::activation(Activation::Gelu, f64::from(*x)))
                .collect();
            assert_close(&active, &want, 1e-6, isa.name());
        }
    }
}

#[test]
fn rounding_to_bf16_is_that_of_the_half_crate() {
    // Ties, the carry into the exponent, overflow to infinity, infinities and NaN; subnormals are
    // left out, which hardware takes for zero.
    let mut values: Vec<f32> = [
        0x3f80_8000,
        0x3f81_8000,
        0x3f80_8001,
        0x3fff_ffff,
        0x7f7f_ffff,
    ]
    .map(f32::from_bits)
    .to_vec();
    values.extend([
        0.0,
        -0.0,
        1.0,
        -1.5,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -3.1e-30,
    ]);
    values.extend(numbers(1000, 39));
    for isa in Isa::testable() {
        let mut got = vec![bf16::ZERO; values.len()];
        convert(isa, &values, &mut got);
        for (got, x) in got.iter().zip(&values) {
            let want = bf16::from_f32(*x);
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            assert!(same, "{}: {x:e} becomes {got:?}, not {want:?}", isa.name());
        }
    }
}

#[test]
fn concatenation_puts_columns_side_by_side() {
    for isa in Isa::testable() {
        let (a, b) = (numbers(5 * 9, 40), numbers(5 * 33, 41));
        let mut out = vec![0.0_f32; 5 * 42];
        let parts = [Rows::new(&a, 5, 9), Rows::new(&b, 5, 33)];
        concat(isa, &parts, RowsMut::new(&mut out, 5, 42));
        for (row, out) in out.chunks(42).enumerate() {
            assert_eq!(out[..9], a[row * 9..][..9], "{}", isa.name());
            assert_eq!(out[9..], b[row * 33..][..33], "{}", isa.name());
        }
    }
}
