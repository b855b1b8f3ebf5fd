//! Trust, but verify: before an instruction set computes pictures, its kernels run once on small
//! awkward shapes and are compared with the portable ones. A set that differs (a processor's fault,
//! an emulator's, or one of ours on a machine nobody has tested) is passed over for the next. Takes
//! about a millisecond, once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use half::bf16;

use super::attention::{Heads, attention};
use super::conv::{Conv2d, Pictures, Window};
use super::epilogue::Epilogue;
use super::gemm::matmul;
use super::norm::{GroupNorm, layer_norm};
use super::pack::PackedMatrix;
use super::shared::{Rows, RowsMut};
use super::{Activation, Element, Isa, Precision};

/// The fastest instruction set of this processor whose kernels agree with the portable ones.
pub fn trusted_isa() -> Isa {
    static TRUSTED: OnceLock<Isa> = OnceLock::new();
    *TRUSTED.get_or_init(|| {
        let sets = Isa::available();
        let portable = sets[sets.len() - 1];
        sets.iter()
            .copied()
            .find(|&isa| agrees(isa, portable))
            .unwrap_or(portable)
    })
}

/// Whether all kernels of `isa` give the numbers of `portable`, in f32 and bf16.
fn agrees(isa: Isa, portable: Isa) -> bool {
    if isa == portable {
        return true;
    }
    let close = |limit: f32, probe: fn(Isa) -> Vec<f32>| {
        // A failed assertion inside a kernel is a disagreement too.
        let got = catch_unwind(AssertUnwindSafe(|| probe(isa)));
        let want = probe(portable);
        got.is_ok_and(|got| {
            let scale = want
                .iter()
                .fold(0.0_f32, |scale, value| scale.max(value.abs()));
            got.len() == want.len()
                && got
                    .iter()
                    .zip(&want)
                    .all(|(got, want)| (got - want).abs() <= limit * scale)
        })
    };
    // f32 differs by the order of sums; bf16 by the rounding of what is stored.
    close(1e-5, probe_products::<f32>)
        && close(1e-5, probe_passes::<f32>)
        && close(2e-2, probe_products::<bf16>)
        && close(2e-2, probe_passes::<bf16>)
}

/// Numbers without a pattern, about -1 to 1.
fn numbers<T: Element>(count: usize, seed: u32) -> Vec<T> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            T::from_f32((state >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

fn widened<T: Element>(values: &[T]) -> Vec<f32> {
    values.iter().map(|value| value.to_f32()).collect()
}

fn precision<T: Element>() -> Precision {
    T::PRECISION
}

/// Matrix product with every part of the epilogue, gated product, convolutions.
fn probe_products<T: Element>(isa: Isa) -> Vec<f32> {
    let (m, n, k) = (13, 37, 70);
    let (a, residual) = (numbers::<T>(m * k, 1), numbers::<T>(m * n, 2));
    let (weight, bias) = (numbers::<f32>(n * k, 3), numbers::<f32>(n, 4));
    let mut all = Vec::new();
    let packed = PackedMatrix::linear(isa, precision::<T>(), &weight, n, k);
    let mut out = vec![T::default(); m * n];
    let epilogue = Epilogue::default()
        .bias(&bias)
        .activation(Activation::Silu)
        .residual(Rows::new(&residual, m, n));
    matmul(
        Rows::new(&a, m, k),
        &packed,
        &epilogue,
        RowsMut::new(&mut out, m, n),
    );
    all.extend(widened(&out));

    let half = 18;
    let gated = numbers::<f32>(2 * half * k, 5);
    let packed = PackedMatrix::gated(isa, precision::<T>(), &gated, 2 * half, k);
    let mut out = vec![T::default(); m * half];
    let epilogue = Epilogue::default().activation(Activation::Gelu);
    matmul(
        Rows::new(&a, m, k),
        &packed,
        &epilogue,
        RowsMut::new(&mut out, m, half),
    );
    all.extend(widened(&out));

    let shape = Pictures {
        images: 2,
        height: 6,
        width: 5,
    };
    for (channels, window) in [
        (9, Window::same(3)),
        (16, Window::halving()),
        (20, Window::halving_lower_right()),
        (4, Window::doubling()),
        (33, Window::doubling()),
        (33, Window::same(1)),
        // By Winograd's method.
        (70, Window::same(3)),
    ] {
        let outputs = if channels == 70 { 33 } else { 19 };
        let taps = window.kernel.0 * window.kernel.1;
        let weight = numbers::<f32>(outputs * channels * taps, 6);
        let conv = Conv2d::new(isa, precision::<T>(), &weight, (outputs, channels), window);
        let input = numbers::<T>(shape.pixels() * channels, 7);
        let pixels = window.output(shape).pixels();
        let mut out = vec![T::default(); pixels * outputs];
        let rows = RowsMut::new(&mut out, pixels, outputs);
        conv.apply(
            Rows::new(&input, shape.pixels(), channels),
            shape,
            &Epilogue::default(),
            rows,
        );
        all.extend(widened(&out));
    }
    all
}

/// Attention, norms.
fn probe_passes<T: Element>(isa: Isa) -> Vec<f32> {
    let mut all = Vec::new();
    for (count, dim, queries, keys) in [(2, 40, 19, 35), (1, 64, 7, 7), (3, 8, 5, 77)] {
        let channels = count * dim;
        let q = numbers::<T>(queries * channels, 8);
        let (k, v) = (
            numbers::<T>(keys * channels, 9),
            numbers::<T>(keys * channels, 10),
        );
        let mut out = vec![T::default(); queries * channels];
        let heads = Heads {
            causal: queries == keys,
            ..Heads::new(1, count, dim)
        };
        attention(
            isa,
            Rows::new(&q, queries, channels),
            Rows::new(&k, keys, channels),
            Rows::new(&v, keys, channels),
            heads,
            RowsMut::new(&mut out, queries, channels),
        );
        all.extend(widened(&out));
    }
    let (rows, channels) = (30, 24);
    let x = numbers::<T>(rows * channels, 11);
    let (weight, bias) = (numbers::<f32>(channels, 12), numbers::<f32>(channels, 13));
    let mut out = vec![T::default(); rows * channels];
    let norm = GroupNorm {
        images: 2,
        groups: 8,
        eps: 1e-5,
        weight: &weight,
        bias: &bias,
        activation: Activation::Silu,
    };
    norm.apply(
        isa,
        Rows::new(&x, rows, channels),
        RowsMut::new(&mut out, rows, channels),
    );
    all.extend(widened(&out));
    let to = RowsMut::new(&mut out, rows, channels);
    layer_norm(
        isa,
        Rows::new(&x, rows, channels),
        [&weight, &bias],
        1e-5,
        to,
    );
    all.extend(widened(&out));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_processor_agrees_with_portable_code() {
        let sets = Isa::available();
        let portable = sets[sets.len() - 1];
        for isa in sets {
            assert!(agrees(isa, portable), "{}", isa.name());
        }
        assert!(
            agrees(Isa::testable()[Isa::testable().len() - 1], portable),
            "wide vectors"
        );
        assert_eq!(trusted_isa(), Isa::best());
    }
}
