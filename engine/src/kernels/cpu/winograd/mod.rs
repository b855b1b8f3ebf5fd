//! 3x3 convolutions with a quarter of the products: Winograd's minimal filtering F(4x4, 3x3)
//! (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
//!
//! A tile of 4x4 results needs 6x6 inputs. Both the inputs and the window become values at 6x6
//! places, `B^T d B` and `G g G^T`; their products, summed over the channels, are one small matrix
//! product per place, and `A^T m A` of the sums are the results: 36 products for what takes 144.
//!
//! The transforms evaluate polynomials at 0, +-sqrt(1/2), +-sqrt(2) and infinity. With these points
//! the error is 1.8 times that of the plain sum in f32; with the usual 0, +-1, +-2 it is 4.6 times.
//! Everything between the stored input and the stored result is f32, whatever the precision: in bf16
//! a place's value would lose what makes the method exact.
//!
//! # Order of work
//! The transformed window is four times the window's size, so it is never stored as a whole: a task
//! makes it for one panel of outputs and some channels, uses it for all its tiles, and goes on. The
//! transformed input is made once for as many tiles as fit [`INPUT_BYTES`].
//! None of this changes a bit: each sum runs over the channels in order.

mod transforms;

use std::ops::Range;

use rayon::prelude::*;

use self::transforms::{Collect, Spread, WindowPlaces};
use super::conv::{Pictures, Window};
use super::epilogue::{Epilogue, Finish};
use super::pack::PackedMatrix;
use super::places::{Kept, Scratch, Sizes};
use super::shared::{Rows, RowsMut, Target, even_part};
use super::simd::{Element, Precision};
use super::tile::{AddToTiles, Span};

/// Results along a side of a tile.
pub(super) const TILE: usize = 4;
/// Inputs along a side of a tile, and places that they become.
const SIDE: usize = TILE + 2;
const PLACES: usize = SIDE * SIDE;
/// Channels whose transformed windows a task holds at a time.
const BLOCK: usize = 64;
/// Tiles that a task computes at most: their sums stay in the second-level cache.
const TASK_TILES: usize = 96;
/// Tiles of which a task transforms the input.
const INPUT_TASK_TILES: usize = 8;
/// Transformed inputs in memory at a time, about.
const INPUT_BYTES: usize = 12 << 20;
/// Tiles beside each other whose results are finished together.
const RUN: usize = 8;
/// Fewest channels and outputs for which the transforms pay.
const LEAST_CHANNELS: usize = 32;
/// Fewest tiles of a picture for which the transform of the window pays; and where the plain way would take
/// products of bf16 pairs, which are twice as fast. Measured on pictures by twos.
const LEAST_TILES: usize = 4;
const LEAST_TILES_BESIDE_PAIRS: usize = 16;

/// Whether the method serves for a window and a weight over pictures of a shape, and pays. It asks for
/// nothing that may differ between runs or batches, since the method changes the last bits.
pub(super) fn serves(b: &PackedMatrix, window: Window, shape: Pictures) -> bool {
    let Pictures { height, width, .. } = window.output(shape);
    let least_tiles = match b.tiles() {
        Precision::F32 => LEAST_TILES,
        Precision::Bf16 => LEAST_TILES_BESIDE_PAIRS,
    };
    window.kernel == (3, 3)
        && window.stride == 1
        && !b.paired
        && b.run >= LEAST_CHANNELS
        && b.n >= LEAST_CHANNELS
        && height.min(width) >= TILE
        && height.div_ceil(TILE) * width.div_ceil(TILE) >= least_tiles
}

/// A convolution to be computed.
pub(super) struct Winograd<'a, A, O> {
    pub(super) input: Rows<'a, A>,
    pub(super) shape: Pictures,
    pub(super) window: Window,
    pub(super) b: &'a PackedMatrix,
    pub(super) epilogue: &'a Epilogue<'a, O>,
}

