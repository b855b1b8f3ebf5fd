//! Attention that streams over the keys and never stores the scores (Dao et al., "FlashAttention",
//! 2022; the running softmax is Milakov and Gimelshein's, 2018).
//!
//! A task takes a block of queries of one head through all keys, a block of keys at a time. It works
//! on the transposed problem: keys are the rows of the score tile and queries its lanes, values'
//! columns are the rows of the result and queries again its lanes. So keys are read where they lie,
//! maxima and sums of the softmax are plain lanes, no lane is wasted whatever a head's dimension, and
//! only values need a transposed copy.

use std::cell::RefCell;

use half::bf16;
use rayon::prelude::*;

use super::elementwise::Convert;
use super::isa::Isa;
use super::math::exp2_negative;
use super::shared::{Aligned, Rows, RowsMut, Target};
use super::simd::{Element, Kernel, Precision, Simd};
use super::tile::{Span, TileElement};

/// Registers of queries in a block.
const REGISTERS: usize = 3;
/// Keys in a block: whole tiles of every height.
const KEYS: usize = 128;
/// Rows of scores and results come in multiples of this: whole tiles of every height.
const ROWS: usize = 8;

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
        let mut copies = COPIES_BF16.take();
        stream::<T, bf16, O>(isa, [q, k, v], heads, &mut copies, out);
        COPIES_BF16.set(copies);
    } else {
        let mut copies = COPIES_F32.take();
        stream::<T, f32, O>(isa, [q, k, v], heads, &mut copies, out);
        COPIES_F32.set(copies);
    }
}

thread_local! {
    /// Copies of keys and values, kept by the calling thread from one attention to the next.
    static COPIES_F32: RefCell<Copies<f32>> = RefCell::default();
    static COPIES_BF16: RefCell<Copies<bf16>> = RefCell::default();
    static WORK: RefCell<Work> = RefCell::default();
}

/// Copies that a thread keeps take at most this much.
const KEPT_BYTES: usize = 32 << 20;

/// Keys and values in the element type and order of the products.
#[derive(Default)]
struct Copies<C> {
    /// (pairs of batch and head, keys, depth); empty where keys are read as they lie.
    keys: Aligned<C>,
    /// (pairs of batch and head, blocks of keys, rows of the result, KEYS).
    values: Aligned<C>,
}

