//! Attention that streams over the keys and never stores the scores (Dao et al., "FlashAttention",
//! 2022; the running softmax is Milakov and Gimelshein's, 2018).
//!
//! A task takes a block of queries of one head through all keys, a block of keys at a time: scores
//! in a cache-sized square, their running maximum, powers of two in place, then their product with
//! the values added to the block's result, which is rescaled where a maximum has grown.

use std::cell::RefCell;

use half::bf16;
use rayon::prelude::*;

use super::elementwise::Convert;
use super::isa::Isa;
use super::math::exp2_negative;
use super::shared::{Aligned, Rows, RowsMut, Target};
use super::simd::{Element, Kernel, Precision, Simd};
use super::tile::{Span, TileElement};

/// Queries in a block: whole tiles of every height.
const QUERIES: usize = 48;
/// Keys in a block: whole panels of every width.
const KEYS: usize = 128;

/// The shape of an attention.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Heads {
    /// Independent sequences; the rows of queries, keys and values are divided evenly among them.
    pub batches: usize,
    /// Heads, side by side in a row.
    pub count: usize,
    /// Values of a head in a row.
    pub dim: usize,
    /// What scores are multiplied with: usually `1 / sqrt(dim)`.
    pub scale: f32,
    /// Whether a query sees only keys at its own place and before.
    pub causal: bool,
}

impl Heads {
    /// The usual attention: scaled by `1 / sqrt(dim)`, every query sees every key.
    pub fn new(batches: usize, count: usize, dim: usize) -> Self {
        let scale = 1.0 / (dim as f32).sqrt();
        Self {
            batches,
            count,
            dim,
            scale,
            causal: false,
        }
    }
}

/// `out = softmax(scale * q * transpose(k)) * v`, for each batch and head.
///
/// `q`, `out` (batches * queries, count * dim), `k`, `v` (batches * keys, count * dim): row-major, any
/// strides. f32 in, f32 arithmetic; bf16 in, bf16 products (weights of the softmax rounded to bf16)
/// with f32 sums where the processor has the dot product, f32 arithmetic elsewhere. The error against
/// exact arithmetic on the same inputs is about 2e-6 of the greatest value in f32 and 4e-3 in bf16.
/// A query's bits depend on that query and its batch's keys and values alone.
///
/// # Panics
/// If shapes do not fit, if there are no keys, or if `scale` is not positive.
pub fn attention<T: Element, O: Element>(
    isa: Isa,
    q: Rows<'_, T>,
    k: Rows<'_, T>,
    v: Rows<'_, T>,
    heads: Heads,
    out: RowsMut<'_, O>,
) {
    // Taken out rather than borrowed: while it waits, this thread may be given another attention.
    if T::PRECISION == Precision::Bf16 && isa.has_fast_bf16() {
        let mut packed = PACKED_BF16.take();
        stream::<T, bf16, O>(isa, [q, k, v], heads, &mut packed, out);
        PACKED_BF16.set(packed);
    } else {
        let mut packed = PACKED_F32.take();
        stream::<T, f32, O>(isa, [q, k, v], heads, &mut packed, out);
        PACKED_F32.set(packed);
    }
}

thread_local! {
    /// Packed keys and values, kept by the calling thread from one attention to the next.
    static PACKED_F32: RefCell<Aligned<f32>> = RefCell::default();
    static PACKED_BF16: RefCell<Aligned<bf16>> = RefCell::default();
    static WORK: RefCell<Work> = RefCell::default();
}

/// Packed keys and values that a thread keeps take at most this much.
const KEPT_BYTES: usize = 32 << 20;