impl<A: Element, O: Element> Winograd<'_, A, O> {
    /// Computes the result into `out`.
    ///
    /// # Panics
    /// If the shapes do not fit one another or the window is none of 3x3 that moves by one.
    pub(super) fn compute(&self, out: &mut RowsMut<'_, O>) {
        let b = self.b;
        let output = self.window.output(self.shape);
        assert_eq!(
            (self.window.kernel, self.window.stride, b.taps, b.paired),
            ((3, 3), 1, 9, false),
            "a window of 3x3 that moves by one"
        );
        assert_eq!(
            (self.input.rows, self.input.cols),
            (self.shape.pixels(), b.run),
            "the input's shape"
        );
        assert_eq!(
            (out.rows, out.cols),
            (output.pixels(), b.n),
            "the result's shape"
        );
        self.epilogue.check(b, out.rows);
        let grid = Grid {
            down: output.height.div_ceil(TILE),
            across: output.width.div_ceil(TILE),
            output,
        };
        let tiles = output.images * grid.down * grid.across;
        if tiles == 0 || b.run == 0 || b.n == 0 {
            return;
        }
        let blocks = b.run.div_ceil(BLOCK);
        let fitting = INPUT_BYTES / (blocks * BLOCK * PLACES * size_of::<f32>());
        let chunk = even_part(tiles, fitting.max(TASK_TILES / 2));
        let len = blocks * PLACES * (chunk + 1) * BLOCK;
        let outside = vec![A::default(); b.run];
        let target = out.target();
        KEPT.with(len, |places| {
            for first in (0..tiles).step_by(chunk) {
                let now = first..(first + chunk).min(tiles);
                let mut inputs = Inputs {
                    values: &mut *places,
                    // One more than there are, for places a power of two apart would share few sets
                    // of the cache.
                    step: chunk + 1,
                };
                self.spread_all(grid, now.clone(), &outside, &mut inputs);
                self.results(&inputs, grid, now, target);
            }
        });
    }

    /// The results of some tiles, from their transformed inputs.
    fn results(&self, inputs: &Inputs<'_>, grid: Grid, tiles: Range<usize>, target: Target<'_, O>) {
        let (b, first, count) = (self.b, tiles.start, tiles.len());
        let step = even_part(count, TASK_TILES).next_multiple_of(b.tile_rows);
        let parts = count.div_ceil(step);
        let sizes = Sizes {
            places: PLACES,
            rows: step,
            windows: PLACES * windows_step(b),
            results: RUN * TILE * TILE * b.width,
        };
        (0..parts * b.panels()).into_par_iter().for_each(|task| {
            let (part, panel) = (task / b.panels(), task % b.panels());
            let range = part * step..((part + 1) * step).min(count);
            Scratch::with(b, sizes, |scratch| {
                self.products(inputs, range.clone(), panel, scratch);
                // SAFETY: no other task has these tiles and this panel.
                unsafe { self.finish(grid, first, range, panel, target, scratch) };
            });
        });
    }

    /// Transforms the inputs of some tiles.
    fn spread_all(&self, grid: Grid, tiles: Range<usize>, outside: &[A], inputs: &mut Inputs<'_>) {
        let (step, first) = (inputs.step, tiles.start);
        let rows = inputs.values.len() / BLOCK;
        let mut matrix = RowsMut::new(&mut *inputs.values, rows, BLOCK);
        let target = matrix.target();
        let starts = tiles.clone().step_by(INPUT_TASK_TILES);
        starts
            .collect::<Vec<_>>()
            .into_par_iter()
            .for_each(|start| {
                for tile in start..(start + INPUT_TASK_TILES).min(tiles.end) {
                    self.b.isa.run(Spread {
                        pixels: &self.pixels(grid, tile, outside),
                        channels: self.b.run,
                        target,
                        first: tile - first,
                        step,
                    });
                }
            });
    }

    /// Where the 6x6 inputs of a tile lie; outside the picture, zeros.
    fn pixels(&self, grid: Grid, tile: usize, outside: &[A]) -> [*const A; PLACES] {
        let (image, down, across) = grid.place(tile);
        let [top, left, ..] = self.window.padding;
        let shift = usize::from(self.window.upsample);
        let Pictures { height, width, .. } = self.shape;
        std::array::from_fn(|place| {
            // Wraps below 0, which is then not below the height.
            let y = (down * TILE + place / SIDE).wrapping_sub(top);
            let x = (across * TILE + place % SIDE).wrapping_sub(left);
            if y < height << shift && x < width << shift {
                let pixel = (image * height + (y >> shift)) * width + (x >> shift);
                self.input.row(pixel).as_ptr()
            } else {
                outside.as_ptr()
            }
        })
    }

    /// The sums over all channels, at each place, of some tiles and one panel.
    fn products(
        &self,
        inputs: &Inputs<'_>,
        tiles: Range<usize>,
        panel: usize,
        scratch: &mut Scratch,
    ) {
        let b = self.b;
        inputs.fill_table(tiles.clone(), b.tile_rows, &mut scratch.table);
        let sums_step = scratch.sums_step;
        let windows_step = windows_step(b);
        for (block, first) in (0..b.run).step_by(BLOCK).enumerate() {
            let channels = BLOCK.min(b.run - first);
            b.isa.run(WindowPlaces {
                b,
                panel,
                first,
                channels,
                step: windows_step,
                out: scratch.windows.as_mut_slice(),
            });
            let windows = scratch.windows.as_slice();
            let sums = scratch
                .sums
                .as_mut_slice()
                .chunks_exact_mut(sums_step)
                .take(PLACES);
            for (place, sums) in sums.enumerate() {
                let add = AddToTiles::<f32> {
                    span: Span {
                        rows: &scratch.table,
                        ahead: &[],
                        taps: 1,
                        offset: inputs.row(block, place, 0) * BLOCK,
                        len: channels,
                        panel: &windows[place * windows_step..][..channels * b.width],
                    },
                    tile_step: b.tile_rows,
                    rows: tiles.len(),
                    sums,
                    fresh: block == 0,
                };
                // SAFETY: the table has the pointers of these tiles in the first block and place;
                // the offset leads to this block's and place's, whose rows are BLOCK long.
                unsafe { add.run(b.isa) };
            }
        }
    }

    /// Transforms the sums of some tiles and one panel into results and stores them.
    ///
    /// # Safety
    /// No other thread touches these tiles' results in this panel.
    unsafe fn finish(
        &self,
        grid: Grid,
        first: usize,
        tiles: Range<usize>,
        panel: usize,
        target: Target<'_, O>,
        scratch: &mut Scratch,
    ) {
        let (b, output) = (self.b, grid.output);
        let line = RUN * TILE * b.width;
        let mut tile = tiles.start;
        while tile < tiles.end {
            let (image, down, across) = grid.place(first + tile);
            let count = RUN.min(tiles.end - tile).min(grid.across - across);
            let (y, x) = (down * TILE, across * TILE);
            let pixels = (count * TILE).min(output.width - x);
            let lines = TILE.min(output.height - y);
            let row = |dy: usize| (image * output.height + y + dy) * output.width + x;
            for at in (0..lines).flat_map(|dy| row(dy)..row(dy) + pixels) {
                let column = panel * b.width;
                target.prefetch(at, column);
                self.epilogue.prefetch(at, column);
            }
            b.isa.run(Collect {
                sums: &scratch.sums.as_slice()[(tile - tiles.start) * b.width..],
                step: scratch.sums_step,
                tiles: count,
                line,
                out: scratch.results.as_mut_slice(),
            });
            for dy in 0..lines {
                b.isa.run(Finish {
                    epilogue: self.epilogue,
                    b,
                    target,
                    row: row(dy),
                    rows: pixels,
                    panel,
                    sums: &scratch.results.as_slice()[dy * line..][..pixels * b.width],
                });
            }
            tile += count;
        }
    }
}

