//! Reading packed weights other than as the tiles do: windows of a channel, and panels to be widened.

use half::bf16;

use super::super::shared::prefetch_read;
use super::super::simd::{Element, Kernel, Precision, Simd};
use super::{BLOCK, PackedMatrix, PanelData};

impl PackedMatrix {
    /// The nine places of a 3x3 window of one channel, for a register's width of a panel's outputs
    /// from `lane` on.
    ///
    /// # Safety
    /// The weight has such windows and this panel, `channel` is below run_packed, and `lane` is where
    /// one of the panel's two registers begins.
    #[inline(always)]
    pub(in super::super) unsafe fn load_window<S: Simd>(
        &self,
        s: S,
        panel: usize,
        channel: usize,
        lane: usize,
    ) -> [S::V; 9] {
        let mut window = [s.splat(0.0); 9];
        for (tap, value) in window.iter_mut().enumerate() {
            // SAFETY: the caller's promise; there are nine taps.
            *value = unsafe { self.load(s, [panel, tap, channel], lane) };
        }
        window
    }

    /// Asks for what [`Self::load_window`] will read of a channel's panel; a hint, for any channel.
    #[inline(always)]
    pub(in super::super) fn prefetch_window(&self, panel: usize, channel: usize) {
        for tap in 0..self.taps {
            let row = (panel * self.taps + tap) * self.run_packed + channel;
            let at = row * self.width;
            match &self.data {
                PanelData::F32(data) => {
                    let start = data.as_slice().as_ptr().wrapping_add(at);
                    prefetch_read(start);
                    prefetch_read(start.wrapping_add(self.width / 2));
                }
                PanelData::Pairs(data) | PanelData::Narrow(data) => {
                    prefetch_read(data.as_slice().as_ptr().wrapping_add(at));
                }
                PanelData::Int8 { values, .. } => {
                    prefetch_read(values.as_slice().as_ptr().wrapping_add(at));
                }
            }
        }
    }

    /// Where the rows of a block of inputs lie, from `lane` on.
    ///
    /// # Safety
    /// As [`Self::load`], for the first of them; the panels are in the order of `F32`.
    #[inline(always)]
    unsafe fn rows<S: Simd>(
        &self,
        s: S,
        [panel, tap]: [usize; 2],
        input: usize,
        lane: usize,
    ) -> BlockRows<S::V> {
        let tap = panel * self.taps + tap;
        let at = (tap * self.run_packed + input) * self.width + lane;
        // SAFETY: as in `load`.
        unsafe {
            match &self.data {
                PanelData::Narrow(data) => BlockRows::Narrow(data.as_slice().as_ptr().add(at)),
                PanelData::Int8 { values, factors } => {
                    let block = (tap * self.blocks() + input / BLOCK) * self.width + lane;
                    let factor = s.load_bf16(factors.as_slice().as_ptr().add(block));
                    BlockRows::Int8(values.as_slice().as_ptr().add(at), factor)
                }
                PanelData::F32(_) | PanelData::Pairs(_) => {
                    unreachable!("these are multiplied as they are")
                }
            }
        }
    }

    /// A register's width of weights of one input.
    ///
    /// # Safety
    /// The panel and tap are there, the input is below run_packed, and `lane` is where one of the
    /// panel's two registers begins.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, s: S, [panel, tap, input]: [usize; 3], lane: usize) -> S::V {
        let tap = panel * self.taps + tap;
        let row = (tap * self.run_packed + input) * self.width;
        // SAFETY: a panel has, for each tap and run_packed inputs, `width` values, and for each
        // tap and block of inputs as many factors; pairs of inputs lie together.
        unsafe {
            match &self.data {
                PanelData::F32(data) => s.load(data.as_slice().as_ptr().add(row + lane)),
                PanelData::Narrow(data) => s.load_bf16(data.as_slice().as_ptr().add(row + lane)),
                PanelData::Pairs(data) => {
                    let odd = input % 2;
                    let pair = row - odd * self.width + 2 * lane;
                    let both = s.load(data.as_slice().as_ptr().add(pair).cast());
                    s.half_of_pair(both, odd == 1)
                }
                PanelData::Int8 { values, factors } => {
                    let block = (tap * self.blocks() + input / BLOCK) * self.width;
                    let factor = s.load_bf16(factors.as_slice().as_ptr().add(block + lane));
                    let values = s.load_i8(values.as_slice().as_ptr().add(row + lane));
                    s.mul(values, factor)
                }
            }
        }
    }
}

