//! Vectors of plain Rust arrays: for processors without a set of their own (the compiler turns the
//! loops into what the target has, NEON on 64-bit ARM), and for running the wide paths in tests.

use half::bf16;

use super::simd::Simd;

/// `N` lanes; `DOT` takes the code path of a set with a bf16 dot product.
#[derive(Clone, Copy)]
pub(super) struct Portable<const N: usize, const DOT: bool>;

/// `a * b + c`; fused only where the baseline target has the instruction, since the library
/// function is a hundred times slower.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

#[inline(always)]
fn zip<const N: usize>(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// The bf16 values that start `shift` bits below the top of each lane, widened.
#[inline(always)]
fn halves<const N: usize>(a: [f32; N], shift: u32) -> [f32; N] {
    a.map(|x| f32::from_bits((x.to_bits() << shift) & 0xffff_0000))
}

impl<const N: usize, const DOT: bool> Simd for Portable<N, DOT> {
    type V = [f32; N];
    const LANES: usize = N;
    const TILE_ROWS: usize = if N == 16 { 12 } else { 4 };
    const DOT_BF16: bool = DOT;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; N]
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| mul_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn copy_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        zip(magnitude, sign, f32::copysign)
    }
    #[inline(always)]
    fn round(self, a: Self::V) -> Self::V {
        // Adding and taking away 1.5 * 2^23 rounds |x| < 2^22 to nearest even without a library call.
        const MAGIC: f32 = 12_582_912.0;
        a.map(|x| (x + MAGIC) - MAGIC)
    }
    #[inline(always)]
    fn scale_pow2(self, a: Self::V, n: Self::V) -> Self::V {
        zip(a, n, |a, n| {
            a * f32::from_bits(((n as i32 + 127) as u32) << 23)
        })
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        a.iter().sum()
    }
    #[inline(always)]
    fn max_lane(self, a: Self::V) -> f32 {
        a.iter()
            .fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
    }
    #[inline(always)]
    fn dot_pair(self, acc: Self::V, a: Self::V, b: Self::V) -> Self::V {
        // The instruction adds the high halves' product first.
        let high = self.mul_add(halves(a, 0), halves(b, 0), acc);
        self.mul_add(halves(a, 16), halves(b, 16), high)
    }
    #[inline(always)]
    fn pair_bf16(self, low: Self::V, high: Self::V) -> Self::V {
        zip(low, high, |low, high| {
            let bits = |x| u32::from(bf16::from_f32(x).to_bits());
            f32::from_bits(bits(high) << 16 | bits(low))
        })
    }
    #[inline(always)]
    fn half_of_pair(self, pairs: Self::V, high: bool) -> Self::V {
        halves(pairs, if high { 0 } else { 16 })
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller promises N readable values.
        unsafe { p.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V {
        let mut v = [0.0; N];
        // SAFETY: the caller promises n <= N readable values.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
        v
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller promises N writable values.
        unsafe { p.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: the caller promises n <= N writable values.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const bf16) -> Self::V {
        // SAFETY: the caller promises N readable values.
        let bits = unsafe { p.cast::<[u16; N]>().read_unaligned() };
        bits.map(|b| f32::from_bits(u32::from(b) << 16))
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const i8) -> Self::V {
        // SAFETY: the caller promises N readable values.
        let values = unsafe { p.cast::<[i8; N]>().read_unaligned() };
        values.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_bf16_part(self, p: *const bf16, n: usize) -> Self::V {
        let mut v = [bf16::ZERO; N];
        // SAFETY: the caller promises n <= N readable values.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
        v.map(bf16::to_f32)
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut bf16, v: Self::V) {
        // SAFETY: the caller promises N writable values.
        unsafe { p.cast::<[bf16; N]>().write_unaligned(v.map(bf16::from_f32)) }
    }
    #[inline(always)]
    unsafe fn store_bf16_part(self, p: *mut bf16, v: Self::V, n: usize) {
        let rounded = v.map(bf16::from_f32);
        // SAFETY: the caller promises n <= N writable values.
        unsafe { std::ptr::copy_nonoverlapping(rounded.as_ptr(), p, n) }
    }
}
