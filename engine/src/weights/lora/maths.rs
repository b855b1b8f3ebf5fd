//! The products that add-ons are made of, in f32, on row-major matrices.

use crate::kernels::cpu::gemm::{Epilogue, Rows, RowsMut, matmul};
use crate::kernels::cpu::pack::PackedMatrix;
use crate::kernels::cpu::{Precision, trusted_isa};

/// A weight as a matrix with a window: what a layer's shape means here. A linear layer and a vector
/// have a window of one tap, a vector one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) taps: usize,
}

impl Sides {
    pub(super) fn of(shape: &[usize]) -> Self {
        Self {
            outputs: shape.first().copied().unwrap_or(1),
            inputs: shape.get(1).copied().unwrap_or(1),
            taps: shape.iter().skip(2).product(),
        }
    }

    /// Values of one output.
    pub(super) fn row(self) -> usize {
        self.inputs * self.taps
    }

    pub(super) fn count(self) -> usize {
        self.outputs * self.row()
    }
}

/// `a` (m, k) times `b` (k, n) to (m, n). The bits do not depend on the number of threads.
pub(super) fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
    let turned = transposed(b, [k, n]);
    let isa = trusted_isa();
    let packed = PackedMatrix::linear(isa, Precision::F32, &turned, n, k);
    let mut out = vec![0.0; m * n];
    matmul(
        Rows::new(a, m, k),
        &packed,
        &Epilogue::default(),
        RowsMut::new(&mut out, m, n),
    );
    out
}

/// (rows, columns) to (columns, rows).
pub(super) fn transposed(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(columns.max(1)).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            out[column * rows + row] = value;
        }
    }
    out
}

/// Tucker's product of a convolution: `core` (p, q, taps) with `outer` (outputs, p) and `inner`
/// (q, inputs) to (outputs, inputs, taps).
pub(super) fn tucker(
    core: &[f32],
    outer: &[f32],
    inner: &[f32],
    [p, q]: [usize; 2],
    sides: Sides,
) -> Vec<f32> {
    let Sides {
        outputs,
        inputs,
        taps,
    } = sides;
    let half = product(outer, core, [outputs, p, q * taps]);
    // To (outputs, taps, q), so that the second product is one as well.
    let swapped = swapped(&half, [outputs, q, taps]);
    let whole = product(&swapped, inner, [outputs * taps, q, inputs]);
    self::swapped(&whole, [outputs, taps, inputs])
}

/// (a, b, c) to (a, c, b).
pub(super) fn swapped(values: &[f32], [_, b, c]: [usize; 3]) -> Vec<f32> {
    let pages = values.chunks_exact((b * c).max(1));
    pages.flat_map(|page| transposed(page, [b, c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let a: Vec<f32> = (0..6_u8).map(f32::from).collect();
        let b: Vec<f32> = (0..12_u8).map(|i| f32::from(i) - 5.0).collect();
        let want: Vec<f32> = (0..2)
            .flat_map(|i| (0..4).map(move |j| (i, j)))
            .map(|(i, j)| (0..3).map(|k| a[i * 3 + k] * b[k * 4 + j]).sum())
            .collect();
        assert_eq!(product(&a, &b, [2, 3, 4]), want);
        assert_eq!(transposed(&a, [2, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let sides = Sides::of(&[2, 4, 1, 2]);
        let core: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let (outer, inner) = (&a[..4], &b);
        let mut want = vec![0.0; 16];
        for (at, value) in want.iter_mut().enumerate() {
            let (o, n, t) = (at / 8, at / 2 % 4, at % 2);
            for (i, j) in (0..2).flat_map(|i| (0..3).map(move |j| (i, j))) {
                *value += core[(i * 3 + j) * 2 + t] * outer[o * 2 + i] * inner[j * 4 + n];
            }
        }
        assert_eq!(tucker(&core, outer, inner, [2, 3], sides), want);
    }
}