/// A piece of a panel, widened to what the tiles multiply.
pub(in super::super) struct Widen<'a, T> {
    pub(in super::super) b: &'a PackedMatrix,
    pub(in super::super) panel: usize,
    /// The first of whole taps, or the only one, of which a piece is wanted.
    pub(in super::super) tap: usize,
    /// The first input wanted of it, a block's first.
    pub(in super::super) input: usize,
    /// Inputs wanted of each tap.
    pub(in super::super) inputs: usize,
    /// For each tap wanted and each input a panel's width of values, or for each pair of inputs one of
    /// pairs.
    pub(in super::super) out: &'a mut [T],
}

impl<T: Element> Kernel for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let b = self.b;
        let width = 2 * S::LANES;
        let pairs = T::PRECISION == Precision::Bf16;
        let taps = self.out.len() / (self.inputs * width).max(1);
        assert_eq!(width, b.width, "a panel's width");
        assert!(self.panel < b.panels() && self.tap + taps <= b.taps, "taps");
        assert!(self.input + self.inputs <= b.run_packed, "inputs");
        assert!(
            !pairs || (self.input | self.inputs).is_multiple_of(2),
            "whole pairs"
        );
        assert!(self.input.is_multiple_of(BLOCK), "whole blocks");
        let taps = self.out.chunks_exact_mut((self.inputs * width).max(1));
        for (tap, out) in taps.enumerate() {
            let place = [self.panel, self.tap + tap];
            for start in (0..self.inputs).step_by(BLOCK) {
                let inputs = BLOCK.min(self.inputs - start);
                for lane in [0, S::LANES] {
                    // SAFETY: the assertions above; `out` has `width` values for each input.
                    unsafe {
                        let to = out.as_mut_ptr().add(start * width);
                        let rows = b.rows(s, place, self.input + start, lane);
                        widen_block(s, rows, width, inputs, lane, to);
                    }
                }
            }
        }
    }
}

/// Where a block of inputs lies in a panel, and the factor of integers.
enum BlockRows<V> {
    Narrow(*const bf16),
    Int8(*const i8, V),
}

/// Widens a register's width of a block's inputs, from `lane` on, to rows of `width`, or of pairs.
///
/// # Safety
/// From `rows` on, `inputs` rows `width` apart hold a register's width; at `to` lie as many.
#[inline(always)]
unsafe fn widen_block<S: Simd, T: Element>(
    s: S,
    rows: BlockRows<S::V>,
    width: usize,
    inputs: usize,
    lane: usize,
    to: *mut T,
) {
    let pairs = T::PRECISION == Precision::Bf16;
    for input in (0..inputs).step_by(2) {
        let both = input + 1 < inputs;
        let (at, next) = (input * width, (input + usize::from(both)) * width);
        // SAFETY: the caller's promise.
        unsafe {
            let [even, odd] = match rows {
                BlockRows::Narrow(rows) => [s.load_bf16(rows.add(at)), s.load_bf16(rows.add(next))],
                BlockRows::Int8(rows, factor) => [
                    s.mul(s.load_i8(rows.add(at)), factor),
                    s.mul(s.load_i8(rows.add(next)), factor),
                ],
            };
            if pairs {
                s.store(to.add(at + 2 * lane).cast(), s.pair_bf16(even, odd));
            } else {
                T::store(s, to.add(at + lane), even);
                T::store(s, to.add(next + lane), if both { odd } else { even });
            }
        }
    }
}