fn stream<T: Element, C: TileElement, O: Element>(
    isa: Isa,
    [q, k, v]: [Rows<'_, T>; 3],
    heads: Heads,
    packed: &mut Aligned<C>,
    mut out: RowsMut<'_, O>,
) {
    let width = heads.count * heads.dim;
    assert!(
        heads.batches > 0 && heads.dim > 0 && heads.scale > 0.0,
        "{heads:?}"
    );
    assert_eq!(
        [q.cols, k.cols, v.cols, out.cols],
        [width; 4],
        "columns against heads times dim"
    );
    assert_eq!(
        (q.rows, k.rows),
        (out.rows, v.rows),
        "queries and results, keys and values"
    );
    assert!(q.rows.is_multiple_of(heads.batches) && k.rows.is_multiple_of(heads.batches));
    let (queries, keys) = (q.rows / heads.batches, k.rows / heads.batches);
    assert!(keys > 0, "attention to no keys");
    let plan = Plan::new(isa, heads, queries, keys, C::PRECISION);
    let pairs = heads.batches * heads.count;
    let len = plan.keys_len() + plan.values_len();
    if packed.as_slice().len() < pairs * len {
        *packed = Aligned::zeros(pairs * len);
    }
    let blocks = packed.as_mut_slice()[..pairs * len].par_chunks_exact_mut(len);
    blocks.enumerate().for_each(|(pair, block)| {
        let (packed_keys, packed_values) = block.split_at_mut(plan.keys_len());
        plan.pack_keys(k, pair, packed_keys);
        plan.pack_values(v, pair, packed_values);
    });
    let blocks = packed.as_slice();
    let target = out.target();
    let tasks = queries.div_ceil(QUERIES);
    (0..pairs * tasks).into_par_iter().for_each(|task| {
        let (pair, first) = (task / tasks, task % tasks * QUERIES);
        let (packed_keys, packed_values) = blocks[pair * len..][..len].split_at(plan.keys_len());
        let mut work = WORK.take();
        let query: Aligned<C> = plan.queries(q, pair, first);
        isa.run(Block {
            plan: &plan,
            first,
            query: query.as_slice(),
            keys: packed_keys,
            values: packed_values,
            work: &mut work,
        });
        plan.store(&work, target, pair, first);
        WORK.set(work);
    });
    if size_of_val(packed.as_slice()) > KEPT_BYTES {
        *packed = Aligned::default();
    }
}

/// The sizes of a packed attention.
struct Plan {
    isa: Isa,
    heads: Heads,
    queries: usize,
    keys: usize,
    /// Values of a head as packed: a whole number of pairs for bf16.
    depth: usize,
    /// Columns of a panel of keys: two registers.
    panel: usize,
    /// Registers that hold a head's result.
    registers: usize,
}

impl Plan {
    fn new(isa: Isa, heads: Heads, queries: usize, keys: usize, precision: Precision) -> Self {
        let panel = isa.run(PanelWidth);
        let depth = match precision {
            Precision::F32 => heads.dim,
            Precision::Bf16 => heads.dim.next_multiple_of(2),
        };
        let registers = (2 * heads.dim).div_ceil(panel);
        Self {
            isa,
            heads,
            queries,
            keys,
            depth,
            panel,
            registers,
        }
    }

    fn lanes(&self) -> usize {
        self.panel / 2
    }

    /// Columns of the result as computed.
    fn result_cols(&self) -> usize {
        self.registers * self.lanes()
    }

    /// Packed values of a head's keys.
    fn keys_len(&self) -> usize {
        self.keys.next_multiple_of(KEYS) * self.depth
    }

    /// Packed values of a head's values.
    fn values_len(&self) -> usize {
        self.keys.next_multiple_of(KEYS) * self.result_cols()
    }

    /// The registers of the result in groups that one tile computes: first register, registers.
    /// Pairs of them, with a group of three where the number is odd.
    fn groups(&self) -> impl Iterator<Item = (usize, usize)> {
        let (count, odd) = (self.registers, self.registers % 2 == 1);
        let singles = if odd && count >= 3 { 3 } else { count % 2 };
        let head = (singles > 0).then_some((0, singles));
        head.into_iter()
            .chain((singles..count).step_by(2).map(|first| (first, 2)))
    }

    /// One head's part of a row of queries, keys or values.
    fn part<'a, T>(&self, rows: Rows<'a, T>, pair: usize, row: usize) -> &'a [T] {
        let (batch, head) = (pair / self.heads.count, pair % self.heads.count);
        let batch_rows = rows.rows / self.heads.batches;
        &rows.row(batch * batch_rows + row)[head * self.heads.dim..][..self.heads.dim]
    }

    /// A block of queries, one after another.
    fn queries<T: Element, C: Element>(
        &self,
        q: Rows<'_, T>,
        pair: usize,
        first: usize,
    ) -> Aligned<C> {
        let mut out = Aligned::zeros(QUERIES * self.depth);
        let rows = (self.queries - first).min(QUERIES);
        for (row, to) in out
            .as_mut_slice()
            .chunks_exact_mut(self.depth)
            .take(rows)
            .enumerate()
        {
            for (to, from) in to.iter_mut().zip(self.part(q, pair, first + row)) {
                *to = cast(*from);
            }
        }
        out
    }

    /// Panels of keys: input after input (bf16: pair after pair), the panel's keys side by side.
    fn pack_keys<T: Element, C: Element>(&self, k: Rows<'_, T>, pair: usize, out: &mut [C]) {
        let group = group_of::<C>();
        for (index, panel) in out.chunks_exact_mut(self.depth * self.panel).enumerate() {
            panel.fill(C::default());
            let first = index * self.panel;
            for lane in 0..self.panel.min(self.keys.saturating_sub(first)) {
                for (d, from) in self.part(k, pair, first + lane).iter().enumerate() {
                    panel[(d / group * self.panel + lane) * group + d % group] = cast(*from);
                }
            }
        }
    }

    /// Blocks of keys' values, in each block group after group of registers: key after key (bf16:
    /// pair after pair), the group's columns side by side.
    fn pack_values<T: Element, C: Element>(&self, v: Rows<'_, T>, pair: usize, out: &mut [C]) {
        let (group, lanes) = (group_of::<C>(), self.lanes());
        for (index, block) in out.chunks_exact_mut(KEYS * self.result_cols()).enumerate() {
            block.fill(C::default());
            for key in 0..KEYS.min(self.keys - index * KEYS) {
                let row = self.part(v, pair, index * KEYS + key);
                for (first, registers) in self.groups() {
                    let width = registers * lanes;
                    let to = &mut block[first * lanes * KEYS + key / group * group * width..];
                    let columns = row.iter().skip(first * lanes).take(width);
                    for (lane, from) in columns.enumerate() {
                        to[lane * group + key % group] = cast(*from);
                    }
                }
            }
        }
    }

    /// Stores a block's result.
    fn store<O: Element>(&self, work: &Work, target: Target<'_, O>, pair: usize, first: usize) {
        let (batch, head) = (pair / self.heads.count, pair % self.heads.count);
        let rows = (self.queries - first).min(QUERIES);
        let results = work.result.as_slice().chunks_exact(self.result_cols());
        for (row, from) in results.take(rows).enumerate() {
            let place = batch * self.queries + first + row;
            // SAFETY: the head's columns of this row lie in the target, and no other task has them.
            let to = unsafe {
                let start = target.at(place, head * self.heads.dim);
                std::slice::from_raw_parts_mut(start, self.heads.dim)
            };
            self.isa.run(Convert {
                from: &from[..self.heads.dim],
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

/// Asks an instruction set for the columns of a panel.
struct PanelWidth;

impl Kernel for PanelWidth {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        2 * S::LANES
    }
}

/// What a thread keeps from block to block.
#[derive(Default)]
struct Work {
    /// (QUERIES, KEYS): scores, then in place the softmax's weights, which in bf16 fill half a row.
    scores: Aligned<f32>,
    /// (QUERIES, columns of the result): weighted sums of values.
    result: Aligned<f32>,
    /// Of each query: the greatest score so far, times scale and log2 e, and the sum of weights.
    maxima: Vec<f32>,
    sums: Vec<f32>,
}

/// A block of queries of one head, and all its keys and values.
struct Block<'a, C> {
    plan: &'a Plan,
    /// The block's first query.
    first: usize,
    /// (QUERIES, depth).
    query: &'a [C],
    keys: &'a [C],
    values: &'a [C],
    work: &'a mut Work,
}

impl<C: TileElement> Kernel for Block<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match S::TILE_ROWS {
            12 => self.stream::<S, 12, 8>(s),
            6 => self.stream::<S, 6, 4>(s),
            _ => self.stream::<S, 4, 2>(s),
        }
    }
}

