//! Views of row-major matrices, and the pointer that parallel tiles write through.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::simd::Element;

/// A read-only row-major matrix: `rows` rows of `cols` values, `stride` apart.
#[derive(Debug)]
pub struct Rows<'a, T> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
}

/// A writable row-major matrix: `rows` rows of `cols` values, `stride` apart.
#[derive(Debug)]
pub struct RowsMut<'a, T> {
    pub(super) data: &'a mut [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

/// The values that a matrix touches, from the first to the last.
fn extent(rows: usize, cols: usize, stride: usize) -> usize {
    assert!(
        stride >= cols || rows <= 1,
        "rows of {cols} values cannot lie {stride} apart"
    );
    if rows == 0 {
        0
    } else {
        (rows - 1)
            .checked_mul(stride)
            .map_or(usize::MAX, |n| n + cols)
    }
}

impl<'a, T> Rows<'a, T> {
    /// Rows that follow one another.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Rows whose starts lie `stride` values apart.
    ///
    /// # Panics
    /// If rows overlap or `data` ends before the last row does.
    pub fn strided(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        let needed = extent(rows, cols, stride);
        assert!(
            data.len() >= needed,
            "{} values, but the matrix spans {needed}",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            stride,
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// `rows` rows from `first` on.
    pub(super) fn part(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "rows {first}.. of {}", self.rows);
        let start = (first * self.stride).min(self.data.len());
        Self {
            data: &self.data[start..],
            rows,
            ..self
        }
    }

    /// One row.
    pub fn row(&self, index: usize) -> &'a [T] {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        &self.data[index * self.stride..][..self.cols]
    }
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows that follow one another.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Rows whose starts lie `stride` values apart.
    ///
    /// # Panics
    /// If rows overlap or `data` ends before the last row does.
    pub fn strided(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Self {
        let needed = extent(rows, cols, stride);
        assert!(
            data.len() >= needed,
            "{} values, but the matrix spans {needed}",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            stride,
        }
    }

    /// Blocks of `step` rows, each with its first row's number, for tasks that run in parallel.
    pub(super) fn par_blocks(
        &mut self,
        step: usize,
    ) -> impl IndexedParallelIterator<Item = (usize, RowsMut<'_, T>)>
    where
        T: Send,
    {
        let Self {
            ref mut data,
            rows,
            cols,
            stride,
        } = *self;
        let len = extent(rows, cols, stride);
        let blocks = data[..len]
            .par_chunks_mut((step * stride).max(1))
            .enumerate();
        blocks.map(move |(index, data)| {
            let first = index * step;
            (
                first,
                RowsMut {
                    data,
                    rows: step.min(rows - first),
                    cols,
                    stride,
                },
            )
        })
    }

    /// The first `rows` rows, and the others.
    pub(super) fn split_at(self, rows: usize) -> (Self, Self) {
        assert!(rows <= self.rows, "row {rows} of {}", self.rows);
        let (cols, stride) = (self.cols, self.stride);
        let at = (rows * stride).min(self.data.len());
        let (data, later) = self.data.split_at_mut(at);
        (
            Self {
                data,
                rows,
                cols,
                stride,
            },
            Self {
                data: later,
                rows: self.rows - rows,
                cols,
                stride,
            },
        )
    }

    /// A pointer for tiles that run in parallel.
    pub(super) fn target(&mut self) -> Target<'_, T> {
        Target {
            start: self.data.as_mut_ptr(),
            stride: self.stride,
            life: PhantomData,
        }
    }
}

/// The start and stride of a writable matrix that several threads fill, each its own tiles.
pub(super) struct Target<'a, T> {
    start: *mut T,
    stride: usize,
    life: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Target<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Target<'_, T> {}

// SAFETY: threads only write through the pointers that `at` gives, and its callers promise disjoint
// places; T is plain data.
unsafe impl<T: Element> Send for Target<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for Target<'_, T> {}

/// Asks for the cache line of a value that will be read soon; a hint, for any place.
#[inline(always)]
pub(super) fn prefetch_read<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads and writes nothing and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

impl<T> Target<'_, T> {
    /// Asks for the cache line of a value that will be written soon; a hint, for any place.
    #[inline(always)]
    pub(super) fn prefetch(self, row: usize, col: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            let place = self.start.wrapping_add(row * self.stride + col);
            // SAFETY: a prefetch reads and writes nothing and faults on no address.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(place.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (row, col);
    }

    /// Where a value lies.
    ///
    /// # Safety
    /// The place lies in the matrix, and no other thread touches what is written through it.
    #[inline(always)]
    pub(super) unsafe fn at(self, row: usize, col: usize) -> *mut T {
        // SAFETY: within the matrix, by the caller's promise.
        unsafe { self.start.add(row * self.stride + col) }
    }
}

/// The largest equal parts of `count`, none above `limit`.
pub(super) fn even_part(count: usize, limit: usize) -> usize {
    count.div_ceil(count.div_ceil(limit.max(1)).max(1)).max(1)
}
