//! What a product does to its sums before it stores them.

use super::math::Activation;
use super::pack::PackedMatrix;
use super::shared::{Rows, Target, prefetch_read};
use super::simd::{Element, Kernel, Simd};

/// What happens to each value of a product before it is stored, in this order: bias, activation
/// (of a gated weight: value times activation of the gate), residual.
#[derive(Debug)]
pub struct Epilogue<'a, O> {
    bias: Option<&'a [f32]>,
    bias_rows: usize,
    activation: Activation,
    residual: Option<Rows<'a, O>>,
    onto: bool,
}

impl<O> Clone for Epilogue<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Epilogue<'_, O> {}

impl<O> Default for Epilogue<'_, O> {
    fn default() -> Self {
        Self {
            bias: None,
            bias_rows: usize::MAX,
            activation: Activation::None,
            residual: None,
            onto: false,
        }
    }
}

impl<'a, O> Epilogue<'a, O> {
    /// Adds `bias` to every row: one value per output of the weight (a gated weight's halves: values
    /// first, then gates).
    #[must_use]
    pub fn bias(self, bias: &'a [f32]) -> Self {
        Self {
            bias: Some(bias),
            bias_rows: usize::MAX,
            ..self
        }
    }

    /// Adds a bias of its own to each group of `rows` rows, such as a picture of a batch: bias plus
    /// time embedding. `bias` holds one vector after another.
    #[must_use]
    pub fn group_bias(self, bias: &'a [f32], rows: usize) -> Self {
        assert!(rows > 0, "a group of no rows");
        Self {
            bias: Some(bias),
            bias_rows: rows,
            ..self
        }
    }

    /// Applies `activation`.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Adds a matrix of the result's shape.
    #[must_use]
    pub fn residual(self, residual: Rows<'a, O>) -> Self {
        Self {
            residual: Some(residual),
            ..self
        }
    }

    /// Adds what the result's memory holds: a residual that nobody needs afterwards.
    #[must_use]
    pub fn onto(self) -> Self {
        Self { onto: true, ..self }
    }

    /// The same for `rows` rows from `first` on, of a product of `outputs` columns.
    ///
    /// # Panics
    /// If the rows lie in more than one group.
    pub(super) fn part(self, first: usize, rows: usize, outputs: usize) -> Self {
        let mut part = Self {
            residual: self.residual.map(|residual| residual.part(first, rows)),
            ..self
        };
        if self.bias_rows != usize::MAX {
            let group = first / self.bias_rows;
            assert!(
                first + rows <= (group + 1) * self.bias_rows,
                "rows of more than one group"
            );
            part.bias = self.bias.map(|bias| &bias[group * outputs..][..outputs]);
            part.bias_rows = usize::MAX;
        }
        part
    }

    /// Asks for what will be added to a place; a hint, for any place.
    #[inline(always)]
    pub(super) fn prefetch(&self, row: usize, col: usize) {
        if let Some(residual) = self.residual {
            prefetch_read(
                residual
                    .data
                    .as_ptr()
                    .wrapping_add(row * residual.stride + col),
            );
        }
    }

    /// Panics unless all parts fit a product with `b` of `rows` rows.
    pub(super) fn check(&self, b: &PackedMatrix, rows: usize) {
        if let Some(bias) = self.bias {
            let groups = if self.bias_rows == usize::MAX {
                1
            } else {
                rows.div_ceil(self.bias_rows)
            };
            assert_eq!(
                bias.len(),
                groups * b.n,
                "a bias for {groups} groups of {} outputs",
                b.n
            );
        }
        if let Some(residual) = self.residual {
            let shape = (residual.rows, residual.cols);
            assert_eq!(
                shape,
                (rows, b.outputs()),
                "the residual's shape against the result's"
            );
        }
    }
}

/// Stores finished sums: rows of one panel.
pub(super) struct Finish<'a, O> {
    pub(super) epilogue: &'a Epilogue<'a, O>,
    pub(super) b: &'a PackedMatrix,
    /// Where the rows and columns below are this call's alone.
    pub(super) target: Target<'a, O>,
    /// The result's rows, as many as `sums` has, from this one on.
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) panel: usize,
    /// Rows of a panel's width.
    pub(super) sums: &'a [f32],
}

impl<O: Element> Kernel for Finish<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (b, epilogue) = (self.b, self.epilogue);
        let outputs = b.outputs();
        assert!(
            self.sums.len() >= self.rows * 2 * S::LANES,
            "sums of all rows"
        );
        let (mut group_start, mut group_end, mut bias) = (0, 0, None);
        for i in 0..self.rows {
            let row = self.row + i;
            if row >= group_end || row < group_start {
                // A division, which takes as long as all else that a row needs.
                let group = row / epilogue.bias_rows;
                group_start = group * epilogue.bias_rows;
                group_end = group_start.saturating_add(epilogue.bias_rows);
                bias = epilogue.bias.map(|bias| &bias[group * b.n..][..b.n]);
            }
            let first = self.panel * b.panel_outputs();
            for j in 0..b.panel_outputs() / S::LANES {
                let col = first + j * S::LANES;
                if col >= outputs {
                    break;
                }
                let n = (outputs - col).min(S::LANES);
                // SAFETY: `sums` has 2 * LANES values per row; `bias` has b.n values, and for a
                // gated weight outputs + col + n <= b.n; residual and target have the result's
                // shape, and row and col + n lie within it, a place of this call's alone.
                unsafe {
                    let at = self.sums.as_ptr().add((2 * i + j) * S::LANES);
                    let mut v = s.load(at);
                    if let Some(bias) = bias {
                        v = s.add(v, load_some(s, bias.as_ptr().add(col), n));
                    }
                    if b.paired {
                        let mut gate = s.load(at.add(S::LANES));
                        if let Some(bias) = bias {
                            gate = s.add(gate, load_some(s, bias.as_ptr().add(outputs + col), n));
                        }
                        v = s.mul(v, epilogue.activation.apply(s, gate));
                    } else {
                        v = epilogue.activation.apply(s, v);
                    }
                    if let Some(residual) = epilogue.residual {
                        let at = residual.data.as_ptr().add(row * residual.stride + col);
                        v = s.add(v, load_some(s, at, n));
                    }
                    let to = self.target.at(row, col);
                    if epilogue.onto {
                        v = s.add(v, load_some(s, to, n));
                    }
                    store_some(s, to, v, n);
                }
            }
        }
    }
}

/// Loads `n` values, the whole register where that is all of them.
///
/// # Safety
/// `n <= LANES` values at `p` are readable.
#[inline(always)]
pub(super) unsafe fn load_some<S: Simd, T: Element>(s: S, p: *const T, n: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        if n == S::LANES {
            T::load(s, p)
        } else {
            T::load_part(s, p, n)
        }
    }
}

/// Stores `n` values, the whole register where that is all of them.
///
/// # Safety
/// `n <= LANES` values at `p` are writable.
#[inline(always)]
pub(super) unsafe fn store_some<S: Simd, T: Element>(s: S, p: *mut T, v: S::V, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if n == S::LANES {
            T::store(s, p, v)
        } else {
            T::store_part(s, p, v, n)
        }
    }
}
