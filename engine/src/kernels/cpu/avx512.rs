//! AVX-512: sixteen lanes, thirty-two registers, with or without the bf16 dot product.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;
use std::mem::transmute;

use half::bf16;

use super::simd::{Kernel, Simd};

/// Proof that code runs where AVX-512 F, BW, DQ and VL are, and AVX512_BF16 if `BF16`.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const BF16: bool>(());

/// Runs `kernel` with AVX-512.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<false>(()))
}

/// Runs `kernel` with AVX-512 and its bf16 instructions.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) fn run_bf16<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<true>(()))
}

/// A mask of the first `n` lanes.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    debug_assert!(n <= 16);
    ((1u32 << n) - 1) as __mmask16
}

/// A register operation: safe, since a token proves that its instruction set is there.
macro_rules! op {
    ($($body:tt)*) => {
        // SAFETY: the token is only made where the processor has the instruction set, and the
        // operation touches registers alone.
        unsafe { $($body)* }
    };
}

impl<const BF16: bool> Avx512<BF16> {
    /// Rounds to bf16: nearest, ties to even; NaN stays NaN.
    #[inline(always)]
    fn round_bf16(self, v: __m512) -> __m256i {
        if BF16 {
            // SAFETY: with BF16 the token proves AVX512_BF16; both types are 256 plain bits.
            unsafe { transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v)) }
        } else {
            op!({
                let bits = _mm512_castps_si512(v);
                let high = _mm512_srli_epi32::<16>(bits);
                let odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
                let half_way = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
                let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half_way));
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
                let quiet = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
                _mm512_cvtepi32_epi16(quiet)
            })
        }
    }

    #[inline(always)]
    fn widen(self, half: __m256i) -> __m512 {
        op!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(
            _mm512_cvtepu16_epi32(half)
        )))
    }
}

impl<const BF16: bool> Simd for Avx512<BF16> {
    type V = __m512;
    const LANES: usize = 16;
    const TILE_ROWS: usize = 12;
    const DOT_BF16: bool = BF16;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        op!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        op!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        op!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        op!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn copy_sign(self, magnitude: __m512, sign: __m512) -> __m512 {
        op!({
            let bit = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign))
        })
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        op!(_mm512_roundscale_ps::<
            { _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC },
        >(a))
    }
    #[inline(always)]
    fn scale_pow2(self, a: __m512, n: __m512) -> __m512 {
        op!(_mm512_scalef_ps(a, n))
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        op!(_mm512_reduce_add_ps(a))
    }
    #[inline(always)]
    fn max_lane(self, a: __m512) -> f32 {
        op!(_mm512_reduce_max_ps(a))
    }
    #[inline(always)]
    fn dot_pair(self, acc: __m512, a: __m512, b: __m512) -> __m512 {
        if BF16 {
            // SAFETY: with BF16 the token proves AVX512_BF16; the types are 512 plain bits each.
            unsafe {
                let (a, b) = (
                    transmute::<__m512, __m512bh>(a),
                    transmute::<__m512, __m512bh>(b),
                );
                _mm512_dpbf16_ps(acc, a, b)
            }
        } else {
            unreachable!("without BF16 there is no dot product, which DOT_BF16 says")
        }
    }
    #[inline(always)]
    fn pair_bf16(self, low: __m512, high: __m512) -> __m512 {
        if BF16 {
            // SAFETY: with BF16 the token proves AVX512_BF16, and BW for the permutation; the types
            // are 512 plain bits each.
            unsafe {
                let halves = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                // Lane i of the result: value i of the lower half, then of the upper half.
                let order = _mm512_add_epi32(
                    _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                    _mm512_slli_epi32::<16>(_mm512_set_epi32(
                        31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                    )),
                );
                _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves))
            }
        } else {
            unreachable!("without BF16 there is no dot product, which DOT_BF16 says")
        }
    }
    #[inline(always)]
    fn half_of_pair(self, pairs: __m512, high: bool) -> __m512 {
        op!({
            let bits = _mm512_castps_si512(pairs);
            _mm512_castsi512_ps(if high {
                _mm512_and_si512(bits, _mm512_set1_epi32(!0xffff))
            } else {
                _mm512_slli_epi32::<16>(bits)
            })
        })
    }
    /// By the fraction above the whole power below, which the scaling instruction finds by itself:
    /// two operations fewer, and no bound is needed, since it underflows to 0 as it should. Degree 3,
    /// fitted for least relative error on a whole power (7.5e-5 before rounding).
    #[inline(always)]
    fn exp2_coarse(self, x: __m512) -> __m512 {
        op!({
            let fraction = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x);
            let mut p = _mm512_set1_ps(7.802_455e-2);
            for c in [0.226_067_19, 0.695_833_5, 0.999_925_26] {
                p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(c));
            }
            _mm512_scalef_ps(p, x)
        })
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller promises sixteen readable values.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: the mask keeps the load within the n values that the caller promises.
        unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the caller promises sixteen writable values.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, v: __m512, n: usize) {
        // SAFETY: the mask keeps the store within the n values that the caller promises.
        unsafe { _mm512_mask_storeu_ps(p, mask(n), v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const bf16) -> __m512 {
        // SAFETY: the caller promises sixteen readable values, 32 bytes.
        self.widen(unsafe { _mm256_loadu_si256(p.cast()) })
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> __m512 {
        // SAFETY: the caller promises sixteen readable values, 16 bytes.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_part(self, p: *const bf16, n: usize) -> __m512 {
        // SAFETY: the mask keeps the load within the n values that the caller promises.
        self.widen(unsafe { _mm256_maskz_loadu_epi16(mask(n), p.cast()) })
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut bf16, v: __m512) {
        // SAFETY: the caller promises sixteen writable values, 32 bytes.
        unsafe { _mm256_storeu_si256(p.cast(), self.round_bf16(v)) }
    }
    #[inline(always)]
    unsafe fn store_bf16_part(self, p: *mut bf16, v: __m512, n: usize) {
        // SAFETY: the mask keeps the store within the n values that the caller promises.
        unsafe { _mm256_mask_storeu_epi16(p.cast(), mask(n), self.round_bf16(v)) }
    }
}
