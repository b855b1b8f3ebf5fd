//! The loops around the register tile, shared by matrix product and convolution.
//!
//! The result is cut into tasks of some rows by some panels, which threads take as they come. Within
//! a task a part of a panel that fits the cache next to the task's input rows is multiplied with
//! all of them before the next part is touched.

use std::cell::RefCell;

use rayon::prelude::*;

use super::aligned::Aligned;
use super::elementwise::Convert;
use super::epilogue::{Epilogue, Finish};
use super::isa::Isa;
use super::pack::{BLOCK, PackedMatrix, PanelData, Widen};
use super::shared::{Rows, RowsMut, Target};
use super::simd::Element;
use super::tile::{AddToTiles, Span, TileElement};

/// Bytes of a panel that are used again and again before the next are read: with the rows of a
/// task they stay in the second-level cache.
const PANEL_PART_BYTES: usize = 192 * 1024;
/// Bytes of input that a task's rows span, about.
const TASK_INPUT_BYTES: usize = 160 * 1024;
/// Tiles that are summed before they are finished and stored, if one pass sums them: few enough
/// that their sums stay in the first-level cache.
const TILES_AT_ONCE: usize = 6;

/// Where the input values of each row of the result lie.
pub(super) trait RowSource: Sync {
    /// Stores for each tap the pointer to the row's run of inputs at `out[tap * step]`.
    fn pointers(&self, row: usize, out: &mut [*const u8], step: usize);
}

/// A product to be computed: `rows` rows from `source` times `b`.
pub(super) struct Product<'a, T, O, R> {
    pub(super) source: R,
    pub(super) rows: usize,
    pub(super) b: &'a PackedMatrix,
    pub(super) panels: PanelsOf<'a, T>,
    pub(super) epilogue: &'a Epilogue<'a, O>,
}

/// The panels of a product.
#[derive(Clone, Copy)]
pub(super) enum PanelsOf<'a, T> {
    /// To be read as they are.
    Ready(&'a [T]),
    /// To be widened part by part.
    Packed,
}

impl<'a, T: TileElement> PanelsOf<'a, T> {
    /// A weight's panels.
    ///
    /// # Panics
    /// If tiles of `T` are not for this weight.
    pub(super) fn new(b: &'a PackedMatrix) -> Self {
        assert_eq!(
            b.tiles(),
            T::PRECISION,
            "tiles of another precision than the weight's"
        );
        let ready = match &b.data {
            PanelData::F32(panels) => same_type(panels.as_slice()),
            PanelData::Pairs(panels) => same_type(panels.as_slice()),
            PanelData::Narrow(_) | PanelData::Int8 { .. } => None,
        };
        ready.map_or(Self::Packed, Self::Ready)
    }

    /// A part of a panel; widened into `wide` where it is not ready.
    fn part<'b>(
        &self,
        b: &PackedMatrix,
        panel: usize,
        part: Part,
        wide: &'b mut Aligned<T>,
    ) -> &'b [T]
    where
        'a: 'b,
    {
        let len = part.taps * part.inputs * b.width;
        match *self {
            Self::Ready(panels) => &panels[panel * b.panel_len() + part.start(b)..][..len],
            Self::Packed => {
                if wide.as_slice().len() < len {
                    *wide = Aligned::zeros(len);
                }
                let out = &mut wide.as_mut_slice()[..len];
                b.isa.run(Widen {
                    b,
                    panel,
                    tap: part.tap,
                    input: part.input,
                    inputs: part.inputs,
                    out,
                });
                &wide.as_slice()[..len]
            }
        }
    }
}

