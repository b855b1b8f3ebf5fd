//! The softmax of a block of scores, a query in each lane.

use super::super::math::exp2_negative;
use super::super::simd::{Element, Precision, Simd};
use super::REGISTERS;

/// The running softmax of a block's queries, one a lane.
pub(super) struct Softmax<S: Simd> {
    /// The greatest score so far, times scale and log2 e.
    pub(super) maxima: [S::V; REGISTERS],
    /// Sums of weights.
    pub(super) sums: [S::V; REGISTERS],
}

impl<S: Simd> Softmax<S> {
    /// Turns scores (keys, width) into weights `2^(factor * score - maximum)`, stored over them as a
    /// panel of `C`s, and brings maxima and sums up to date. Returns what earlier results shrink by,
    /// where any maximum has grown.
    #[inline(always)]
    pub(super) fn weigh<C: Element>(
        &mut self,
        s: S,
        scores: &mut [f32],
        factor: f32,
    ) -> Option<[S::V; REGISTERS]> {
        let width = REGISTERS * S::LANES;
        assert!(scores.len().is_multiple_of(2 * width), "pairs of keys");
        let (keys, start) = (scores.len() / width, scores.as_mut_ptr());
        let mut shrinks = [s.splat(1.0); REGISTERS];
        let mut grown = false;
        for (j, shrink) in shrinks.iter_mut().enumerate() {
            let lane = j * S::LANES;
            let mut top = [s.splat(f32::NEG_INFINITY); 2];
            for key in (0..keys).step_by(2) {
                for (i, top) in top.iter_mut().enumerate() {
                    // SAFETY: the scores have `keys` rows, an even number, of `width` values.
                    *top = s.max(*top, unsafe { s.load(start.add((key + i) * width + lane)) });
                }
            }
            let slope = s.splat(factor);
            let before = self.maxima[j];
            let now = s.max(s.mul(s.max(top[0], top[1]), slope), before);
            self.maxima[j] = now;
            if s.max_lane(s.sub(now, before)) > 0.0 {
                grown = true;
                *shrink = exp2_negative(s, s.sub(before, now));
                self.sums[j] = s.mul(self.sums[j], *shrink);
            }
            let shift = s.sub(s.splat(0.0), now);
            let mut total = [s.splat(0.0); 2];
            for key in (0..keys).step_by(2) {
                // SAFETY: as above; weights go to this register's columns, of rows that have been read.
                unsafe {
                    let at = start.add(key * width + lane);
                    let low = weight_of::<S, C>(s, s.mul_add(s.load(at), slope, shift));
                    let high = weight_of::<S, C>(s, s.mul_add(s.load(at.add(width)), slope, shift));
                    total[0] = s.add(total[0], low);
                    total[1] = s.add(total[1], high);
                    match C::PRECISION {
                        Precision::F32 => {
                            s.store(at, low);
                            s.store(at.add(width), high);
                        }
                        Precision::Bf16 => {
                            let pairs = s.pair_bf16(low, high);
                            s.store(start.add(key / 2 * width + lane), pairs);
                        }
                    }
                }
            }
            self.sums[j] = s.add(self.sums[j], s.add(total[0], total[1]));
        }
        grown.then_some(shrinks)
    }
}

/// `2^x`, as precise as `C` can tell. (A function, not a closure: closures are compiled without the
/// instruction set of what calls them unless they happen to be inlined.)
#[inline(always)]
fn weight_of<S: Simd, C: Element>(s: S, x: S::V) -> S::V {
    match C::PRECISION {
        Precision::F32 => exp2_negative(s, x),
        Precision::Bf16 => s.exp2_coarse(x),
    }
}
