//! The register tile: `MR` rows times `NV` registers of sums, fed by row pointers and a panel.
//!
//! The tile reads its rows where they lie (one pointer per row and tap), so neither a matrix product
//! nor a convolution copies its input. Sums run over the inputs in order, for every tile height.

use half::bf16;

use super::isa::Isa;
use super::shared::prefetch_read;
use super::simd::{Element, Kernel, Precision, Simd};

/// Bytes of a tile's inputs up to which the next tile's are asked for: both and the panel stay in the
/// first-level cache. A longer run is foreseen by the processor itself.
const AHEAD_BYTES: usize = 8 << 10;
/// 32-bit words in a line of the cache.
const WORDS_OF_LINE: usize = 16;

/// A part of a product's inputs: runs of `len` inputs from `offset` on, for each of `taps` taps.
pub(super) struct Span<'a, T> {
    /// For each tap a tile's height of row pointers.
    pub(super) rows: &'a [*const u8],
    /// As many pointers of rows that will be read next, or the same ones: their cache lines are asked for
    /// meanwhile. [`AddToTiles`] sets them.
    pub(super) ahead: &'a [*const u8],
    pub(super) taps: usize,
    pub(super) offset: usize,
    pub(super) len: usize,
    /// The panel from this part's first input on.
    pub(super) panel: &'a [T],
}

impl<T> Span<'_, T> {
    /// The pointers of a tile's rows from `first` on, moved to the span's first input.
    ///
    /// # Safety
    /// The span has these pointers.
    #[inline(always)]
    unsafe fn row_pointers<const MR: usize>(
        &self,
        rows: &[*const u8],
        first: usize,
    ) -> [*const f32; MR] {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe {
            let row = rows.as_ptr().add(first + i).read();
            row.cast::<T>().wrapping_add(self.offset).cast()
        })
    }
}

/// Adds the products of a span to the sums of some rows of one panel.
pub(super) struct AddToTiles<'a, T> {
    /// The span of the first tile.
    pub(super) span: Span<'a, T>,
    /// From a tile's row pointers to the next tile's.
    pub(super) tile_step: usize,
    pub(super) rows: usize,
    /// Rows of a panel's width; whole tiles.
    pub(super) sums: &'a mut [f32],
    /// Whether the sums start at zero here.
    pub(super) fresh: bool,
}

impl<T: TileElement> AddToTiles<'_, T> {
    /// # Safety
    /// The pointers of all tiles and taps lead to `offset + len` readable values.
    pub(super) unsafe fn run(self, isa: Isa) {
        isa.run(Trusted(self));
    }
}

/// An [`AddToTiles`] whose caller has promised what [`AddToTiles::run`] asks.
struct Trusted<'a, T>(AddToTiles<'a, T>);

impl<T: TileElement> Kernel for Trusted<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match S::TILE_ROWS {
            12 => self.add::<S, 12, 8, 4>(s),
            6 => self.add::<S, 6, 4, 2>(s),
            _ => self.add::<S, 4, 2, 1>(s),
        }
    }
}

impl<T: TileElement> Trusted<'_, T> {
    /// `ROWS` is the tile's height; what is left at the end takes the lower ones.
    #[inline(always)]
    fn add<S: Simd, const ROWS: usize, const MID: usize, const LOW: usize>(self, s: S) {
        let AddToTiles {
            span,
            tile_step,
            rows,
            sums,
            fresh,
        } = self.0;
        let tiles = rows.div_ceil(ROWS);
        let small = span.taps * span.len * ROWS * size_of::<T>() <= AHEAD_BYTES;
        assert!(
            span.panel.len() >= span.taps * span.len * 2 * S::LANES,
            "a part of a panel"
        );
        assert!(T::PRECISION == Precision::F32 || (span.offset | span.len).is_multiple_of(2));
        for (tile, sums) in sums
            .chunks_exact_mut(2 * ROWS * S::LANES)
            .take(tiles)
            .enumerate()
        {
            let table = &span.rows[tile * tile_step..][..span.taps * ROWS];
            let ahead = match small {
                true => span.rows.get((tile + 1) * tile_step..).unwrap_or_default(),
                false => table,
            };
            let now = Span {
                rows: table,
                ahead: ahead.get(..span.taps * ROWS).unwrap_or(table),
                ..span
            };
            let height = rows - tile * ROWS;
            // SAFETY: the table has ROWS pointers for each tap, good by the caller's promise; the
            // panel's length was checked above.
            unsafe {
                if height <= LOW {
                    add_to_tile::<S, T, LOW>(s, &now, ROWS, sums, fresh);
                } else if height <= MID {
                    add_to_tile::<S, T, MID>(s, &now, ROWS, sums, fresh);
                } else {
                    add_to_tile::<S, T, ROWS>(s, &now, ROWS, sums, fresh);
                }
            }
        }
    }
}