impl<T: TileElement, O: Element, R: RowSource> Product<'_, T, O, R> {
    /// Computes the product into `out`.
    ///
    /// # Safety
    /// For each row below `rows` the source's pointers lead to `b.run_packed` readable values, which
    /// stay so and unchanged during the call.
    pub(super) unsafe fn compute(&self, out: &mut RowsMut<'_, O>) {
        let (b, rows) = (self.b, self.rows);
        assert_eq!(
            (out.rows, out.cols),
            (rows, b.outputs()),
            "the result's shape"
        );
        self.epilogue.check(b, out.rows);
        if rows == 0 || b.panels() == 0 {
            return;
        }
        let widens = matches!(self.panels, PanelsOf::Packed);
        let split = Split::new(rows, b, size_of::<T>(), widens);
        let target = out.target();
        (0..split.tasks()).into_par_iter().for_each(|task| {
            let (rows, panels) = split.task(task);
            let mut scratch = SCRATCH.take();
            // SAFETY: the caller's promise about the rows; no other task has these rows and panels.
            unsafe { self.task(target, rows, panels, &mut scratch) };
            SCRATCH.set(scratch);
        });
    }

    /// Computes the rows `first..end` of some panels.
    ///
    /// # Safety
    /// As [`Self::compute`], and no other thread touches this part of the target.
    unsafe fn task(
        &self,
        target: Target<'_, O>,
        (first, end): (usize, usize),
        panels: (usize, usize),
        scratch: &mut Scratch,
    ) {
        let b = self.b;
        let tiles = (end - first).div_ceil(b.tile_rows);
        self.fill_table((first, end), &mut scratch.table);
        let tile_sums = b.tile_rows * b.width;
        if scratch.sums.as_slice().len() < tiles * tile_sums {
            scratch.sums = Aligned::zeros(tiles * tile_sums);
        }
        let sums = scratch.sums.as_mut_slice();
        let mut wide = Aligned::zeros(0);
        let parts = Part::all::<T>(b);
        let ready = matches!(self.panels, PanelsOf::Ready(_));
        let at_once = if ready && parts.len() == 1 {
            TILES_AT_ONCE
        } else {
            tiles
        };
        for panel in panels.0..panels.1 {
            for from in (0..tiles).step_by(at_once) {
                let row = first + from * b.tile_rows;
                let rows = (end - row).min(at_once * b.tile_rows);
                let column = panel * b.panel_outputs();
                for at in row..row + rows {
                    target.prefetch(at, column);
                    self.epilogue.prefetch(at, column);
                }
                for (index, part) in parts.iter().enumerate() {
                    let panel = self.panels.part(b, panel, *part, &mut wide);
                    let add = AddToTiles {
                        span: Span {
                            rows: &scratch.table[(from * b.taps + part.tap) * b.tile_rows..],
                            ahead: &[],
                            taps: part.taps,
                            offset: part.input,
                            len: part.inputs,
                            panel,
                        },
                        tile_step: b.taps * b.tile_rows,
                        rows,
                        sums: &mut *sums,
                        fresh: index == 0,
                    };
                    // SAFETY: the table has the rows' pointers, tile after tile, each to a readable
                    // run; the part's inputs lie within run and panel.
                    unsafe { add.run(b.isa) };
                }
                let epilogue = self.epilogue;
                b.isa.run(Finish {
                    epilogue,
                    b,
                    target,
                    row,
                    rows,
                    panel,
                    sums: &*sums,
                });
            }
        }
    }

    /// Pointers of all rows, tile after tile, tap after tap; a last tile's missing rows repeat the
    /// last row.
    fn fill_table(&self, (first, end): (usize, usize), table: &mut Vec<*const u8>) {
        let (taps, height) = (self.b.taps, self.b.tile_rows);
        let places = (end - first).next_multiple_of(height);
        table.clear();
        table.resize(places * taps, std::ptr::null());
        for place in 0..places {
            let start = place / height * height * taps + place % height;
            self.source
                .pointers((first + place).min(end - 1), &mut table[start..], height);
        }
    }
}

/// How a result is cut into tasks.
struct Split {
    rows: usize,
    panels: usize,
    rows_step: usize,
    panels_step: usize,
}

