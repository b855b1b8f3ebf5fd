//! The processor's ceiling: how many products it can do from registers alone. Measurements divide
//! by it; no picture needs it.

use std::hint::black_box;
use std::time::Instant;

use super::isa::Isa;
use super::simd::{Kernel, Precision, Simd};

/// Independent sums: enough to hide the latency of every instruction set, few enough for registers.
const SUMS: usize = 12;

/// Floating-point operations a second (a product and its addition are two) on all threads of the
/// pool that this is called from, by the instructions that the tiles of `precision` use. Takes about
/// a fifth of a second.
pub fn peak_flops(isa: Isa, precision: Precision) -> f64 {
    const ROUNDS: usize = 1 << 21;
    let best = (0..4).map(|_| {
        let began = Instant::now();
        let each = rayon::broadcast(|_| isa.run(Registers::new(isa, precision, ROUNDS)));
        let flops: f64 = each.iter().sum();
        flops / began.elapsed().as_secs_f64()
    });
    best.fold(0.0, f64::max)
}

/// [`peak_flops`] of this thread alone, in `rounds` of [`SUMS`] instructions.
#[cfg(target_arch = "x86_64")]
pub(super) fn register_flops(isa: Isa, precision: Precision, rounds: usize) -> f64 {
    let began = Instant::now();
    let flops = isa.run(Registers::new(isa, precision, rounds));
    flops / began.elapsed().as_secs_f64().max(1e-9)
}

/// Products on registers only; gives the operations done.
struct Registers {
    rounds: usize,
    pairs: bool,
}

impl Registers {
    fn new(isa: Isa, precision: Precision, rounds: usize) -> Self {
        let pairs = precision == Precision::Bf16 && isa.has_bf16_dot();
        Self { rounds, pairs }
    }
}

impl Kernel for Registers {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let mut sums = [s.splat(black_box(1.0)); SUMS];
        let (a, b) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        let pairs = self.pairs && S::DOT_BF16;
        if pairs {
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = s.dot_pair(*sum, a, b);
                }
            }
        } else {
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = s.mul_add(*sum, a, b);
                }
            }
        }
        for sum in sums {
            black_box(s.sum(sum));
        }
        let each = if pairs { 4 } else { 2 };
        (self.rounds * SUMS * S::LANES * each) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_a_finite_peak() {
        for isa in Isa::testable() {
            for precision in [Precision::F32, Precision::Bf16] {
                let peak = peak_flops(isa, precision);
                assert!(peak.is_finite() && peak > 1e6, "{}: {peak}", isa.name());
            }
        }
    }
}
