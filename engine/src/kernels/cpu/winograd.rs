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

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::aligned::Aligned;
use super::conv::{Pictures, Window};
use super::epilogue::{Epilogue, Finish, load_some};
use super::pack::{PackedMatrix, PanelData};
use super::shared::{Rows, RowsMut, Target};
use super::simd::{Element, Kernel, Simd};
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

/// The squares of the points: `NEAR` of +-sqrt(1/2), `FAR` of +-sqrt(2).
const NEAR: f32 = 0.5;
const FAR: f32 = 2.0;
const ROOT_NEAR: f32 = std::f32::consts::FRAC_1_SQRT_2;
const ROOT_FAR: f32 = std::f32::consts::SQRT_2;

/// Whether the method serves for a window and a weight over pictures of a shape, and pays. It asks for
/// nothing that may differ between runs or batches, since the method changes the last bits.
pub(super) fn serves(b: &PackedMatrix, window: Window, shape: Pictures) -> bool {
    let Pictures { height, width, .. } = window.output(shape);
    window.kernel == (3, 3)
        && window.stride == 1
        && !b.paired
        && b.run >= LEAST_CHANNELS
        && b.n >= LEAST_CHANNELS
        && height.min(width) >= TILE
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
        let mut places = std::mem::take(&mut *locked(&PLACES_KEPT));
        if places.as_slice().len() < len {
            places = Aligned::zeros(len);
        }
        let outside = vec![A::default(); b.run];
        let target = out.target();
        for first in (0..tiles).step_by(chunk) {
            let count = chunk.min(tiles - first);
            let mut inputs = Inputs {
                values: &mut places.as_mut_slice()[..len],
                // One more than there are, for places a power of two apart would share few sets
                // of the cache.
                step: chunk + 1,
            };
            self.spread_all(grid, first..first + count, &outside, &mut inputs);
            let step = even_part(count, TASK_TILES).next_multiple_of(b.tile_rows);
            let parts = count.div_ceil(step);
            (0..parts * b.panels()).into_par_iter().for_each(|task| {
                let (part, panel) = (task / b.panels(), task % b.panels());
                let range = part * step..((part + 1) * step).min(count);
                let mut scratch = SCRATCH.take();
                scratch.reserve(b, step);
                self.products(&inputs, range.clone(), panel, &mut scratch);
                // SAFETY: no other task has these tiles and this panel.
                unsafe { self.finish(grid, first, range, panel, target, &mut scratch) };
                SCRATCH.set(scratch);
            });
        }
        *locked(&PLACES_KEPT) = places;
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
        scratch.fill_table(inputs, tiles.clone(), b.tile_rows);
        let sums_step = scratch.sums_step;
        let windows_step = Scratch::windows_step(b);
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

/// The largest equal parts of `count`, none above `limit`.
fn even_part(count: usize, limit: usize) -> usize {
    count.div_ceil(count.div_ceil(limit.max(1)).max(1)).max(1)
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
}

/// Memory that a thread keeps from task to task.
#[derive(Default)]
struct Scratch {
    /// Pointers to the tiles' rows in the first block and place.
    table: Vec<*const u8>,
    /// For each place the window of each channel of a block, a panel wide.
    windows: Aligned<f32>,
    /// For each place the sums of each tile, a panel wide.
    sums: Aligned<f32>,
    /// From a place's sums to the next one's.
    sums_step: usize,
    /// Results of a run of tiles: four lines.
    results: Aligned<f32>,
}

/// Memory of transformed inputs, kept from one convolution to the next: fresh pages cost a twentieth
/// of the time.
static PLACES_KEPT: Mutex<Aligned<f32>> = Mutex::new(Aligned::EMPTY);

/// What a panic elsewhere left is good: any numbers are.
fn locked(kept: &Mutex<Aligned<f32>>) -> MutexGuard<'_, Aligned<f32>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// From a place's windows to the next one's; a cache line more than they take, see [`Inputs`].
    fn windows_step(b: &PackedMatrix) -> usize {
        (BLOCK + 1) * b.width
    }

    fn reserve(&mut self, b: &PackedMatrix, tiles: usize) {
        let grow = |array: &mut Aligned<f32>, len| {
            if array.as_slice().len() < len {
                *array = Aligned::zeros(len);
            }
        };
        self.sums_step = (tiles.next_multiple_of(b.tile_rows) + 1) * b.width;
        grow(&mut self.windows, PLACES * Self::windows_step(b));
        grow(&mut self.sums, PLACES * self.sums_step);
        grow(&mut self.results, RUN * TILE * TILE * b.width);
    }

    /// A last tile's missing rows repeat the last row.
    fn fill_table(&mut self, inputs: &Inputs<'_>, tiles: Range<usize>, height: usize) {
        let rows = 0..tiles.len().next_multiple_of(height);
        self.table.clear();
        self.table.extend(rows.map(|row| {
            let tile = (tiles.start + row).min(tiles.end - 1);
            inputs.values[tile * BLOCK..].as_ptr().cast::<u8>()
        }));
    }
}