/// The tiles of all pictures, line after line.
#[derive(Clone, Copy)]
struct Grid {
    down: usize,
    across: usize,
    output: Pictures,
}

impl Grid {
    /// The picture that a tile lies in, and its place there.
    fn place(self, tile: usize) -> (usize, usize, usize) {
        let (line, across) = (tile / self.across, tile % self.across);
        (line / self.down, line % self.down, across)
    }
}

/// Transformed inputs: for each block of channels, for each place, a row of [`BLOCK`] values per
/// tile.
struct Inputs<'a> {
    values: &'a mut [f32],
    /// Rows from a place to the next.
    step: usize,
}

impl Inputs<'_> {
    fn row(&self, block: usize, place: usize, tile: usize) -> usize {
        (block * PLACES + place) * self.step + tile
    }

    /// Pointers to the rows of some tiles in the first block and place. A last group's missing rows repeat the last
    /// one.
    fn fill_table(&self, tiles: Range<usize>, group: usize, table: &mut Vec<*const u8>) {
        let rows = 0..tiles.len().next_multiple_of(group);
        table.clear();
        table.extend(rows.map(|row| {
            let tile = (tiles.start + row).min(tiles.end - 1);
            self.values[tile * BLOCK..].as_ptr().cast::<u8>()
        }));
    }
}

/// Memory of transformed inputs.
static KEPT: Kept = Kept::new();

/// From a place's windows to the next one's; a cache line more than they take, see [`Inputs`].
fn windows_step(b: &PackedMatrix) -> usize {
    (BLOCK + 1) * b.width
}