impl Split {
    /// `widens`: each task widens its panels, so that a longer one is worth more of the cache.
    fn new(rows: usize, b: &PackedMatrix, value_bytes: usize, widens: bool) -> Self {
        let longer = if widens { 2 } else { 1 };
        let fitting = longer * TASK_INPUT_BYTES / (b.run_packed * value_bytes).max(1);
        let rows_step = fitting
            .clamp(longer * 48, 384)
            .next_multiple_of(b.tile_rows);
        let row_tasks = rows.div_ceil(rows_step);
        let wanted = (rayon::current_num_threads() * 6).div_ceil(row_tasks);
        let panels = b.panels();
        Self {
            rows,
            panels,
            rows_step,
            panels_step: panels.div_ceil(wanted.min(panels)),
        }
    }

    fn panel_tasks(&self) -> usize {
        self.panels.div_ceil(self.panels_step)
    }

    fn tasks(&self) -> usize {
        self.rows.div_ceil(self.rows_step) * self.panel_tasks()
    }

    /// The rows and panels of a task, from the first to below the last.
    fn task(&self, index: usize) -> ((usize, usize), (usize, usize)) {
        let row = index / self.panel_tasks() * self.rows_step;
        let panel = index % self.panel_tasks() * self.panels_step;
        (
            (row, (row + self.rows_step).min(self.rows)),
            (panel, (panel + self.panels_step).min(self.panels)),
        )
    }
}

/// Memory that a thread keeps from task to task.
#[derive(Default)]
struct Scratch {
    /// Row pointers.
    table: Vec<*const u8>,
    /// Sums of tiles.
    sums: Aligned<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A part of the inputs: whole taps, or a piece of the only one.
#[derive(Clone, Copy)]
struct Part {
    tap: usize,
    taps: usize,
    input: usize,
    inputs: usize,
}

impl Part {
    /// All inputs in order, in parts of about [`PANEL_PART_BYTES`].
    fn all<T>(b: &PackedMatrix) -> Vec<Self> {
        let fitting = (PANEL_PART_BYTES / (b.width * size_of::<T>())).max(2);
        if b.taps == 1 {
            let parts = b.run_packed.div_ceil(fitting).max(1);
            // Whole pairs of bf16 and whole blocks of integers.
            let step = b.run_packed.div_ceil(parts).next_multiple_of(BLOCK);
            let starts = (0..b.run_packed.max(1)).step_by(step.max(1));
            let inputs = |input| step.min(b.run_packed - input);
            starts
                .map(|input| Self {
                    tap: 0,
                    taps: 1,
                    input,
                    inputs: inputs(input),
                })
                .collect()
        } else {
            let step = (fitting / b.run_packed.max(1)).max(1);
            let part = |tap| Self {
                tap,
                taps: step.min(b.taps - tap),
                input: 0,
                inputs: b.run_packed,
            };
            (0..b.taps).step_by(step).map(part).collect()
        }
    }

    /// Where the part begins in a panel.
    fn start(self, b: &PackedMatrix) -> usize {
        (self.tap * b.run_packed + self.input) * b.width
    }
}

/// `rows` as `T` with rows padded by zeros to `cols` values, copied into `buffer`; in parallel.
pub(super) fn converted<A: Element, T: Element>(
    isa: Isa,
    rows: Rows<'_, A>,
    cols: usize,
    buffer: &mut [T],
) {
    buffer
        .par_chunks_mut(cols.max(1))
        .take(rows.rows)
        .enumerate()
        .for_each(|(r, to)| {
            isa.run(Convert {
                from: rows.row(r),
                to,
            });
        });
}

/// Views values as another element type, if it is the same one.
pub(super) fn same_type<A: Element, T: Element>(data: &[A]) -> Option<&[T]> {
    // SAFETY: each precision belongs to one type, so equal precisions mean that A is T.
    (A::PRECISION == T::PRECISION)
        .then(|| unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<T>(), data.len()) })
}