/// `B^T d B` of one tile, all channels.
struct Spread<'a, A> {
    /// Where the inputs lie: `channels` values each.
    pixels: &'a [*const A; PLACES],
    channels: usize,
    /// Rows of [`BLOCK`] values; the tile's are this call's alone.
    target: Target<'a, f32>,
    /// The tile's row in the first block and place.
    first: usize,
    /// Rows from a place to the next.
    step: usize,
}

impl<A: Element> Kernel for Spread<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for channel in (0..self.channels).step_by(S::LANES) {
            let n = (self.channels - channel).min(S::LANES);
            let mut lines = [[s.splat(0.0); SIDE]; SIDE];
            for (place, &pixel) in self.pixels.iter().enumerate() {
                // SAFETY: each pointer leads to `channels` values, and channel + n is not above.
                lines[place / SIDE][place % SIDE] = unsafe { load_some(s, pixel.add(channel), n) };
            }
            for line in &mut lines {
                *line = spread(s, *line);
            }
            let first = channel / BLOCK * PLACES * self.step + self.first;
            for x in 0..SIDE {
                let column = spread(s, column(&lines, x));
                for y in 0..SIDE {
                    let row = first + (y * SIDE + x) * self.step;
                    // SAFETY: a row of BLOCK values, a multiple of LANES, that is this call's alone.
                    unsafe { s.store(self.target.at(row, channel % BLOCK), column[y]) };
                }
            }
        }
    }
}

/// `B^T d`: the products of the other points' factors at each point, applied to the inputs.
#[inline(always)]
fn spread<S: Simd>(s: S, d: [S::V; SIDE]) -> [S::V; SIDE] {
    let middle = s.splat(-(NEAR + FAR));
    let (even_near, odd_near) = (
        s.mul_add(d[2], s.splat(-FAR), d[4]),
        s.mul_add(d[1], s.splat(-FAR), d[3]),
    );
    let (even_far, odd_far) = (
        s.mul_add(d[2], s.splat(-NEAR), d[4]),
        s.mul_add(d[1], s.splat(-NEAR), d[3]),
    );
    let (near, far) = (s.splat(ROOT_NEAR), s.splat(ROOT_FAR));
    [
        s.mul_add(d[2], middle, s.add(d[0], d[4])),
        s.mul_add(odd_near, near, even_near),
        s.mul_add(odd_near, s.splat(-ROOT_NEAR), even_near),
        s.mul_add(odd_far, far, even_far),
        s.mul_add(odd_far, s.splat(-ROOT_FAR), even_far),
        s.mul_add(d[3], middle, s.add(d[1], d[5])),
    ]
}

/// `G g G^T` of one panel's windows for some channels.
struct WindowPlaces<'a> {
    b: &'a PackedMatrix,
    panel: usize,
    /// The first channel, even.
    first: usize,
    channels: usize,
    /// From a place to the next in `out`; there, for each channel a row of a panel's width.
    step: usize,
    out: &'a mut [f32],
}

impl Kernel for WindowPlaces<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let b = self.b;
        let width = 2 * S::LANES;
        let panel = self.panel * b.panel_len();
        assert_eq!((width, b.taps), (b.width, 9), "a panel of 3x3 windows");
        assert!(self.first + self.channels <= b.run && self.first.is_multiple_of(2));
        assert!(self.channels * width <= self.step && PLACES * self.step <= self.out.len());
        for row in 0..self.channels {
            let channel = self.first + row;
            for lane in [0, S::LANES] {
                let mut g = [[s.splat(0.0); 3]; 3];
                for tap in 0..9 {
                    let row = tap * b.run_packed + channel;
                    // SAFETY: a panel has, for each of nine taps and run_packed channels, `width`
                    // values; pairs of channels lie together.
                    g[tap / 3][tap % 3] = unsafe {
                        match &b.data {
                            PanelData::F32(data) => {
                                s.load(data.as_slice().as_ptr().add(panel + row * width + lane))
                            }
                            PanelData::Narrow(data) => s.load_bf16(
                                data.as_slice().as_ptr().add(panel + row * width + lane),
                            ),
                            PanelData::Pairs(data) => {
                                let pair = panel + row / 2 * 2 * width + 2 * lane;
                                let both = s.load(data.as_slice().as_ptr().add(pair).cast());
                                s.half_of_pair(both, row % 2 == 1)
                            }
                        }
                    };
                }
                let mut lines = [[s.splat(0.0); SIDE]; 3];
                for y in 0..3 {
                    lines[y] = window_places(s, g[y]);
                }
                for x in 0..SIDE {
                    let column = window_places(s, column(&lines, x));
                    for y in 0..SIDE {
                        let at = (y * SIDE + x) * self.step + row * width + lane;
                        // SAFETY: `out` has PLACES times `step` values, and the row lies within one.
                        unsafe { s.store(self.out.as_mut_ptr().add(at), column[y]) };
                    }
                }
            }
        }
    }
}

