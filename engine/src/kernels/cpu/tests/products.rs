//! Matrix product and convolution.

use half::bf16;

use super::super::conv::{Conv2d, Pictures, Window};
use super::super::gemm::{Epilogue, Rows, RowsMut, matmul};
use super::super::pack::PackedMatrix;
use super::super::simd::Element;
use super::super::{Activation, Isa, Precision, reference};
use super::{as_elements, assert_close, for_all, numbers, rounded};

/// What a sum of a few thousand products may be off by, relative to the greatest one.
const SUM_TOLERANCE: f64 = 6e-6;

fn product<A: Element, O: Element>(
    a: &[f32],
    b: &PackedMatrix,
    m: usize,
    epilogue: &Epilogue<'_, O>,
) -> Vec<O> {
    let (a, mut out) = (as_elements::<A>(a), vec![O::default(); m * b.outputs()]);
    let shape = (m, b.outputs());
    matmul(
        Rows::new(&a, m, b.inputs()),
        b,
        epilogue,
        RowsMut::new(&mut out, shape.0, shape.1),
    );
    out
}

#[test]
fn products_of_all_shapes_match_the_twin() {
    let shapes = [
        (1, 1, 1),
        (1, 33, 7),
        (2, 5, 3),
        (5, 16, 64),
        (7, 31, 9),
        (12, 32, 77),
        (13, 40, 2),
        (25, 100, 321),
        (50, 17, 130),
        (3, 48, 7000),
    ];
    for_all(|isa, precision| {
        for (m, n, k) in shapes {
            let a = rounded(&numbers(m * k, 1), precision);
            let w = rounded(&numbers(n * k, 2), precision);
            let b = PackedMatrix::linear(isa, precision, &w, n, k);
            let want = reference::matmul(&a, &w, (m, n, k));
            let what = format!("{} {precision:?} {m}x{n}x{k}", isa.name());
            let got = product::<f32, f32>(&a, &b, m, &Epilogue::default());
            assert_close(&got, &want, SUM_TOLERANCE, &what);
            if precision == Precision::Bf16 {
                let got = product::<bf16, bf16>(&a, &b, m, &Epilogue::default());
                assert_close(&got, &want, 4e-3, &what);
            }
        }
    });
}

#[test]
fn the_epilogue_adds_bias_activation_and_residual_in_order() {
    let (m, n, k, group) = (29, 37, 24, 10);
    for_all(|isa, precision| {
        let a = rounded(&numbers(m * k, 3), precision);
        let w = rounded(&numbers(n * k, 4), precision);
        let bias = numbers(n * m.div_ceil(group), 5);
        let residual = numbers(m * n, 6);
        let b = PackedMatrix::linear(isa, precision, &w, n, k);
        for kind in [
            Activation::None,
            Activation::Relu,
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
        ] {
            let epilogue = Epilogue::default()
                .group_bias(&bias, group)
                .activation(kind)
                .residual(Rows::new(&residual, m, n));
            let mut want = reference::matmul(&a, &w, (m, n, k));
            for (i, v) in want.iter_mut().enumerate() {
                let biased = *v + f64::from(bias[i / n / group * n + i % n]);
                *v = reference::activation(kind, biased) + f64::from(residual[i]);
            }
            let got = product::<f32, f32>(&a, &b, m, &epilogue);
            assert_close(
                &got,
                &want,
                SUM_TOLERANCE,
                &format!("{} {kind:?}", isa.name()),
            );
        }
    });
}

#[test]
fn a_gated_product_multiplies_values_by_their_gates() {
    for (m, n, k) in [(9, 2, 5), (14, 66, 20), (30, 130, 31)] {
        for_all(|isa, precision| {
            let a = rounded(&numbers(m * k, 7), precision);
            let w = rounded(&numbers(n * k, 8), precision);
            let bias = numbers(n, 9);
            let b = PackedMatrix::gated(isa, precision, &w, n, k);
            let full = reference::matmul(&a, &w, (m, n, k));
            let half = n / 2;
            let want: Vec<f64> = (0..m * half)
                .map(|i| {
                    let (row, col) = (i / half, i % half);
                    let value = full[row * n + col] + f64::from(bias[col]);
                    let gate = full[row * n + half + col] + f64::from(bias[half + col]);
                    value * reference::activation(Activation::Gelu, gate)
                })
                .collect();
            let epilogue = Epilogue::default().bias(&bias).activation(Activation::Gelu);
            let got = product::<f32, f32>(&a, &b, m, &epilogue);
            assert_close(
                &got,
                &want,
                SUM_TOLERANCE,
                &format!("{} {m}x{n}x{k}", isa.name()),
            );
        });
    }
}

