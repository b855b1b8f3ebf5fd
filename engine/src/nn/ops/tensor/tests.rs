//! The library's operations against the slow twins of the fused kernels, which are tested against the same: a
//! picture is the same whichever of the two a card runs.

use candle_core::{Device, Tensor};

use super::{Act, Activation, Repr, Then, act, cpu, finish, gated, group_norm, layer_norm};
use crate::kernels::cuda::reference::{self, Shape};

const FUNCTIONS: [Option<Activation>; 5] = [
    None,
    Some(Activation::Silu),
    Some(Activation::Gelu),
    Some(Activation::QuickGelu),
    Some(Activation::Relu),
];

fn kernel(function: Option<Activation>) -> cpu::Activation {
    super::kernel_or_none(function)
}

/// Numbers without a pattern, about -1 to 3.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 4_194_304.0 - 1.0
        })
        .collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

#[track_caller]
fn expect_near(got: &Act, want: &[f64]) {
    let Repr::Tensor(got) = &got.0 else {
        panic!("a tensor");
    };
    let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        // f32's rounding, in sums of some ten values.
        let off = (f64::from(*got) - want).abs();
        assert!(off <= 5e-6 * scale, "[{at}]: {got}, not {want}");
    }
}

#[test]
fn norms_are_what_the_fused_ones_are() {
    let (x, weight, bias) = (numbers(2 * 6 * 15, 1), numbers(6, 2), numbers(6, 3));
    let scales = [&tensor(&weight, &[6]), &tensor(&bias, &[6])];
    for (groups, then) in [(3, FUNCTIONS[1]), (6, None), (1, FUNCTIONS[2])] {
        let got = group_norm(&tensor(&x, &[2, 6, 3, 5]), (groups, 1e-5), scales, then).unwrap();
        let shape = (6, 15, 6 / groups);
        let want = reference::group_norm(&x, shape, [&weight, &bias], 1e-5, kernel(then));
        expect_near(&got, &want);
    }
    let got = layer_norm(&tensor(&x, &[2, 15, 6]), scales, 1e-5).unwrap();
    expect_near(&got, &reference::layer_norm(&x, [&weight, &bias], 1e-5));
}

#[test]
fn what_follows_a_product_is_what_the_fused_one_is() {
    let map = Shape::Map {
        pictures: 2,
        channels: 6,
        pixels: 15,
    };
    let tokens = Shape::Tokens {
        pictures: 2,
        tokens: 15,
        channels: 6,
    };
    let (x, bias) = (numbers(180, 4), numbers(6, 5));
    let (vector, residual) = (numbers(12, 6), numbers(180, 7));
    for (shape, dims) in [(map, [2, 6, 3, 5].as_slice()), (tokens, &[2, 15, 6])] {
        let line = tensor(&bias, &[6]);
        let (with_vector, with_residual) = (
            act(tensor(&vector, &[2, 1, 6])),
            act(tensor(&residual, dims)),
        );
        for (parts, function) in (0..8).zip(FUNCTIONS.into_iter().cycle()) {
            let then = Then {
                vector: (parts & 2 != 0).then_some(&with_vector),
                activation: function,
                residual: (parts & 4 != 0).then_some(&with_residual),
            };
            let line = (parts & 1 != 0).then_some(&line);
            let got = finish(tensor(&x, dims), line, &then).unwrap();
            let twin = reference::Finish {
                bias: line.map(|_| &*bias),
                vector: then.vector.map(|_| &*vector),
                activation: kernel(function),
                residual: then.residual.map(|_| &*residual),
            };
            expect_near(&got, &reference::finish(&x, shape, twin));
        }
    }
}

#[test]
fn gates_are_what_the_fused_ones_are() {
    let (x, bias) = (numbers(5 * 14, 8), numbers(14, 9));
    for bias in [None, Some(&*bias)] {
        let line = bias.map(|bias| tensor(bias, &[14]));
        let got = gated(&tensor(&x, &[1, 5, 14]), line.as_ref()).unwrap();
        expect_near(&act(got), &reference::geglu(&x, 7, bias));
    }
}