impl<C: TileElement> Block<'_, C> {
    /// `HIGH` rows fit a tile of two registers' width, `LOW` one of three.
    #[inline(always)]
    fn stream<S: Simd, const HIGH: usize, const LOW: usize>(self, s: S) {
        let plan = self.plan;
        let rows = (plan.queries - self.first).min(QUERIES);
        let cols = plan.result_cols();
        prepare(self.work, cols);
        let Work {
            scores,
            result,
            maxima,
            sums,
        } = self.work;
        let scores = &mut scores.as_mut_slice()[..QUERIES * KEYS];
        let result = &mut result.as_mut_slice()[..QUERIES * cols];
        let query_rows: [*const u8; QUERIES] =
            std::array::from_fn(|i| self.query[i * plan.depth..].as_ptr().cast());
        let factor = plan.heads.scale * std::f32::consts::LOG2_E;
        // A causal query sees no key after its own place.
        let seen = if plan.heads.causal {
            (self.first + rows).min(plan.keys)
        } else {
            plan.keys
        };
        for start in (0..seen).step_by(KEYS) {
            let count = (seen - start).min(KEYS);
            let padded = count.next_multiple_of(2 * S::LANES);
            for panel in 0..padded / (2 * S::LANES) {
                let at = (start + panel * 2 * S::LANES) * plan.depth;
                let span = Span {
                    rows: &query_rows,
                    taps: 1,
                    offset: 0,
                    len: plan.depth,
                    panel: &self.keys[at..][..2 * S::LANES * plan.depth],
                };
                let to = &mut scores[panel * 2 * S::LANES..];
                // SAFETY: each query has `depth` values, a panel as many inputs.
                unsafe { multiply::<S, C, HIGH, 2>(s, &span, rows, to, KEYS, true) };
            }
            for row in 0..rows {
                let line = &mut scores[row * KEYS..][..padded];
                let visible = if plan.heads.causal {
                    (self.first + row + 1).saturating_sub(start).min(count)
                } else {
                    count
                };
                line[visible..].fill(f32::NEG_INFINITY);
                let shrink = weigh::<S, C>(s, line, factor, &mut maxima[row], &mut sums[row]);
                if shrink != 1.0 {
                    scale(s, &mut result[row * cols..][..cols], shrink);
                }
            }
            let weight_rows: [*const u8; QUERIES] =
                std::array::from_fn(|i| scores[i * KEYS..].as_ptr().cast());
            let block = &self.values[start * cols..];
            for (first, registers) in plan.groups() {
                let keys = padded;
                let span = Span {
                    rows: &weight_rows,
                    taps: 1,
                    offset: 0,
                    len: keys,
                    panel: &block[first * S::LANES * KEYS..][..keys * registers * S::LANES],
                };
                let to = &mut result[first * S::LANES..];
                // SAFETY: each row has `padded` weights, the block's values as many keys.
                unsafe {
                    match registers {
                        1 => multiply::<S, C, HIGH, 1>(s, &span, rows, to, cols, false),
                        2 => multiply::<S, C, HIGH, 2>(s, &span, rows, to, cols, false),
                        _ => multiply::<S, C, LOW, 3>(s, &span, rows, to, cols, false),
                    }
                }
            }
        }
        for (row, sum) in result.chunks_exact_mut(cols).zip(sums) {
            scale(s, row, 1.0 / *sum);
        }
    }
}

