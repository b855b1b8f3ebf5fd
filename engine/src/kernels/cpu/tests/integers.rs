//! Weights kept as 8-bit integers: what they stand for, and products with them.

use half::bf16;

use super::super::conv::{Conv2d, Pictures, Window};
use super::super::epilogue::Epilogue;
use super::super::gemm::matmul;
use super::super::pack::PackedMatrix;
use super::super::shared::{Rows, RowsMut};
use super::super::{Activation, Isa, Packing, Precision, reference};
use super::{as_elements, assert_close, numbers, rounded};

/// Inputs that share a factor.
const BLOCK: usize = 32;

/// What the integers of runs of `run` numbers stand for: the greatest of each block is about 127 steps,
/// of a size that bf16 holds.
fn as_kept(weight: &[f32], run: usize) -> Vec<f32> {
    let mut kept = Vec::with_capacity(weight.len());
    for block in weight.chunks_exact(run).flat_map(|run| run.chunks(BLOCK)) {
        let greatest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let step = (0..)
            .map(|up| bf16::from_bits(bf16::from_f32(greatest / 127.0).to_bits() + up).to_f32())
            .find(|step| step * 127.0 >= greatest);
        let step = step.expect("a step");
        let one = |x: &f32| match step {
            0.0 => 0.0,
            step => (x * (1.0 / step)).round_ties_even() * step,
        };
        kept.extend(block.iter().map(one));
    }
    kept
}

/// What sums may be off by: widened weights are rounded to bf16 where the products are of bf16 pairs.
fn tolerance(isa: Isa) -> f64 {
    if isa.has_bf16_dot() { 4e-3 } else { 1e-5 }
}

#[test]
fn products_are_those_of_the_weight_that_the_integers_stand_for() {
    for isa in Isa::testable() {
        for (m, n, k) in [(1, 32, 32), (13, 70, 333), (50, 33, 4100)] {
            let input = rounded(&numbers(m * k, 80), Precision::Bf16);
            let weight = numbers(n * k, 81);
            let packed = PackedMatrix::linear(isa, Packing::Int8, &weight, n, k);
            let full = PackedMatrix::linear(isa, Packing::Bf16, &weight, n, k);
            assert!(
                packed.size_bytes() * 18 <= full.size_bytes() * 10,
                "half of bf16"
            );
            assert_eq!(packed.precision(), Precision::Bf16);
            let want = reference::matmul(&input, &as_kept(&weight, k), (m, n, k));
            let input = as_elements::<bf16>(&input);
            let mut got = vec![0.0_f32; m * n];
            matmul(
                Rows::new(&input, m, k),
                &packed,
                &Epilogue::default(),
                RowsMut::new(&mut got, m, n),
            );
            let what = format!("{} {m} x {k} x {n}", isa.name());
            assert_close(&got, &want, tolerance(isa), &what);
        }
    }
}

#[test]
fn convolutions_of_every_method_take_integers() {
    let shape = Pictures {
        images: 2,
        height: 5,
        width: 6,
    };
    let (channels, outputs) = (70, 40);
    for isa in Isa::testable() {
        for window in [Window::same(3), Window::halving(), Window::doubling()] {
            let input = rounded(&numbers(shape.pixels() * channels, 82), Precision::Bf16);
            let weight = numbers(outputs * channels * 9, 83);
            // Blocks run over the channels of one place of the window.
            let mut kept = vec![0.0; weight.len()];
            for output in 0..outputs {
                let start = output * channels * 9;
                for tap in 0..9 {
                    let places = (0..channels).map(|channel| start + channel * 9 + tap);
                    let run: Vec<f32> = places.clone().map(|place| weight[place]).collect();
                    for (place, value) in places.zip(as_kept(&run, channels)) {
                        kept[place] = value;
                    }
                }
            }
            let sizes = (outputs, channels);
            let conv = Conv2d::new(isa, Packing::Int8, &weight, sizes, window);
            let want = reference::conv2d(&input, shape, &kept, sizes, window);
            let pixels = window.output(shape).pixels();
            let input = as_elements::<bf16>(&input);
            let mut got = vec![0.0_f32; pixels * outputs];
            conv.apply(
                Rows::new(&input, shape.pixels(), channels),
                shape,
                &Epilogue::default(),
                RowsMut::new(&mut got, pixels, outputs),
            );
            let what = format!("{} {window:?}", isa.name());
            assert_close(&got, &want, 2.0 * tolerance(isa), &what);
        }
    }
}

#[test]
fn gated_products_take_integers_and_small_weights_stay_bf16() {
    let (m, half, k) = (9, 40, 64);
    for isa in Isa::testable() {
        let input = rounded(&numbers(m * k, 84), Precision::Bf16);
        let weight = numbers(2 * half * k, 85);
        let result = |packing| {
            let packed = PackedMatrix::gated(isa, packing, &weight, 2 * half, k);
            let input = as_elements::<bf16>(&input);
            let mut out = vec![0.0_f32; m * half];
            matmul(
                Rows::new(&input, m, k),
                &packed,
                &Epilogue::default().activation(Activation::Gelu),
                RowsMut::new(&mut out, m, half),
            );
            out
        };
        let exact: Vec<f64> = result(Packing::F32).iter().map(|&x| f64::from(x)).collect();
        assert_close(&result(Packing::Int8), &exact, 2e-2, isa.name());
        for (n, k) in [(31, 64), (64, 31)] {
            let size = |packing| {
                PackedMatrix::linear(isa, packing, &numbers(n * k, 86), n, k).size_bytes()
            };
            assert_eq!(size(Packing::Int8), size(Packing::Bf16));
        }
    }
}

#[test]
fn blocks_of_zeros_and_of_the_smallest_numbers_stay_finite() {
    let isa = Isa::best();
    let mut weight = vec![0.0_f32; 32 * 96];
    weight[..32].fill(f32::from_bits(1));
    weight[32..64].fill(f32::MIN_POSITIVE);
    weight[64] = 3e38;
    let packed = PackedMatrix::linear(isa, Packing::Int8, &weight, 32, 96);
    let mut got = vec![1.0_f32; 32];
    matmul(
        Rows::new(&[1e-3_f32; 96], 1, 96),
        &packed,
        &Epilogue::default(),
        RowsMut::new(&mut got, 1, 32),
    );
    assert!(got.iter().all(|x| x.is_finite()), "{got:?}");
    assert!((got[0] / 3e35 - 1.0).abs() < 1e-2, "{}", got[0]);
    assert_eq!(got[1..], [0.0; 31]);
}
