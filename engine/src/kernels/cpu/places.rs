//! What the two ways to spare products of a 3x3 convolution have in common ([`super::winograd`],
//! [`super::doubling`]): windows and inputs become values at some places, a small matrix product for each place is
//! summed over the channels, and the sums become results.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use super::aligned::Aligned;
use super::pack::PackedMatrix;

/// Memory that a thread keeps from task to task: fresh pages cost time.
#[derive(Default)]
pub(super) struct Scratch {
    /// Pointers to the rows that a task reads.
    pub(super) table: Vec<*const u8>,
    /// For each place the window of each channel of a block, a panel wide.
    pub(super) windows: Aligned<f32>,
    /// For each place the sums of each row, a panel wide.
    pub(super) sums: Aligned<f32>,
    /// From a place's sums to the next one's.
    pub(super) sums_step: usize,
    /// Results of rows that are finished together.
    pub(super) results: Aligned<f32>,
}

/// What a task needs of it.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) places: usize,
    /// Rows summed up at each place.
    pub(super) rows: usize,
    /// Numbers of the windows of a block of channels at all places.
    pub(super) windows: usize,
    pub(super) results: usize,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Gives `work` the thread's own, large enough for products with `b`.
    pub(super) fn with(b: &PackedMatrix, sizes: Sizes, work: impl FnOnce(&mut Self)) {
        let mut scratch = SCRATCH.take();
        // One row more than there are: places a power of two apart would share few sets of the cache.
        scratch.sums_step = (sizes.rows.next_multiple_of(b.tile_rows) + 1) * b.width;
        let sums = sizes.places * scratch.sums_step;
        for (array, len) in [
            (&mut scratch.windows, sizes.windows),
            (&mut scratch.sums, sums),
            (&mut scratch.results, sizes.results),
        ] {
            grow(array, len);
        }
        work(&mut scratch);
        SCRATCH.set(scratch);
    }
}

fn grow(array: &mut Aligned<f32>, len: usize) {
    if array.as_slice().len() < len {
        *array = Aligned::zeros(len);
    }
}

/// Memory of transformed inputs, kept from one convolution to the next: fresh pages cost a twentieth of the time.
pub(super) struct Kept(Mutex<Aligned<f32>>);

impl Kept {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Aligned::EMPTY))
    }

    /// Gives `work` that many numbers of any value. Who comes meanwhile gets memory of its own.
    pub(super) fn with(&self, len: usize, work: impl FnOnce(&mut [f32])) {
        // What a panic elsewhere left is good: any numbers are.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = std::mem::take(&mut *lock());
        grow(&mut kept, len);
        work(&mut kept.as_mut_slice()[..len]);
        *lock() = kept;
    }
}
