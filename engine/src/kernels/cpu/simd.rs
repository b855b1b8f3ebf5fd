//! The vector operations that kernels are written in, once for all instruction sets.
//!
//! A [`Simd`] value is a token: it is made only inside a function compiled for its instruction set,
//! so its register operations are safe to call. Memory operations are unsafe as any pointer access.
//! Kernels are `#[inline(always)]` functions generic over the token; [`super::Isa::run`] enters them.

use half::bf16;

use super::math::exp2_coarse;

/// What the numbers of an activation are, and those of a packed weight that is not narrower.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16: f32's exponent, 8 bits of significand.
    Bf16,
}

/// How a weight's numbers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Packing {
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers with a factor for each 32 inputs of an output, as GGUF's Q8_0 keeps them; half of
    /// bf16's memory. They are widened as they are used, so the arithmetic is that of `Bf16`. Weights
    /// of few inputs or outputs, whose rounding would show and whose memory would not, are kept as `Bf16`.
    Int8,
}

impl Packing {
    /// The precision that activations beside such weights are kept in.
    pub fn activations(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 | Self::Int8 => Precision::Bf16,
        }
    }
}

impl From<Precision> for Packing {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// Code that can run on any instruction set. `run` must be `#[inline(always)]`, and must start
/// threads' work by entering [`super::Isa::run`] anew on each.
pub(super) trait Kernel {
    /// What the kernel returns.
    type Output;
    /// The kernel's body.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A vector of `LANES` f32 and the operations on it.
///
/// bf16 pairs: a lane's 32 bits may hold two bf16 values, the first in the low half.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A register.
    type V: Copy;
    /// f32 values in a register.
    const LANES: usize;
    /// Rows of the register tile whose width is two registers.
    const TILE_ROWS: usize;
    /// Whether there is a [`Self::dot_pair`].
    const DOT_BF16: bool;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the set can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater; `b` where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `|a|`.
    fn abs(self, a: Self::V) -> Self::V;
    /// `|magnitude|` with the sign of `sign`.
    fn copy_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// The nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a * 2^n` for integral `n` in -126..=127.
    fn scale_pow2(self, a: Self::V, n: Self::V) -> Self::V;
    /// The sum of the lanes, in an order fixed for each set.
    fn sum(self, a: Self::V) -> f32;
    /// The greatest lane.
    fn max_lane(self, a: Self::V) -> f32;

    /// `acc + a.0 * b.0 + a.1 * b.1` in every lane, for bf16 pairs `a` and `b`; only where
    /// [`Self::DOT_BF16`].
    fn dot_pair(self, acc: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// bf16 pairs, `low` in the low halves, rounded to nearest, ties to even; only where
    /// [`Self::DOT_BF16`].
    fn pair_bf16(self, low: Self::V, high: Self::V) -> Self::V;
    /// One of the values of bf16 pairs, widened; only where [`Self::DOT_BF16`].
    fn half_of_pair(self, pairs: Self::V, high: bool) -> Self::V;
    /// `2^x` for `x <= 0` to 1.5e-4 relative; no more than 2^-125 below -126.
    #[inline(always)]
    fn exp2_coarse(self, x: Self::V) -> Self::V {
        exp2_coarse(self, x)
    }
    /// # Safety
    /// `LANES` values at `p` are readable. So it is for every full load below, and writable for
    /// every full store; the `_part` forms touch the first `n <= LANES` values only and read
    /// zero for the others.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// As [`Self::load`].
    unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// As [`Self::load`].
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// # Safety
    /// As [`Self::load`].
    unsafe fn store_part(self, p: *mut f32, v: Self::V, n: usize);
    /// # Safety
    /// As [`Self::load`].
    unsafe fn load_bf16(self, p: *const bf16) -> Self::V;
    /// Integers as floats.
    /// # Safety
    /// As [`Self::load`].
    unsafe fn load_i8(self, p: *const i8) -> Self::V;
    /// # Safety
    /// As [`Self::load`].
    unsafe fn load_bf16_part(self, p: *const bf16, n: usize) -> Self::V;
    /// Rounds to nearest, ties to even.
    /// # Safety
    /// As [`Self::load`].
    unsafe fn store_bf16(self, p: *mut bf16, v: Self::V);
    /// Rounds to nearest, ties to even.
    /// # Safety
    /// As [`Self::load`].
    unsafe fn store_bf16_part(self, p: *mut bf16, v: Self::V, n: usize);
}

/// A number that activations are stored as: `f32` or [`bf16`].
pub trait Element: Lanes + Default + PartialEq + std::fmt::Debug {
    /// The precision that this type is.
    const PRECISION: Precision;
    /// Rounds to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
}

/// Memory operations by element type; only [`Element`]'s two types have them.
pub trait Lanes: bytemuck::Pod + Send + Sync {
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::V;
    /// # Safety
    /// As [`Simd::load_part`].
    unsafe fn load_part<S: Simd>(s: S, p: *const Self, n: usize) -> S::V;
    /// # Safety
    /// As [`Simd::store`].
    unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::V);
    /// # Safety
    /// As [`Simd::store_part`].
    unsafe fn store_part<S: Simd>(s: S, p: *mut Self, v: S::V, n: usize);
}

impl Element for f32 {
    const PRECISION: Precision = Precision::F32;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for bf16 {
    const PRECISION: Precision = Precision::Bf16;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.to_f32()
    }
}

macro_rules! lanes {
    ($t:ty, $load:ident, $load_part:ident, $store:ident, $store_part:ident) => {
        impl Lanes for $t {
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p) }
            }
            #[inline(always)]
            unsafe fn load_part<S: Simd>(s: S, p: *const Self, n: usize) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load_part(p, n) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::V) {
                // SAFETY: the caller's promise.
                unsafe { s.$store(p, v) }
            }
            #[inline(always)]
            unsafe fn store_part<S: Simd>(s: S, p: *mut Self, v: S::V, n: usize) {
                // SAFETY: the caller's promise.
                unsafe { s.$store_part(p, v, n) }
            }
        }
    };
}
lanes!(f32, load, load_part, store, store_part);
lanes!(bf16, load_bf16, load_bf16_part, store_bf16, store_bf16_part);
