//! Convolutions of doubled pictures by differences of neighbours, against the twin and themselves.

use half::bf16;

use super::super::conv::{Conv2d, Pictures, Window};
use super::super::epilogue::Epilogue;
use super::super::shared::{Rows, RowsMut};
use super::super::simd::Element;
use super::super::{Isa, Precision, reference};
use super::{as_elements, assert_close, check_around, for_all, numbers, rounded};

/// What a sum may be off by, relative to the greatest one.
fn tolerance(isa: Isa, precision: Precision) -> f64 {
    if precision == Precision::Bf16 && isa.has_bf16_dot() {
        // Differences and windows are rounded to bf16, by 2^-9 of each at most; on noise that is
        // 3.5e-3 of the sums in the mean, on pictures half of it.
        8e-3
    } else {
        5e-6
    }
}

fn conv(isa: Isa, precision: Precision, (outputs, channels): (usize, usize)) -> Conv2d {
    let weight = rounded(&numbers(outputs * channels * 9, 71), precision);
    Conv2d::new(
        isa,
        precision,
        &weight,
        (outputs, channels),
        Window::doubling(),
    )
}

fn pictures(images: usize, height: usize, width: usize) -> Pictures {
    Pictures {
        images,
        height,
        width,
    }
}

/// The convolution of `input`, any element type.
fn result<A: Element>(conv: &Conv2d, input: &[f32], shape: Pictures) -> Vec<f32> {
    let (pixels, outputs) = (4 * shape.pixels(), conv.weight().outputs());
    let input = as_elements::<A>(input);
    let mut out = vec![0.0; pixels * outputs];
    conv.apply_doubling(
        Rows::new(&input, shape.pixels(), input.len() / shape.pixels()),
        shape,
        &Epilogue::default(),
        RowsMut::new(&mut out, pixels, outputs),
    );
    out
}

#[test]
fn differences_give_the_twins_sums_at_every_size() {
    for_all(|isa, precision| {
        for (shape, channels, outputs) in [
            (pictures(1, 1, 1), 1, 1),
            (pictures(2, 4, 4), 32, 32),
            (pictures(1, 5, 7), 33, 70),
            // More channels than a block has, more pixels than a task and a run.
            (pictures(2, 9, 21), 700, 41),
            (pictures(3, 1, 6), 64, 32),
            (pictures(3, 6, 1), 17, 9),
        ] {
            let conv = conv(isa, precision, (outputs, channels));
            let input = rounded(&numbers(shape.pixels() * channels, 70), precision);
            let weight = rounded(&numbers(outputs * channels * 9, 71), precision);
            let sizes = (outputs, channels);
            let want = reference::conv2d(&input, shape, &weight, sizes, Window::doubling());
            let what = format!(
                "{} {precision:?} {shape:?} {channels}->{outputs}",
                isa.name()
            );
            let got = result::<f32>(&conv, &input, shape);
            assert_close(&got, &want, tolerance(isa, precision), &what);
            if precision == Precision::Bf16 {
                // The very same numbers, read from bf16.
                assert_eq!(got, result::<bf16>(&conv, &input, shape), "{what}");
            }
        }
    });
}

#[test]
fn even_pictures_lose_nothing_to_rounding_inside() {
    // All differences vanish inside, and the sum of the window's weights is exact.
    let (isa, shape, channels) = (Isa::best(), pictures(1, 4, 5), 32);
    let weight: Vec<f32> = numbers(32 * channels * 9, 72)
        .iter()
        .map(|x| (x * 8.0).round() / 8.0)
        .collect();
    let conv = Conv2d::new(
        isa,
        Precision::Bf16,
        &weight,
        (32, channels),
        Window::doubling(),
    );
    let input = vec![1.0; shape.pixels() * channels];
    let sizes = (32, channels);
    let want = reference::conv2d(&input, shape, &weight, sizes, Window::doubling());
    let got = result::<bf16>(&conv, &input, shape);
    assert_close(&got, &want, 1e-7, isa.name());
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
    };
    // The differences of all five pictures do not fit into memory at a time: 18 MB in f32.
    let (shape, channels, outputs) = (pictures(5, 90, 100), 24, 33);
    let one = Pictures { images: 1, ..shape };
    for precision in [Precision::F32, Precision::Bf16] {
        let conv = conv(Isa::best(), precision, (outputs, channels));
        let input = numbers(shape.pixels() * channels, 73);
        let whole = pool(1).install(|| result::<f32>(&conv, &input, shape));
        let again = pool(3).install(|| result::<f32>(&conv, &input, shape));
        assert!(whole == again, "{precision:?}: threads change bits");
        for image in [2, 4] {
            let alone = &input[image * one.pixels() * channels..][..one.pixels() * channels];
            let alone = result::<f32>(&conv, alone, one);
            assert!(
                whole[image * 4 * one.pixels() * outputs..][..alone.len()] == alone,
                "{precision:?}: the batch changes bits"
            );
        }
    }
}

#[test]
fn differences_take_bias_activation_residual_and_strides_where_their_pixels_go() {
    // Through the door that chooses the method.
    check_around(tolerance, |conv, input, shape, epilogue, out| {
        conv.apply(input, shape, epilogue, out);
    });
}
