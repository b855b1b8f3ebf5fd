//! A norm made strip by strip in front of a convolution against the two one after another.

use half::bf16;

use super::super::conv::{Conv2d, Pictures, Window};
use super::super::epilogue::Epilogue;
use super::super::norm::GroupNorm;
use super::super::shared::{Rows, RowsMut};
use super::super::simd::Element;
use super::super::{Activation, Isa, Precision};
use super::{as_elements, for_all, numbers};

const SHAPE: Pictures = Pictures {
    images: 2,
    height: 9,
    width: 5,
};
const CHANNELS: usize = 32;
const OUTPUTS: usize = 40;

/// Where the residual lies.
#[derive(Clone, Copy, Debug)]
enum Residual {
    None,
    Apart,
    InResult,
}

/// The bits of a result: whole (`strip_lines` 0), or strip by strip.
fn result<T: Element>(
    (isa, precision): (Isa, Precision),
    window: Window,
    residual: Residual,
    strip_lines: usize,
) -> Vec<u32> {
    let (rows, weights) = (
        SHAPE.pixels(),
        OUTPUTS * CHANNELS * window.kernel.0 * window.kernel.1,
    );
    let x = as_elements::<T>(&numbers(rows * CHANNELS, 50));
    let weight = numbers(weights, 51);
    let conv = Conv2d::new(isa, precision, &weight, (OUTPUTS, CHANNELS), window);
    let (scale, offset) = (numbers(CHANNELS, 52), numbers(CHANNELS, 53));
    let norm = GroupNorm {
        images: SHAPE.images,
        groups: 4,
        eps: 1e-5,
        weight: &scale,
        bias: &offset,
        activation: Activation::Silu,
    };
    let bias = numbers(SHAPE.images * OUTPUTS, 54);
    let other = as_elements::<T>(&numbers(rows * OUTPUTS, 55));
    let mut epilogue = Epilogue::default().group_bias(&bias, rows / SHAPE.images);
    let mut out = vec![T::default(); rows * OUTPUTS];
    match residual {
        Residual::None => {}
        Residual::Apart => epilogue = epilogue.residual(Rows::new(&other, rows, OUTPUTS)),
        Residual::InResult => {
            out.copy_from_slice(&other);
            epilogue = epilogue.onto();
        }
    }
    let input = Rows::new(&x, rows, CHANNELS);
    let view = RowsMut::new(&mut out, rows, OUTPUTS);
    if strip_lines == 0 {
        let mut normed = vec![T::default(); x.len()];
        norm.apply(isa, input, RowsMut::new(&mut normed, rows, CHANNELS));
        conv.apply(Rows::new(&normed, rows, CHANNELS), SHAPE, &epilogue, view);
    } else {
        let bytes = strip_lines * SHAPE.width * CHANNELS * size_of::<T>();
        conv.in_strips(bytes, &norm, input, SHAPE, &epilogue, view);
    }
    out.iter().map(|value| value.to_f32().to_bits()).collect()
}

#[test]
fn strips_of_any_height_give_the_bits_of_the_whole() {
    for_all(|isa, precision| {
        for window in [Window::same(3), Window::same(1), Window::same(5)] {
            for residual in [Residual::None, Residual::Apart, Residual::InResult] {
                for lines in [1, 2, 4, 9, 100] {
                    let what = format!(
                        "{} {precision:?} {window:?} {residual:?} {lines}",
                        isa.name()
                    );
                    let with = |lines| match precision {
                        Precision::F32 => result::<f32>((isa, precision), window, residual, lines),
                        Precision::Bf16 => {
                            result::<bf16>((isa, precision), window, residual, lines)
                        }
                    };
                    assert_eq!(with(lines), with(0), "{what}");
                }
            }
        }
    });
}

#[test]
fn a_residual_in_the_results_memory_counts_as_one_apart() {
    for_all(|isa, precision| {
        let with = |residual| result::<f32>((isa, precision), Window::same(3), residual, 0);
        assert_eq!(
            with(Residual::InResult),
            with(Residual::Apart),
            "{}",
            isa.name()
        );
        assert_ne!(
            with(Residual::InResult),
            with(Residual::None),
            "{}",
            isa.name()
        );
    });
}