fn stream<T: Element, C: TileElement, O: Element>(
    isa: Isa,
    [q, k, v]: [Rows<'_, T>; 3],
    heads: Heads,
    copies: &mut Copies<C>,
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

    let in_place = T::PRECISION == C::PRECISION && plan.depth == heads.dim;
    if !in_place {
        plan.copy_keys(k, &mut copies.keys);
    }
    plan.copy_values(v, &mut copies.values);
    let Copies {
        keys: copied_keys,
        values,
    } = &*copies;
    let values = &values.as_slice()[..pairs * plan.values_len()];
    let key_rows = |pair: usize| {
        if in_place {
            KeyRows {
                start: plan.part(k, pair, 0).as_ptr().cast(),
                step_bytes: k.stride * size_of::<T>(),
            }
        } else {
            let len = keys * plan.depth;
            KeyRows {
                start: copied_keys.as_slice()[pair * len..][..len].as_ptr().cast(),
                step_bytes: plan.depth * size_of::<C>(),
            }
        }
    };
    let target = out.target();
    let tasks = queries.div_ceil(plan.width);
    (0..pairs * tasks).into_par_iter().for_each(|task| {
        let (pair, first) = (task / tasks, task % tasks * plan.width);
        let mut work = WORK.take();
        let query: Aligned<C> = plan.queries(q, pair, first);
        let block = Block {
            plan: &plan,
            first,
            query: query.as_slice(),
            keys: key_rows(pair),
            values: &values[pair * plan.values_len()..][..plan.values_len()],
            work: &mut work,
        };
        isa.run(block);
        plan.store(&work, target, pair, first);
        WORK.set(work);
    });
    let kept = size_of_val(copies.keys.as_slice()) + size_of_val(copies.values.as_slice());
    if kept > KEPT_BYTES {
        *copies = Copies::default();
    }
}

/// Where a head's keys lie: `depth` values each.
#[derive(Clone, Copy)]
struct KeyRows {
    start: *const u8,
    step_bytes: usize,
}

impl KeyRows {
    fn at(self, key: usize) -> *const u8 {
        self.start.wrapping_add(key * self.step_bytes)
    }
}

/// The sizes of an attention.
struct Plan {
    isa: Isa,
    heads: Heads,
    queries: usize,
    keys: usize,
    /// Values of a head as multiplied: a whole number of pairs for bf16.
    depth: usize,
    /// Queries of a block.
    width: usize,
    /// Rows of the result: a head's values and zeros.
    rows: usize,
}

impl Plan {
    fn new(isa: Isa, heads: Heads, queries: usize, keys: usize, precision: Precision) -> Self {
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
    fn values_len(&self) -> usize {
        self.keys.next_multiple_of(KEYS) * self.rows
    }

    /// One head's part of a row of queries, keys or values.
    fn part<'a, T>(&self, rows: Rows<'a, T>, pair: usize, row: usize) -> &'a [T] {
        let (batch, head) = (pair / self.heads.count, pair % self.heads.count);
        let batch_rows = rows.rows / self.heads.batches;
        &rows.row(batch * batch_rows + row)[head * self.heads.dim..][..self.heads.dim]
    }

    /// A block of queries as a panel: input after input (bf16: pair after pair), the block's queries
    /// side by side.
    fn queries<T: Element, C: Element>(
        &self,
        q: Rows<'_, T>,
        pair: usize,
        first: usize,
    ) -> Aligned<C> {
        let group = group_of::<C>();
        let mut out = Aligned::zeros(self.width * self.depth);
        let panel = out.as_mut_slice();
        for lane in 0..self.width.min(self.queries - first) {
            for (d, from) in self.part(q, pair, first + lane).iter().enumerate() {
                panel[(d / group * self.width + lane) * group + d % group] = cast(*from);
            }
        }
        out
    }

    fn copy_keys<T: Element, C: Element>(&self, k: Rows<'_, T>, copy: &mut Aligned<C>) {
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
    fn copy_values<T: Element, C: Element>(&self, v: Rows<'_, T>, copy: &mut Aligned<C>) {
        let pairs = self.heads.batches * self.heads.count;
        let blocks = self.keys.div_ceil(KEYS);
        let tasks = room(copy, pairs * self.values_len()).par_chunks_exact_mut(KEYS * self.rows);
        tasks.enumerate().for_each(|(index, block)| {
            let (pair, first) = (index / blocks, index % blocks * KEYS);
            let count = KEYS.min(self.keys - first);
            if count < KEYS || self.rows > self.heads.dim {
                block.fill(C::default());
            }
            for key in 0..count {
                let from = self.part(v, pair, first + key);
                for (row, from) in block.chunks_exact_mut(KEYS).zip(from) {
                    row[key] = cast(*from);
                }
            }
        });
    }

    /// Stores a block's result.
    fn store<O: Element>(&self, work: &Work, target: Target<'_, O>, pair: usize, first: usize) {
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

/// `len` values of a buffer that grows as needed, with whatever is in it.
fn room<C: Element>(buffer: &mut Aligned<C>, len: usize) -> &mut [C] {
    if buffer.as_slice().len() < len {
        *buffer = Aligned::zeros(len);
    }
    &mut buffer.as_mut_slice()[..len]
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

/// What a thread keeps from block to block.
#[derive(Default)]
struct Work {
    /// (KEYS, width): scores, then in place the softmax's weights, which in bf16 fill half of it.
    scores: Aligned<f32>,
    /// (rows, width): weighted sums of values.
    result: Aligned<f32>,
    /// Where the rows of the left side of a product lie.
    table: Vec<*const u8>,
}

/// A block of queries of one head, and all its keys and values.
struct Block<'a, C> {
    plan: &'a Plan,
    /// The block's first query.
    first: usize,
    /// A panel of `width` columns, `depth` inputs.
    query: &'a [C],
    keys: KeyRows,
    /// (blocks of keys, rows, KEYS).
    values: &'a [C],
    work: &'a mut Work,
}

impl<C: TileElement> Kernel for Block<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match S::TILE_ROWS {
            12 => self.stream::<S, 8>(s),
            6 => self.stream::<S, 4>(s),
            _ => self.stream::<S, 2>(s),
        }
    }
}

impl<C: TileElement> Block<'_, C> {
    /// `MR` rows fit a tile of three registers' width.
    #[inline(always)]
    fn stream<S: Simd, const MR: usize>(self, s: S) {
        let plan = self.plan;
        let width = REGISTERS * S::LANES;
        let Work {
            scores,
            result,
            table,
        } = self.work;
        let scores = room(scores, KEYS * width);
        let result = room(result, plan.rows * width);
        let factor = plan.heads.scale * std::f32::consts::LOG2_E;
        let mut softmax = Softmax::<S> {
            maxima: [s.splat(f32::NEG_INFINITY); REGISTERS],
            sums: [s.splat(0.0); REGISTERS],
        };
        // A causal query sees no key after its own place.
        let seen = if plan.heads.causal {
            (self.first + width).min(plan.keys)
        } else {
            plan.keys
        };
        for start in (0..seen).step_by(KEYS) {
            let count = (seen - start).min(KEYS);
            let padded = count.next_multiple_of(ROWS);
            // Rows beyond the last key repeat it; their scores are overwritten.
            table.clear();
            table.extend((0..padded).map(|i| self.keys.at(start + i.min(count - 1))));
            let span = Span {
                rows: &table[..],
                taps: 1,
                offset: 0,
                len: plan.depth,
                panel: self.query,
            };
            // SAFETY: each key has `depth` values, the panel as many inputs.
            unsafe { multiply::<S, C, MR>(s, &span, scores, true) };
            scores[count * width..padded * width].fill(f32::NEG_INFINITY);
            if plan.heads.causal {
                for (key, line) in (start..start + count).zip(scores.chunks_exact_mut(width)) {
                    line[..key.saturating_sub(self.first).min(width)].fill(f32::NEG_INFINITY);
                }
            }
            let shrink = softmax.weigh::<C>(s, &mut scores[..padded * width], factor);
            if let (Some(shrink), true) = (shrink, start > 0) {
                scale(s, result, shrink);
            }
            let block = &self.values[start * plan.rows..][..KEYS * plan.rows];
            table.clear();
            table.extend(
                block
                    .chunks_exact(KEYS)
                    .map(|row| row.as_ptr().cast::<u8>()),
            );
            let span = Span {
                rows: &table[..],
                taps: 1,
                offset: 0,
                len: padded,
                panel: as_panel::<C>(&scores[..padded * width]),
            };
            // SAFETY: each row of values has KEYS of them, `padded` or more, as the panel has inputs.
            unsafe { multiply::<S, C, MR>(s, &span, result, start == 0) };
        }
        let mut shares = softmax.sums;
        for share in &mut shares {
            *share = s.div(s.splat(1.0), *share);
        }
        scale(s, result, shares);
    }
}