/// One column of some lines. A loop, like all else in these kernels: a closure would be compiled
/// without the instruction set of the function that calls it.
#[inline(always)]
fn column<V: Copy, const W: usize, const H: usize>(lines: &[[V; W]; H], x: usize) -> [V; H] {
    let mut column = [lines[0][x]; H];
    for y in 0..H {
        column[y] = lines[y][x];
    }
    column
}

/// `G g`: the window's polynomial at each point, divided by the product of the distances to the
/// other points.
#[inline(always)]
fn window_places<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; SIDE] {
    const AT_NEAR: f32 = 1.0 / (2.0 * NEAR * (NEAR - FAR));
    const AT_FAR: f32 = 1.0 / (2.0 * FAR * (FAR - NEAR));
    let near = s.mul(s.mul_add(g[2], s.splat(NEAR), g[0]), s.splat(AT_NEAR));
    let far = s.mul(s.mul_add(g[2], s.splat(FAR), g[0]), s.splat(AT_FAR));
    let (odd_near, odd_far) = (s.splat(ROOT_NEAR * AT_NEAR), s.splat(ROOT_FAR * AT_FAR));
    [
        g[0],
        s.mul_add(g[1], odd_near, near),
        s.mul_add(g[1], s.splat(-ROOT_NEAR * AT_NEAR), near),
        s.mul_add(g[1], odd_far, far),
        s.mul_add(g[1], s.splat(-ROOT_FAR * AT_FAR), far),
        g[2],
    ]
}

/// `A^T m A` of a run of tiles.
struct Collect<'a> {
    /// The first tile's sums at the first place: a row of a panel's width per tile.
    sums: &'a [f32],
    /// From a place to the next.
    step: usize,
    tiles: usize,
    /// From a line of results to the next; in a line, a row of a panel's width per pixel.
    line: usize,
    out: &'a mut [f32],
}

impl Kernel for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = 2 * S::LANES;
        assert!((PLACES - 1) * self.step + self.tiles * width <= self.sums.len());
        assert!(self.tiles * TILE * width <= self.line && TILE * self.line <= self.out.len());
        for at in (0..self.tiles * width).step_by(S::LANES) {
            let (tile, lane) = (at / width, at % width);
            let mut lines = [[s.splat(0.0); TILE]; SIDE];
            for y in 0..SIDE {
                let mut m = [s.splat(0.0); SIDE];
                for x in 0..SIDE {
                    // SAFETY: the assertion above; at + LANES is at most tiles * width.
                    m[x] =
                        unsafe { s.load(self.sums.as_ptr().add((y * SIDE + x) * self.step + at)) };
                }
                lines[y] = collect(s, m);
            }
            for x in 0..TILE {
                let column = collect(s, column(&lines, x));
                for y in 0..TILE {
                    let at = y * self.line + (tile * TILE + x) * width + lane;
                    // SAFETY: the assertion above; a pixel's row lies within its line.
                    unsafe { s.store(self.out.as_mut_ptr().add(at), column[y]) };
                }
            }
        }
    }
}

/// `A^T m`: the powers of the points times the sums.
#[inline(always)]
fn collect<S: Simd>(s: S, m: [S::V; SIDE]) -> [S::V; TILE] {
    let (near, far) = (s.add(m[1], m[2]), s.add(m[3], m[4]));
    let (odd_near, odd_far) = (s.sub(m[1], m[2]), s.sub(m[3], m[4]));
    let squares = s.mul_add(far, s.splat(FAR), s.mul(near, s.splat(NEAR)));
    let odd = s.mul_add(
        odd_far,
        s.splat(ROOT_FAR),
        s.mul(odd_near, s.splat(ROOT_NEAR)),
    );
    let cubes = s.mul_add(odd_near, s.splat(NEAR * ROOT_NEAR), m[5]);
    [
        s.add(m[0], s.add(near, far)),
        odd,
        squares,
        s.mul_add(odd_far, s.splat(FAR * ROOT_FAR), cubes),
    ]
}
