//! The sizes of an attention, and its operands in the order in which the products read them.

use rayon::prelude::*;

use super::super::aligned::Aligned;
use super::super::elementwise::Convert;
use super::super::isa::Isa;
use super::super::shared::{Rows, Target};
use super::super::simd::{Element, Kernel, Precision, Simd};
use super::{Heads, KEYS, REGISTERS, ROWS, Work, room};

/// Keys whose values are transposed together.
const EIGHT: usize = 8;

/// The sizes of an attention.
pub(super) struct Plan {
    pub(super) isa: Isa,
    pub(super) heads: Heads,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Values of a head as multiplied: a whole number of pairs for bf16.
    pub(super) depth: usize,
    /// Queries of a block.
    pub(super) width: usize,
    /// Rows of the result: a head's values and zeros.
    pub(super) rows: usize,
}

impl Plan {
    pub(super) fn new(
        isa: Isa,
        heads: Heads,
        queries: usize,
        keys: usize,
        precision: Precision,
    ) -> Self {
        let depth = match precision {
            Precision::F32 => heads.dim,
            Precision::Bf16 => heads.dim.next_multiple_of(2),
        };
        Self {
            isa,
            heads,
            queries,
            keys,
            depth,
            width: isa.run(BlockWidth),
            rows: heads.dim.next_multiple_of(ROWS),
        }
    }

    /// Values of a head's transposed copy.
    pub(super) fn values_len(&self) -> usize {
        self.keys.next_multiple_of(KEYS) * self.rows
    }

    /// One head's part of a row of queries, keys or values.
    pub(super) fn part<'a, T>(&self, rows: Rows<'a, T>, pair: usize, row: usize) -> &'a [T] {
        let (batch, head) = (pair / self.heads.count, pair % self.heads.count);
        let batch_rows = rows.rows / self.heads.batches;
        &rows.row(batch * batch_rows + row)[head * self.heads.dim..][..self.heads.dim]
    }

    /// A block of queries as a panel: input after input (bf16: pair after pair), the block's queries
    /// side by side.
    pub(super) fn queries<T: Element, C: Element>(
        &self,
        q: Rows<'_, T>,
        pair: usize,
        first: usize,
    ) -> Aligned<C> {
        let mut out = Aligned::zeros(self.width * self.depth);
        let panel = out.as_mut_slice();
        let group = group_of::<C>();
        for lane in 0..self.width.min(self.queries - first) {
            let row = self.part(q, pair, first + lane);
            let places = panel[group * lane..].chunks_mut(group * self.width);
            for (place, inputs) in places.zip(row.chunks(group)) {
                place[0] = cast(inputs[0]);
                if let Some(&second) = inputs.get(1) {
                    place[1] = cast(second);
                }
            }
        }
        out
    }

    pub(super) fn copy_keys<T: Element, C: Element>(&self, k: Rows<'_, T>, copy: &mut Aligned<C>) {
        let len = self.keys * self.depth;
        let pairs = self.heads.batches * self.heads.count;
        let tasks = room(copy, pairs * len).par_chunks_exact_mut(self.depth);
        tasks.enumerate().for_each(|(index, to)| {
            let from = self.part(k, index / self.keys, index % self.keys);
            to[self.heads.dim..].fill(C::default());
            to.iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to = cast(*from));
        });
    }

    /// Block after block of keys, in each the transposed values.
    pub(super) fn copy_values<T: Element, C: Element>(
        &self,
        v: Rows<'_, T>,
        copy: &mut Aligned<C>,
    ) {
        let pairs = self.heads.batches * self.heads.count;
        let blocks = self.keys.div_ceil(KEYS);
        let tasks = room(copy, pairs * self.values_len()).par_chunks_exact_mut(KEYS * self.rows);
        tasks.enumerate().for_each(|(index, block)| {
            let (pair, first) = (index / blocks, index % blocks * KEYS);
            let count = KEYS.min(self.keys - first);
            if count < KEYS || self.rows > self.heads.dim {
                block.fill(C::default());
            }
            // Eight keys at once: each row of the copy then takes eight neighbours in one store.
            let mut key = 0;
            while key + EIGHT <= count {
                let rows: [&[T]; EIGHT] =
                    std::array::from_fn(|i| self.part(v, pair, first + key + i));
                for (d, row) in block
                    .chunks_exact_mut(KEYS)
                    .take(self.heads.dim)
                    .enumerate()
                {
                    let values: [C; EIGHT] = std::array::from_fn(|i| cast(rows[i][d]));
                    row[key..key + EIGHT].copy_from_slice(&values);
                }
                key += EIGHT;
            }
            for key in key..count {
                let from = self.part(v, pair, first + key);
                for (row, from) in block.chunks_exact_mut(KEYS).zip(from) {
                    row[key] = cast(*from);
                }
            }
        });
    }

    /// Stores a block's result.
    pub(super) fn store<O: Element>(
        &self,
        work: &Work,
        target: Target<'_, O>,
        pair: usize,
        first: usize,
    ) {
        let (batch, head) = (pair / self.heads.count, pair % self.heads.count);
        let (dim, result) = (self.heads.dim, work.result.as_slice());
        let mut line = vec![0.0; dim];
        for lane in 0..self.width.min(self.queries - first) {
            let rows = result.chunks_exact(self.width);
            line.iter_mut()
                .zip(rows)
                .for_each(|(to, row)| *to = row[lane]);
            let place = batch * self.queries + first + lane;
            // SAFETY: the head's columns of this row lie in the target, and no other task has them.
            let to = unsafe { std::slice::from_raw_parts_mut(target.at(place, head * dim), dim) };
            self.isa.run(Convert {
                from: &line[..],
                to,
            });
        }
    }
}

/// Inputs that lie side by side in a column of a panel.
fn group_of<C: Element>() -> usize {
    match C::PRECISION {
        Precision::F32 => 1,
        Precision::Bf16 => 2,
    }
}

/// A value as another type.
#[inline(always)]
fn cast<T: Element, C: Element>(x: T) -> C {
    if T::PRECISION == C::PRECISION {
        // SAFETY: each precision belongs to one type, so T is C.
        unsafe { std::mem::transmute_copy(&x) }
    } else {
        C::from_f32(x.to_f32())
    }
}

/// Asks an instruction set for the queries of a block.
struct BlockWidth;

impl Kernel for BlockWidth {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        REGISTERS * S::LANES
    }
}
