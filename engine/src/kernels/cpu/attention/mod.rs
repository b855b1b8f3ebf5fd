//! Attention that streams over the keys and never stores the scores (Dao et al., "FlashAttention",
//! 2022; the running softmax is Milakov and Gimelshein's, 2018).
//!
//! A task takes a block of queries of one head through all keys, a block of keys at a time. It works
//! on the transposed problem: keys are the rows of the score tile and queries its lanes, values'
//! columns are the rows of the result and queries again its lanes. So keys are read where they lie,
//! maxima and sums of the softmax are plain lanes, no lane is wasted whatever a head's dimension, and
//! only values need a transposed copy.

mod plan;
mod softmax;

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use half::bf16;
use rayon::prelude::*;

use super::aligned::Aligned;
use super::isa::Isa;
use super::shared::{Rows, RowsMut};
use super::simd::{Element, Kernel, Precision, Simd};
use super::tile::{Span, TileElement};
use plan::Plan;
use softmax::Softmax;

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
    if T::PRECISION == Precision::Bf16 && isa.has_bf16_dot() {
        with_copies(&COPIES_BF16, |copies| {
            stream::<T, bf16, O>(isa, [q, k, v], heads, copies, out);
        });
    } else {
        with_copies(&COPIES_F32, |copies| {
            stream::<T, f32, O>(isa, [q, k, v], heads, copies, out);
        });
    }
}

/// Copies of keys and values, kept from one attention to the next.
static COPIES_F32: Mutex<Option<Copies<f32>>> = Mutex::new(None);
static COPIES_BF16: Mutex<Option<Copies<bf16>>> = Mutex::new(None);

/// Lends what is kept. It is taken out rather than locked: while an attention waits for its parts, its
/// thread may be given another one, which then begins anew.
fn with_copies<C: Element>(kept: &Mutex<Option<Copies<C>>>, work: impl FnOnce(&mut Copies<C>)) {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut copies = lock().take().unwrap_or_default();
    work(&mut copies);
    *lock() = Some(copies);
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Kept copies take at most this much.
const KEPT_BYTES: usize = 32 << 20;

/// Keys and values in the element type and order of the products.
#[derive(Default)]
struct Copies<C: Element> {
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

/// `len` values of a buffer that grows as needed, with whatever is in it.
fn room<C: Element>(buffer: &mut Aligned<C>, len: usize) -> &mut [C] {
    if buffer.as_slice().len() < len {
        *buffer = Aligned::zeros(len);
    }
    &mut buffer.as_mut_slice()[..len]
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
                ahead: &[],
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
                ahead: &[],
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
        let tile = Span {
            rows,
            ahead: rows,
            ..*span
        };
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