/// Adds a span's products to a tile's sums.
///
/// # Safety
/// As [`TileElement::accumulate`].
#[inline(always)]
unsafe fn add_to_tile<S: Simd, T: TileElement, const MR: usize>(
    s: S,
    span: &Span<'_, T>,
    step: usize,
    sums: &mut [f32],
    fresh: bool,
) {
    assert!(sums.len() >= 2 * MR * S::LANES, "sums of a tile");
    let mut acc = [[s.splat(0.0); 2]; MR];
    if !fresh {
        for (i, row) in acc.iter_mut().enumerate() {
            for (j, v) in row.iter_mut().enumerate() {
                // SAFETY: `sums` holds MR * 2 * LANES values.
                *v = unsafe { s.load(sums.as_ptr().add((2 * i + j) * S::LANES)) };
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { T::accumulate(s, span, step, &mut acc) };
    for (i, row) in acc.iter().enumerate() {
        for (j, &v) in row.iter().enumerate() {
            // SAFETY: `sums` holds MR * 2 * LANES values.
            unsafe { s.store(sums.as_mut_ptr().add((2 * i + j) * S::LANES), v) };
        }
    }
}

/// An element type that tiles can multiply.
pub(super) trait TileElement: Element {
    /// Adds a span's products to `acc`.
    ///
    /// # Safety
    /// The span has two groups of pointers for each tap, `step` apart; of `rows` the first `MR` of each group
    /// point to `offset + len` readable values; the panel holds `taps * len` inputs of `NV * LANES` columns; for bf16 `offset` and
    /// `len` are even.
    unsafe fn accumulate<S: Simd, const MR: usize, const NV: usize>(
        s: S,
        span: &Span<'_, Self>,
        step: usize,
        acc: &mut [[S::V; NV]; MR],
    );
}

impl TileElement for f32 {
    #[inline(always)]
    unsafe fn accumulate<S: Simd, const MR: usize, const NV: usize>(
        s: S,
        span: &Span<'_, Self>,
        step: usize,
        acc: &mut [[S::V; NV]; MR],
    ) {
        // A copy that never leaves the registers, unlike the caller's.
        let mut sums = *acc;
        let mut panel = span.panel.as_ptr();
        for tap in 0..span.taps {
            // SAFETY: the group has MR pointers, each to `offset + len` values; the panel has
            // NV * LANES values for each input that is visited.
            unsafe {
                let rows = span.row_pointers::<MR>(span.rows, tap * step);
                let next = span.row_pointers::<MR>(span.ahead, tap * step);
                for k in 0..span.len {
                    if k % WORDS_OF_LINE == 0 {
                        for row in &next {
                            prefetch_read(row.wrapping_add(k));
                        }
                    }
                    let b: [S::V; NV] = std::array::from_fn(|j| s.load(panel.add(j * S::LANES)));
                    for i in 0..MR {
                        let a = s.splat(*rows[i].add(k));
                        for j in 0..NV {
                            sums[i][j] = s.mul_add(a, b[j], sums[i][j]);
                        }
                    }
                    panel = panel.add(NV * S::LANES);
                }
            }
        }
        *acc = sums;
    }
}

impl TileElement for bf16 {
    #[inline(always)]
    unsafe fn accumulate<S: Simd, const MR: usize, const NV: usize>(
        s: S,
        span: &Span<'_, Self>,
        step: usize,
        acc: &mut [[S::V; NV]; MR],
    ) {
        assert!(S::DOT_BF16, "bf16 tiles are for bf16 dot products");
        let mut sums = *acc;
        let mut panel: *const f32 = span.panel.as_ptr().cast();
        for tap in 0..span.taps {
            // SAFETY: the group has MR pointers, each to `offset + len` values, an even number, so
            // pairs are whole; the panel has NV * LANES pairs for each pair that is visited.
            unsafe {
                let rows = span.row_pointers::<MR>(span.rows, tap * step);
                let next = span.row_pointers::<MR>(span.ahead, tap * step);
                for k in 0..span.len / 2 {
                    if k % WORDS_OF_LINE == 0 {
                        for row in &next {
                            prefetch_read(row.wrapping_add(k));
                        }
                    }
                    let b: [S::V; NV] = std::array::from_fn(|j| s.load(panel.add(j * S::LANES)));
                    for i in 0..MR {
                        let a = s.splat(rows[i].add(k).read_unaligned());
                        for j in 0..NV {
                            sums[i][j] = s.dot_pair(sums[i][j], a, b[j]);
                        }
                    }
                    panel = panel.add(NV * S::LANES);
                }
            }
        }
        *acc = sums;
    }
}