/// Sizes the buffers and empties the sums.
fn prepare(work: &mut Work, cols: usize) {
    if work.scores.as_slice().len() < QUERIES * KEYS {
        work.scores = Aligned::zeros(QUERIES * KEYS);
    }
    if work.result.as_slice().len() < QUERIES * cols {
        work.result = Aligned::zeros(QUERIES * cols);
    }
    work.result.as_mut_slice()[..QUERIES * cols].fill(0.0);
    work.maxima.clear();
    work.maxima.resize(QUERIES, f32::NEG_INFINITY);
    work.sums.clear();
    work.sums.resize(QUERIES, 0.0);
}

/// Multiplies `rows` rows, at most QUERIES, with a panel; sets (`fresh`) or adds to `out`, whose
/// rows lie `stride` apart. Computes whole tiles: rows beyond the last hold junk afterwards.
///
/// # Safety
/// As [`TileElement::accumulate`] for each of the QUERIES rows.
#[inline(always)]
unsafe fn multiply<S: Simd, C: TileElement, const MR: usize, const NV: usize>(
    s: S,
    span: &Span<'_, C>,
    rows: usize,
    out: &mut [f32],
    stride: usize,
    fresh: bool,
) {
    assert!(rows <= QUERIES && QUERIES.is_multiple_of(MR), "whole tiles");
    assert!(
        out.len() >= (QUERIES - 1) * stride + NV * S::LANES,
        "room for the block"
    );
    for first in (0..rows).step_by(MR) {
        let tile = Span {
            rows: &span.rows[first..first + MR],
            ..*span
        };
        let mut acc = [[s.splat(0.0); NV]; MR];
        // SAFETY: rows below QUERIES lie in `out`, as checked above; the products are the caller's
        // promise.
        unsafe {
            let start = out.as_mut_ptr().add(first * stride);
            if !fresh {
                for (i, row) in acc.iter_mut().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v = s.load(start.add(i * stride + j * S::LANES));
                    }
                }
            }
            C::accumulate(s, &tile, MR, &mut acc);
            for (i, row) in acc.iter().enumerate() {
                for (j, &v) in row.iter().enumerate() {
                    s.store(start.add(i * stride + j * S::LANES), v);
                }
            }
        }
    }
}

