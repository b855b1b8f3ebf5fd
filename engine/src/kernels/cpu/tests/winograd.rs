//! Convolutions with few products against the twin and against themselves.

use half::bf16;

use super::super::conv::{Conv2d, Pictures, Window};
use super::super::epilogue::Epilogue;
use super::super::shared::{Rows, RowsMut};
use super::super::simd::Element;
use super::super::{Isa, Precision, reference};
use super::{as_elements, assert_close, check_around, for_all, numbers, rounded};

/// What a sum may be off by, relative to the greatest one: 1.8 times the plain sum's error.
const TOLERANCE: f64 = 1e-5;

fn conv(isa: Isa, precision: Precision, (outputs, channels): (usize, usize), w: Window) -> Conv2d {
    let weight = rounded(&numbers(outputs * channels * 9, 61), precision);
    Conv2d::new(isa, precision, &weight, (outputs, channels), w)
}

/// The convolution of `input` (any element type), by Winograd's method or not.
fn result<A: Element>(conv: &Conv2d, few: bool, input: &[f32], shape: Pictures) -> Vec<f32> {
    let (pixels, outputs) = (
        conv.window().output(shape).pixels(),
        conv.weight().outputs(),
    );
    let input = as_elements::<A>(input);
    let mut out = vec![0.0; pixels * outputs];
    conv.apply_window(
        conv.window(),
        few,
        Rows::new(&input, shape.pixels(), input.len() / shape.pixels()),
        shape,
        &Epilogue::default(),
        RowsMut::new(&mut out, pixels, outputs),
    );
    out
}

#[test]
fn few_products_give_the_twins_sums_at_every_size() {
    let beside = Window {
        padding: [0, 2, 1, 0],
        ..Window::same(3)
    };
    let pictures = |images, height, width| Pictures {
        images,
        height,
        width,
    };
    for_all(|isa, precision| {
        for (shape, channels, outputs, window) in [
            (pictures(2, 4, 4), 32, 32, Window::same(3)),
            (pictures(1, 5, 7), 33, 70, Window::same(3)),
            (pictures(2, 9, 6), 130, 41, Window::doubling()),
            (pictures(3, 6, 11), 64, 32, beside),
            // More tiles than one task takes, and lines longer than a run of tiles.
            (pictures(1, 41, 45), 5, 9, Window::same(3)),
            (pictures(1, 3, 2), 1, 1, Window::same(3)),
        ] {
            let conv = conv(isa, precision, (outputs, channels), window);
            let input = rounded(&numbers(shape.pixels() * channels, 60), precision);
            let weight = rounded(&numbers(outputs * channels * 9, 61), precision);
            let want = reference::conv2d(&input, shape, &weight, (outputs, channels), window);
            let what = format!(
                "{} {precision:?} {shape:?} {channels}->{outputs} {window:?}",
                isa.name()
            );
            let got = result::<f32>(&conv, true, &input, shape);
            assert_close(&got, &want, TOLERANCE, &what);
            if precision == Precision::Bf16 {
                // The very same numbers, read from bf16.
                assert_eq!(got, result::<bf16>(&conv, true, &input, shape), "{what}");
            }
        }
    });
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
    };
    // Three pictures of 30 tiles: parts of a task's tiles end within a picture.
    let (shape, channels, outputs) = (
        Pictures {
            images: 5,
            height: 18,
            width: 24,
        },
        70,
        65,
    );
    let one = Pictures { images: 1, ..shape };
    for_all(|isa, precision| {
        if isa.name() == "portable" {
            return;
        }
        let conv = conv(isa, precision, (outputs, channels), Window::same(3));
        let input = numbers(shape.pixels() * channels, 62);
        let whole = pool(1).install(|| result::<f32>(&conv, true, &input, shape));
        let again = pool(3).install(|| result::<f32>(&conv, true, &input, shape));
        assert!(whole == again, "{}: threads change bits", isa.name());
        let last = &input[4 * one.pixels() * channels..];
        let alone = result::<f32>(&conv, true, last, one);
        assert!(
            whole[4 * one.pixels() * outputs..] == alone,
            "{}: the batch changes bits",
            isa.name()
        );
    });
}

#[test]
fn wide_windows_over_large_pictures_take_few_products_and_others_do_not() {
    let isa = Isa::best();
    let shape = Pictures {
        images: 1,
        height: 8,
        width: 8,
    };
    let takes = |sizes, window, shape| {
        let conv = conv(isa, Precision::F32, sizes, window);
        conv.takes_few_products(shape)
    };
    assert!(takes((32, 32), Window::same(3), shape));
    assert!(takes((32, 32), Window::doubling(), shape));
    assert!(!takes((32, 32), Window::halving(), shape));
    assert!(!takes((4, 32), Window::same(3), shape), "few outputs");
    assert!(!takes((32, 4), Window::same(3), shape), "few channels");
    let low = Pictures {
        height: 3,
        width: 99,
        ..shape
    };
    assert!(!takes((32, 32), Window::same(3), low), "no whole tile");
    let small = Pictures { height: 4, ..shape };
    assert!(!takes((32, 32), Window::same(3), small), "two tiles");
    for isa in Isa::testable() {
        let conv = conv(isa, Precision::Bf16, (32, 32), Window::same(3));
        let large = Pictures {
            height: 16,
            width: 16,
            ..shape
        };
        assert!(conv.takes_few_products(large), "{}", isa.name());
        let pairs = isa.has_bf16_dot();
        assert_eq!(conv.takes_few_products(shape), !pairs, "{}", isa.name());
    }
}

#[test]
fn few_products_take_bias_activation_residual_and_strides_where_their_pixels_go() {
    check_around(
        |_, _| TOLERANCE,
        |conv, input, shape, epilogue, out| {
            conv.apply_window(conv.window(), true, input, shape, epilogue, out);
        },
    );
}