#[test]
fn strided_views_leave_their_surroundings_alone() {
    let (m, n, k) = (11, 20, 10);
    for_all(|isa, precision| {
        let a = rounded(&numbers(m * 15, 10), precision);
        let w = rounded(&numbers(n * k, 11), precision);
        let b = PackedMatrix::linear(isa, precision, &w, n, k);
        let dense: Vec<f32> = a
            .chunks(15)
            .flat_map(|row| row[2..2 + k].to_vec())
            .collect();
        let want = reference::matmul(&dense, &w, (m, n, k));
        let mut out = vec![7.0_f32; m * 50];
        let view = RowsMut::strided(&mut out[5..], m, n, 50);
        matmul(
            Rows::strided(&a[2..], m, k, 15),
            &b,
            &Epilogue::default(),
            view,
        );
        let mut inside = Vec::new();
        for row in out.chunks(50) {
            assert!(
                row[..5].iter().chain(&row[25..]).all(|&x| x == 7.0),
                "{}",
                isa.name()
            );
            inside.extend_from_slice(&row[5..25]);
        }
        assert_close(&inside, &want, SUM_TOLERANCE, isa.name());
    });
}

#[test]
fn a_row_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let (m, n, k) = (200, 96, 4000);
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
    };
    let (one, three) = (pool(1), pool(3));
    for_all(|isa, precision| {
        if isa.name() == "portable" {
            return;
        }
        let (a, w) = (numbers(m * k, 12), numbers(n * k, 13));
        let b = PackedMatrix::linear(isa, precision, &w, n, k);
        let whole = one.install(|| product::<f32, f32>(&a, &b, m, &Epilogue::default()));
        let again = three.install(|| product::<f32, f32>(&a, &b, m, &Epilogue::default()));
        assert!(whole == again, "{}: threads change bits", isa.name());
        let tail = product::<f32, f32>(&a[k * 193..], &b, 7, &Epilogue::default());
        assert!(
            whole[n * 193..] == tail,
            "{}: the batch changes bits",
            isa.name()
        );
    });
}

fn convolution<A: Element, O: Element>(
    conv: &Conv2d,
    input: &[f32],
    shape: Pictures,
    epilogue: &Epilogue<'_, O>,
) -> Vec<O> {
    let rows = conv.window().output(shape).pixels();
    let (input, mut out) = (
        as_elements::<A>(input),
        vec![O::default(); rows * conv.weight().outputs()],
    );
    let channels = input.len() / shape.pixels();
    let view = RowsMut::new(&mut out, rows, conv.weight().outputs());
    conv.apply(
        Rows::new(&input, shape.pixels(), channels),
        shape,
        epilogue,
        view,
    );
    out
}