/// Weights that lie over their scores, as the products' elements.
fn as_panel<C: Element>(scores: &[f32]) -> &[C] {
    // SAFETY: C is f32 or bf16: no greater than f32 in size or alignment, and any bits are a value.
    unsafe { std::slice::from_raw_parts(scores.as_ptr().cast(), scores.len()) }
}

/// Multiplies the rows of `span`, whole tiles, with its panel of three registers' width; sets
/// (`fresh`) or adds to `out` (rows, width).
///
/// # Safety
/// As [`TileElement::accumulate`] for each row.
#[inline(always)]
unsafe fn multiply<S: Simd, C: TileElement, const MR: usize>(
    s: S,
    span: &Span<'_, C>,
    out: &mut [f32],
    fresh: bool,
) {
    let width = REGISTERS * S::LANES;
    assert!(span.rows.len().is_multiple_of(MR), "whole tiles");
    assert!(out.len() >= span.rows.len() * width, "room for the block");
    for (rows, out) in span
        .rows
        .chunks_exact(MR)
        .zip(out.chunks_exact_mut(MR * width))
    {
        let tile = Span { rows, ..*span };
        let mut acc = [[s.splat(0.0); REGISTERS]; MR];
        let start = out.as_mut_ptr();
        // SAFETY: `out` has MR rows of three registers; the products are the caller's promise.
        unsafe {
            if !fresh {
                for (i, row) in acc.iter_mut().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v = s.load(start.add(i * width + j * S::LANES));
                    }
                }
            }
            C::accumulate(s, &tile, MR, &mut acc);
            for (i, row) in acc.iter().enumerate() {
                for (j, &v) in row.iter().enumerate() {
                    s.store(start.add(i * width + j * S::LANES), v);
                }
            }
        }
    }
}

/// The running softmax of a block's queries, one a lane.
struct Softmax<S: Simd> {
    /// The greatest score so far, times scale and log2 e.
    maxima: [S::V; REGISTERS],
    /// Sums of weights.
    sums: [S::V; REGISTERS],
}

impl<S: Simd> Softmax<S> {
    /// Turns scores (keys, width) into weights `2^(factor * score - maximum)`, stored over them as a
    /// panel of `C`s, and brings maxima and sums up to date. Returns what earlier results shrink by,
    /// where any maximum has grown.
    #[inline(always)]
    fn weigh<C: Element>(
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

/// Multiplies each row of three registers with `factors`.
#[inline(always)]
fn scale<S: Simd>(s: S, values: &mut [f32], factors: [S::V; REGISTERS]) {
    for row in values.chunks_exact_mut(REGISTERS * S::LANES) {
        for (j, &factor) in factors.iter().enumerate() {
            // SAFETY: the row is three registers long.
            unsafe {
                let at = row.as_mut_ptr().add(j * S::LANES);
                s.store(at, s.mul(s.load(at), factor));
            }
        }
    }
}
