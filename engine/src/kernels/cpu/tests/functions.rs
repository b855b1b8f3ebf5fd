//! The functions on vectors, against f64.

use super::super::math::{Activation, erf, exp, exp2_negative};
use super::super::simd::{Kernel, Simd};
use super::super::{Isa, reference};

/// Applies a function to values one register at a time.
struct Map<'a> {
    function: Function,
    values: &'a mut [f32],
}

#[derive(Clone, Copy)]
enum Function {
    Exp,
    Exp2Precise,
    Exp2Rough,
    Erf,
    Activation(Activation),
}

impl Kernel for Map<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for chunk in self.values.chunks_mut(S::LANES) {
            let n = chunk.len();
            // SAFETY: the chunk has n <= LANES values.
            unsafe {
                let x = s.load_part(chunk.as_ptr(), n);
                let y = match self.function {
                    Function::Exp => exp(s, x),
                    Function::Exp2Precise => exp2_negative(s, x),
                    Function::Exp2Rough => s.exp2_coarse(x),
                    Function::Erf => erf(s, x),
                    Function::Activation(kind) => kind.apply(s, x),
                };
                s.store_part(chunk.as_mut_ptr(), y, n);
            }
        }
    }
}

fn map(isa: Isa, function: Function, values: &[f32]) -> Vec<f32> {
    let mut out = values.to_vec();
    isa.run(Map {
        function,
        values: &mut out,
    });
    out
}

/// `count` values from `from` to `to`, both included.
fn range(from: f32, to: f32, count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| from + (to - from) * (i as f32 / (count - 1) as f32))
        .collect()
}

fn worst(got: &[f32], at: &[f32], error: impl Fn(f64, f64) -> f64) -> f64 {
    got.iter()
        .zip(at)
        .map(|(&g, &x)| error(f64::from(g), f64::from(x)))
        .fold(0.0, f64::max)
}

#[test]
fn exponentials_keep_their_bounds() {
    for isa in Isa::testable() {
        let x = range(-87.3, 88.0, 200_003);
        let got = map(isa, Function::Exp, &x);
        let error = worst(&got, &x, |g, x| (g / x.exp() - 1.0).abs());
        assert!(error < 2.5e-7, "{}: exp is off by {error:e}", isa.name());
        let x = range(-126.0, 0.0, 200_003);
        let got = map(isa, Function::Exp2Precise, &x);
        let error = worst(&got, &x, |g, x| (g / x.exp2() - 1.0).abs());
        assert!(error < 2.5e-7, "{}: exp2 is off by {error:e}", isa.name());
        let got = map(isa, Function::Exp2Rough, &x);
        let error = worst(&got, &x, |g, x| (g / x.exp2() - 1.0).abs());
        assert!(
            error < 1.5e-4,
            "{}: rough exp2 is off by {error:e}",
            isa.name()
        );
    }
}

#[test]
fn exponentials_at_the_ends_are_tame() {
    for isa in Isa::testable() {
        let ends = [f32::NEG_INFINITY, -1e30, f32::INFINITY, 1e30, f32::NAN];
        let got = map(isa, Function::Exp, &ends);
        assert!(
            got[0] < 1.3e-38 && got[1] < 1.3e-38,
            "{}: {got:?}",
            isa.name()
        );
        assert!(
            got[2] > 1e38 && got[3] > 1e38 && got[4].is_nan(),
            "{}: {got:?}",
            isa.name()
        );
        let got = map(isa, Function::Exp2Precise, &ends[..2]);
        assert!(
            got[0] < 1.3e-38 && got[1] < 1.3e-38,
            "{}: {got:?}",
            isa.name()
        );
    }
}

#[test]
fn the_error_function_keeps_its_bound() {
    for isa in Isa::testable() {
        let x = range(-9.0, 9.0, 100_003);
        let error = worst(&map(isa, Function::Erf, &x), &x, |g, x| {
            (g - reference::erf(x)).abs()
        });
        assert!(error < 4e-7, "{}: erf is off by {error:e}", isa.name());
    }
}

#[test]
fn activations_keep_their_bounds() {
    for isa in Isa::testable() {
        let mut x = range(-20.0, 20.0, 100_003);
        x.extend(range(-3000.0, 3000.0, 10_001));
        for kind in [
            Activation::None,
            Activation::Relu,
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
        ] {
            let got = map(isa, Function::Activation(kind), &x);
            let error = worst(&got, &x, |g, x| {
                (g - reference::activation(kind, x)).abs() / x.abs().max(1.0)
            });
            assert!(error < 6e-7, "{}: {kind:?} is off by {error:e}", isa.name());
        }
        for kind in [Activation::Silu, Activation::Gelu, Activation::Relu] {
            let got = map(isa, Function::Activation(kind), &[f32::NAN]);
            assert!(got[0].is_nan(), "{}: {kind:?} hides a NaN", isa.name());
        }
    }
}
