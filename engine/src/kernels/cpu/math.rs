//! Exponential, error function and the activation functions on vectors.
//!
//! Errors were measured against f64 over each function's whole range; the tests hold them:
//!
//! | function | bound |
//! |---|---|
//! | [`exp`] | 2.5e-7 relative for -87.3 < x < 88; 1.2e-38 below, about 2.4e38 above, NaN stays NaN |
//! | [`erf`] | 4e-7 absolute |
//! | silu, quick gelu | 6e-7 relative to max(abs x, 1) |
//! | gelu (both) | 6e-7 relative to max(abs x, 1) |

use super::simd::Simd;

/// A function applied to each value of a result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Activation {
    /// `x`
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `x * sigmoid(x)`
    Silu,
    /// `x * Phi(x)`, by the error function.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`
    GeluTanh,
    /// `x * sigmoid(1.702 x)`, CLIP's.
    QuickGelu,
}

impl Activation {
    /// The function on a vector.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        match self {
            Self::None => x,
            Self::Relu => s.max(s.splat(0.0), x),
            Self::Silu => gated_sigmoid(s, x, 1.0),
            Self::QuickGelu => gated_sigmoid(s, x, 1.702),
            Self::Gelu => gelu(s, x),
            Self::GeluTanh => {
                // tanh(u) = 2 sigmoid(2 u) - 1, so that x / 2 (1 + tanh u) = x sigmoid(2 u).
                let cubic = s.mul_add(s.mul(x, x), s.splat(0.044_715), s.splat(1.0));
                let u = s.mul(s.mul(x, cubic), s.splat(1.595_769));
                s.mul(x, sigmoid(s, u))
            }
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

#[inline(always)]
fn gated_sigmoid<S: Simd>(s: S, x: S::V, steepness: f32) -> S::V {
    let e = exp(s, s.mul(x, s.splat(-steepness)));
    s.div(x, s.add(s.splat(1.0), e))
}

#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::V) -> S::V {
    let half = s.mul(x, s.splat(0.5));
    s.mul_add(
        half,
        erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2))),
        half,
    )
}

/// `e^x`: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, and a polynomial for `e^r`.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    // Arguments in this order let a NaN through both bounds.
    let x = s.min(s.splat(88.0), s.max(s.splat(-87.336), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts: n times the first is exact.
    let r = s.mul_add(n, s.splat(-0.693_359_4), x);
    let r = s.mul_add(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.0 / 5040.0);
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.scale_pow2(p, n)
}

/// `2^x` for `x <= 0` to 2.5e-7 relative, 1 exactly at 0; below -126 the result is that of -126. A
/// polynomial of degree 5, fitted for least relative error on half a power either way (7.5e-8 before
/// rounding).
#[inline(always)]
pub(super) fn exp2_negative<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(-126.0), x);
    let n = s.round(x);
    let r = s.sub(x, n);
    let mut p = s.splat(1.327_647_2e-3);
    for c in [9.675_542e-3, 5.550_713_3e-2, 0.240_221_2, 0.693_146_97, 1.0] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.scale_pow2(p, n)
}

/// As [`exp2_negative`], to 1.5e-4: a fraction of bf16's step. Degree 3 (7.5e-5 before rounding).
#[inline(always)]
pub(super) fn exp2_coarse<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(-126.0), x);
    let n = s.round(x);
    let r = s.sub(x, n);
    let mut p = s.splat(5.517_167e-2);
    for c in [0.242_611_15, 0.693_261, 0.999_928_06] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.scale_pow2(p, n)
}

/// The error function, by `erfc(x) = e^(-x^2) t P(t)` with `t = 1 / (1 + 0.39 x)` for `x >= 0`
/// (the form of Abramowitz and Stegun 7.1.26, here with a sixth degree fitted for least absolute
/// error of `erf`, 8.3e-9 before rounding).
#[inline(always)]
pub(super) fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let a = s.abs(x);
    let t = s.div(one, s.mul_add(a, s.splat(0.39), one));
    let mut p = s.splat(-0.227_536_26);
    for c in [
        0.886_660_6,
        -0.635_393_74,
        0.649_553_8,
        0.091_390_84,
        0.235_324_8,
    ] {
        p = s.mul_add(p, t, s.splat(c));
    }
    let e = exp(s, s.sub(s.splat(0.0), s.mul(a, a)));
    let complement = s.mul(s.mul(p, t), e);
    s.copy_sign(s.sub(one, complement), x)
}