/// Turns a row of scores into weights `2^(factor * score - maximum)`, stored over it as `C`s, and
/// brings the running maximum and sum up to date. Returns what earlier results shrink by.
#[inline(always)]
fn weigh<S: Simd, C: Element>(
    s: S,
    line: &mut [f32],
    factor: f32,
    maximum: &mut f32,
    sum: &mut f32,
) -> f32 {
    assert!(line.len().is_multiple_of(2 * S::LANES), "whole panels");
    let registers = line.len() / S::LANES;
    let start = line.as_mut_ptr();
    let mut top = [s.splat(f32::NEG_INFINITY); 2];
    for i in 0..registers {
        // SAFETY: the line has this many registers.
        top[i % 2] = s.max(top[i % 2], unsafe { s.load(start.add(i * S::LANES)) });
    }
    let now = (s.max_lane(s.max(top[0], top[1])) * factor).max(*maximum);
    let shrink = (*maximum - now).exp2();
    *maximum = now;
    let (slope, shift) = (s.splat(factor), s.splat(-now));
    let mut total = [s.splat(0.0); 2];
    for i in 0..registers {
        // SAFETY: the line has this many registers; a weight takes no more bytes than a score, so
        // that a register's weights overwrite only scores that have been read.
        unsafe {
            let x = s.mul_add(s.load(start.add(i * S::LANES)), slope, shift);
            let p = match C::PRECISION {
                Precision::F32 => exp2_negative::<S, true>(s, x),
                Precision::Bf16 => exp2_negative::<S, false>(s, x),
            };
            total[i % 2] = s.add(total[i % 2], p);
            C::store(s, start.cast::<C>().add(i * S::LANES), p);
        }
    }
    *sum = *sum * shrink + s.sum(s.add(total[0], total[1]));
    shrink
}

/// Multiplies values with a factor; whole registers.
#[inline(always)]
fn scale<S: Simd>(s: S, values: &mut [f32], factor: f32) {
    let factor = s.splat(factor);
    for chunk in values.chunks_exact_mut(S::LANES) {
        // SAFETY: the chunk is one register long.
        unsafe { s.store(chunk.as_mut_ptr(), s.mul(s.load(chunk.as_ptr()), factor)) };
    }
}