#[test]
fn convolutions_of_all_windows_match_the_twin() {
    let asymmetric = Window {
        kernel: (2, 3),
        stride: 1,
        padding: [1, 0, 0, 2],
        upsample: false,
    };
    let windows = [
        Window::same(1),
        Window::same(3),
        Window::halving(),
        Window::halving_lower_right(),
        Window::doubling(),
        asymmetric,
    ];
    let shapes = [
        (1, 1, 1, 3, 1),
        (2, 5, 3, 4, 3),
        (1, 7, 9, 9, 17),
        (2, 6, 6, 15, 40),
        (1, 4, 11, 5, 70),
    ];
    for_all(|isa, precision| {
        for window in windows {
            for (images, height, width, channels, outputs) in shapes {
                let shape = Pictures {
                    images,
                    height,
                    width,
                };
                if window.kernel == (2, 3) && width < 2
                    || window == Window::halving_lower_right() && height < 2
                {
                    continue;
                }
                let (kh, kw) = window.kernel;
                let input = rounded(&numbers(shape.pixels() * channels, 14), precision);
                let w = rounded(&numbers(outputs * channels * kh * kw, 15), precision);
                let conv = Conv2d::new(isa, precision, &w, (outputs, channels), window);
                let want = reference::conv2d(&input, shape, &w, (outputs, channels), window);
                let what = format!("{} {window:?} {shape:?} {channels}->{outputs}", isa.name());
                let got = convolution::<f32, f32>(&conv, &input, shape, &Epilogue::default());
                assert_close(&got, &want, SUM_TOLERANCE, &what);
                let got = convolution::<bf16, f32>(&conv, &input, shape, &Epilogue::default());
                let tolerance = if precision == Precision::Bf16 {
                    SUM_TOLERANCE
                } else {
                    1e-2
                };
                assert_close(&got, &want, tolerance, &what);
            }
        }
    });
}

#[test]
fn a_doubling_window_takes_bias_and_residual_where_its_pixels_go() {
    let (channels, outputs) = (10, 37);
    let shape = Pictures {
        images: 3,
        height: 5,
        width: 4,
    };
    let window = Window::doubling();
    let pixels = window.output(shape).pixels();
    for isa in Isa::testable() {
        let (input, w) = (
            numbers(shape.pixels() * channels, 19),
            numbers(outputs * channels * 9, 20),
        );
        let (bias, residual) = (numbers(3 * outputs, 21), numbers(pixels * outputs, 22));
        let conv = Conv2d::new(isa, Precision::F32, &w, (outputs, channels), window);
        let mut want = reference::conv2d(&input, shape, &w, (outputs, channels), window);
        for (i, v) in want.iter_mut().enumerate() {
            let image = i / outputs / (pixels / 3);
            *v += f64::from(bias[image * outputs + i % outputs]) + f64::from(residual[i]);
        }
        let epilogue = Epilogue::default()
            .group_bias(&bias, pixels / 3)
            .residual(Rows::new(&residual, pixels, outputs));
        let got = convolution::<f32, f32>(&conv, &input, shape, &epilogue);
        assert_close(&got, &want, SUM_TOLERANCE, isa.name());
    }
}

#[test]
fn a_window_deeper_than_the_cache_is_summed_in_parts() {
    let (channels, outputs) = (1280, 33);
    let shape = Pictures {
        images: 1,
        height: 3,
        width: 5,
    };
    for_all(|isa, precision| {
        let input = rounded(&numbers(shape.pixels() * channels, 16), precision);
        let w = rounded(&numbers(outputs * channels * 9, 17), precision);
        let conv = Conv2d::new(isa, precision, &w, (outputs, channels), Window::same(3));
        let want = reference::conv2d(&input, shape, &w, (outputs, channels), Window::same(3));
        let bias = numbers(outputs, 18);
        let want: Vec<f64> = want
            .iter()
            .enumerate()
            .map(|(i, v)| v + f64::from(bias[i % outputs]))
            .collect();
        let got = convolution::<f32, f32>(&conv, &input, shape, &Epilogue::default().bias(&bias));
        assert_close(&got, &want, SUM_TOLERANCE, isa.name());
    });
}

#[test]
#[should_panic(expected = "columns of the left side")]
fn a_product_of_shapes_that_do_not_fit_is_refused() {
    let b = PackedMatrix::linear(Isa::best(), Precision::F32, &[1.0_f32; 6], 2, 3);
    let mut out = [0.0_f32; 2];
    matmul(
        Rows::new(&[1.0_f32; 4], 1, 4),
        &b,
        &Epilogue::default(),
        RowsMut::new(&mut out, 1, 2),
    );
}

#[test]
#[should_panic(expected = "the matrix spans")]
fn a_view_beyond_its_values_is_refused() {
    Rows::strided(&[0.0_f32; 10], 3, 4, 5);
}
