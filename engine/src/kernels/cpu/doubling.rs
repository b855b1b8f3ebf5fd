//! 3x3 convolutions of pictures whose pixels are first repeated to two by two, with a quarter of the
//! products.
//!
//! Along one direction a pixel `x[i]` becomes two, and a window `g0 g1 g2` sees equal neighbours:
//!
//! ```text
//! y[2 i]     = g0 x[i-1] + (g1 + g2) x[i] = s x[i] - g0 (x[i] - x[i-1])
//! y[2 i + 1] = (g0 + g1) x[i] + g2 x[i+1] = s x[i] + g2 (x[i+1] - x[i])     s = g0 + g1 + g2
//! ```
//!
//! Three products for what takes six, and both results use differences of neighbours, each made
//! once. In two directions nine products give four results, where the window takes 36. Winograd's
//! method needs as many, but this one only adds: in f32 it is as exact as the plain sum, and little enough
//! is lost to rounding that the products may be the processor's dot products of bf16 pairs.
//!
//! # Order of work
//! The differences of some lines are made once (four values for each value of the input). Then tasks
//! take some pixels and one panel: they make the nine windows from the packed weight, a block of
//! channels at a time, sum nine products for each pixel, and store its four results. Each sum runs
//! over the channels in order, whatever the tasks are.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::conv::{Pictures, Window};
use super::epilogue::{Epilogue, Finish, load_some, store_some};
use super::pack::PackedMatrix;
use super::places::{Kept, Scratch, Sizes};
use super::shared::{Rows, RowsMut, Target, even_part};
use super::simd::{Element, Kernel, Precision, Simd};
use super::tile::{AddToTiles, Span, TileElement};

/// Products that four results take: one for each pair of [`PARTS`].
const PLACES: usize = 9;
/// Along one direction: the pixel itself, its difference to the one before, that of the next to it.
const PARTS: usize = 3;
/// Values made of each value of the input: itself, the differences downwards and across, and the
/// difference across of the differences downwards.
const KINDS: usize = 4;
/// Bytes of the nine windows that a task holds at a time.
const WINDOW_BYTES: usize = 160 << 10;
/// Pixels that a task computes at most: their sums stay in the second-level cache.
const TASK_PIXELS: usize = 144;
/// Differences in memory at a time, about.
const CORNER_BYTES: usize = 12 << 20;
/// Pixels beside each other whose results are finished together.
const RUN: usize = 16;
/// Fewest channels and outputs for which it pays.
const LEAST_CHANNELS: usize = 16;

/// Whether the method serves for a window and a weight, and pays.
pub(super) fn serves(b: &PackedMatrix, window: Window) -> bool {
    window == Window::doubling() && !b.paired && b.run >= LEAST_CHANNELS && b.n >= LEAST_CHANNELS
}

/// A convolution to be computed.
pub(super) struct Doubling<'a, A, O> {
    pub(super) input: Rows<'a, A>,
    pub(super) shape: Pictures,
    pub(super) b: &'a PackedMatrix,
    pub(super) epilogue: &'a Epilogue<'a, O>,
}

impl<A: Element, O: Element> Doubling<'_, A, O> {
    /// Computes the result into `out`.
    ///
    /// # Panics
    /// If the shapes do not fit one another or the weight is no window of 3x3.
    pub(super) fn compute(&self, out: &mut RowsMut<'_, O>) {
        let (b, shape) = (self.b, self.shape);
        assert_eq!((b.taps, b.paired), (9, false), "a window of 3x3");
        assert_eq!(
            (self.input.rows, self.input.cols),
            (shape.pixels(), b.run),
            "the input's shape"
        );
        assert_eq!(
            (out.rows, out.cols),
            (4 * shape.pixels(), b.n),
            "the result's shape"
        );
        self.epilogue.check(b, out.rows);
        if shape.pixels() == 0 || b.run == 0 || b.n == 0 {
            return;
        }
        match b.tiles() {
            Precision::F32 => self.with_tiles::<f32>(out),
            Precision::Bf16 => self.with_tiles::<bf16>(out),
        }
    }

    fn with_tiles<T: TileElement>(&self, out: &mut RowsMut<'_, O>) {
        let (b, Pictures { height, width, .. }) = (self.b, self.shape);
        // A cache line more than it takes: rows a power of two apart would share few sets of the
        // cache.
        let stride = KINDS * b.run_packed + 64 / size_of::<T>();
        let corners = (width + 1) * stride * size_of::<T>();
        let lines = self.shape.images * height;
        let chunk = even_part(lines, (CORNER_BYTES / corners).max(1));
        let longest = lines_of_corners(height, 0, chunk) + chunk / height + 1;
        let len = (longest * (width + 1) * stride * size_of::<T>()).div_ceil(size_of::<f32>());
        let outside = vec![A::default(); b.run];
        let target = out.target();
        KEPT.with(len, |kept| {
            for first in (0..lines).step_by(chunk) {
                let now = first..(first + chunk).min(lines);
                let rows = lines_of_corners(height, now.start, now.end) * (width + 1);
                let values = &mut bytemuck::cast_slice_mut::<f32, T>(kept)[..rows * stride];
                self.differences(now.start, &outside, values, stride);
                let corners = Corners {
                    values,
                    stride,
                    first: corner_line(height, now.start),
                    height,
                    width,
                };
                self.results(&corners, now.start * width..now.end * width, target);
            }
        });
    }

    /// The results of some lines of pixels, from the differences around them.
    fn results<T: TileElement>(
        &self,
        corners: &Corners<'_, T>,
        pixels: Range<usize>,
        target: Target<'_, O>,
    ) {
        let b = self.b;
        let step = even_part(pixels.len(), TASK_PIXELS).next_multiple_of(b.tile_rows);
        let parts = pixels.len().div_ceil(step);
        let windows = PLACES * block(b, size_of::<T>()) * b.width * size_of::<T>();
        let sizes = Sizes {
            places: PLACES,
            rows: step,
            windows: windows.div_ceil(size_of::<f32>()),
            results: 2 * RUN * 2 * b.width,
        };
        (0..parts * b.panels()).into_par_iter().for_each(|task| {
            let (part, panel) = (task / b.panels(), task % b.panels());
            let start = pixels.start + part * step;
            let range = start..(start + step).min(pixels.end);
            Scratch::with(b, sizes, |scratch| {
                self.products(corners, range.clone(), panel, scratch);
                // SAFETY: no other task has these pixels and this panel.
                unsafe { self.finish(range, panel, target, scratch) };
            });
        });
    }

    /// Makes the differences around some lines of pixels, the first of which is `line`.
    fn differences<T: Element>(&self, line: usize, outside: &[A], to: &mut [T], stride: usize) {
        let Pictures { height, width, .. } = self.shape;
        let first = corner_line(height, line);
        to.par_chunks_mut((width + 1) * stride)
            .enumerate()
            .for_each(|(index, to)| {
                let (image, y) = (
                    (first + index) / (height + 1),
                    (first + index) % (height + 1),
                );
                // Wraps below 0, which is then not below the height.
                let pixel = |y: usize, x: usize| {
                    if y < height && x < width {
                        self.input.row((image * height + y) * width + x)
                    } else {
                        outside
                    }
                };
                for (x, to) in to.chunks_exact_mut(stride).enumerate() {
                    let (above, left) = (y.wrapping_sub(1), x.wrapping_sub(1));
                    self.b.isa.run(Differences {
                        here: pixel(y, x),
                        above: pixel(above, x),
                        left: pixel(y, left),
                        above_left: pixel(above, left),
                        to: &mut to[..KINDS * self.b.run_packed],
                    });
                }
            });
    }

    /// The sums over all channels, at each place, of some pixels and one panel.
    fn products<T: TileElement>(
        &self,
        corners: &Corners<'_, T>,
        pixels: Range<usize>,
        panel: usize,
        scratch: &mut Scratch,
    ) {
        let b = self.b;
        let rows = pixels.len().next_multiple_of(b.tile_rows);
        corners.fill_table(pixels.clone(), rows, &mut scratch.table);
        let sums_step = scratch.sums_step;
        let block = block(b, size_of::<T>());
        let windows_step = block * b.width;
        let windows = bytemuck::cast_slice_mut::<f32, T>(scratch.windows.as_mut_slice());
        for first in (0..b.run_packed).step_by(block) {
            let channels = block.min(b.run_packed - first);
            b.isa.run(Windows {
                b,
                panel,
                first,
                channels,
                step: windows_step,
                out: &mut *windows,
            });
            let sums = scratch
                .sums
                .as_mut_slice()
                .chunks_exact_mut(sums_step)
                .take(PLACES);
            for (place, sums) in sums.enumerate() {
                let (down, across) = (place / PARTS, place % PARTS);
                let corner = 2 * usize::from(down == 2) + usize::from(across == 2);
                let kind = usize::from(down > 0) + 2 * usize::from(across > 0);
                let add = AddToTiles::<T> {
                    span: Span {
                        rows: &scratch.table[corner * rows..][..rows],
                        ahead: &[],
                        taps: 1,
                        offset: kind * b.run_packed + first,
                        len: channels,
                        panel: &windows[place * windows_step..][..channels * b.width],
                    },
                    tile_step: b.tile_rows,
                    rows: pixels.len(),
                    sums,
                    fresh: first == 0,
                };
                // SAFETY: the table leads to corners' rows of KINDS * run_packed values, and the
                // offset and length stay within one kind of them.
                unsafe { add.run(b.isa) };
            }
        }
    }

    /// Adds the sums of some pixels and one panel up to results and stores them.
    ///
    /// # Safety
    /// No other thread touches these pixels' results in this panel.
    unsafe fn finish(
        &self,
        pixels: Range<usize>,
        panel: usize,
        target: Target<'_, O>,
        scratch: &mut Scratch,
    ) {
        let (b, width) = (self.b, self.shape.width);
        let line = RUN * 2 * b.width;
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            let (y, x) = (pixel / width, pixel % width);
            let count = RUN.min(pixels.end - pixel).min(width - x);
            // The lines of all pictures follow one another, two for each of the input's.
            let row = |dy: usize| ((2 * y + dy) * width + x) * 2;
            for at in (0..2).flat_map(|dy| row(dy)..row(dy) + 2 * count) {
                let column = panel * b.width;
                target.prefetch(at, column);
                self.epilogue.prefetch(at, column);
            }
            b.isa.run(Collect {
                sums: &scratch.sums.as_slice()[(pixel - pixels.start) * b.width..],
                step: scratch.sums_step,
                pixels: count,
                line,
                out: scratch.results.as_mut_slice(),
            });
            for dy in 0..2 {
                b.isa.run(Finish {
                    epilogue: self.epilogue,
                    b,
                    target,
                    row: row(dy),
                    rows: 2 * count,
                    panel,
                    sums: &scratch.results.as_slice()[dy * line..][..2 * count * b.width],
                });
            }
            pixel += count;
        }
    }
}

/// The line of corners above a line of pixels; a picture of `height` lines has one more of corners.
fn corner_line(height: usize, line: usize) -> usize {
    line + line / height
}

/// Lines of corners around the lines of pixels from `first` to below `end`.
fn lines_of_corners(height: usize, first: usize, end: usize) -> usize {
    corner_line(height, end - 1) + 2 - corner_line(height, first)
}

/// Channels whose windows a task holds at a time; even, for pairs.
fn block(b: &PackedMatrix, value_bytes: usize) -> usize {
    let fitting = WINDOW_BYTES / (PLACES * b.width * value_bytes);
    even_part(b.run_packed, fitting.max(2)).next_multiple_of(2)
}

/// Values at the corners of pixels: at each, for the pixel below and right of it, `KINDS` runs.
struct Corners<'a, T> {
    values: &'a [T],
    stride: usize,
    /// The first line, counted through all pictures.
    first: usize,
    /// Of the pictures.
    height: usize,
    width: usize,
}

impl<T> Corners<'_, T> {
    /// Pointers to the corners of some pixels: above left of all, then above right, below left and
    /// below right. Missing rows repeat the last pixel.
    fn fill_table(&self, pixels: Range<usize>, rows: usize, table: &mut Vec<*const u8>) {
        table.clear();
        for (down, across) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            table.extend((0..rows).map(|row| {
                let pixel = (pixels.start + row).min(pixels.end - 1);
                let (line, x) = (pixel / self.width, pixel % self.width);
                let line = corner_line(self.height, line) - self.first + down;
                let at = (line * (self.width + 1) + x + across) * self.stride;
                self.values[at..].as_ptr().cast::<u8>()
            }));
        }
    }
}

/// Memory of differences.
static KEPT: Kept = Kept::new();

/// The values at one corner.
struct Differences<'a, A, T> {
    here: &'a [A],
    above: &'a [A],
    left: &'a [A],
    above_left: &'a [A],
    /// `KINDS` runs; where they are longer than the input, zeros follow.
    to: &'a mut [T],
}

impl<A: Element, T: Element> Kernel for Differences<'_, A, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inputs = [self.here, self.above, self.left, self.above_left];
        let (given, run) = (self.here.len(), self.to.len() / KINDS);
        assert!(inputs.iter().all(|input| input.len() == given) && given <= run);
        for channel in (0..run).step_by(S::LANES) {
            let n = (given.saturating_sub(channel)).min(S::LANES);
            let mut x = [s.splat(0.0); 4];
            for (value, input) in x.iter_mut().zip(inputs) {
                if n > 0 {
                    // SAFETY: channel + n is not above the input's length.
                    *value = unsafe { load_some(s, input.as_ptr().add(channel), n) };
                }
            }
            let down = s.sub(x[0], x[1]);
            let kinds = [
                x[0],
                down,
                s.sub(x[0], x[2]),
                s.sub(down, s.sub(x[2], x[3])),
            ];
            let n = (run - channel).min(S::LANES);
            for (kind, &value) in kinds.iter().enumerate() {
                // SAFETY: `to` has KINDS runs, and channel + n is not above a run's length.
                unsafe {
                    let to = self.to.as_mut_ptr().add(kind * run + channel);
                    store_some(s, to, value, n);
                }
            }
        }
    }
}

/// The nine windows of one panel for some channels.
struct Windows<'a, T> {
    b: &'a PackedMatrix,
    panel: usize,
    /// The first channel, even.
    first: usize,
    channels: usize,
    /// From a place to the next in `out`; there, rows of a panel's width as the tiles of `T` read
    /// them: one for each channel, or one of pairs for two.
    step: usize,
    out: &'a mut [T],
}

impl<T: TileElement> Kernel for Windows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let b = self.b;
        let width = 2 * S::LANES;
        let pairs = T::PRECISION == Precision::Bf16;
        assert_eq!((width, b.taps), (b.width, 9), "a panel of 3x3 windows");
        assert!(self.first + self.channels <= b.run_packed && self.first.is_multiple_of(2));
        assert!(!pairs || self.channels.is_multiple_of(2), "whole pairs");
        assert!(self.channels * width <= self.step && PLACES * self.step <= self.out.len());
        for row in (0..self.channels).step_by(2) {
            let both = row + 1 < self.channels;
            for lane in [0, S::LANES] {
                let mut windows = [[s.splat(0.0); PLACES]; 2];
                for (of_pair, windows) in windows.iter_mut().enumerate() {
                    if of_pair == 0 || both {
                        let channel = self.first + row + of_pair;
                        // SAFETY: a channel below run_packed, and half a panel.
                        let g = unsafe { b.load_window(s, self.panel, channel, lane) };
                        *windows = of_places(s, g);
                    }
                }
                let [even, odd] = windows;
                for (place, (&even, &odd)) in even.iter().zip(&odd).enumerate() {
                    let at = place * self.step + row * width;
                    // SAFETY: `out` has PLACES times `step` values, and the rows lie within one.
                    unsafe {
                        if pairs {
                            let to = self.out.as_mut_ptr().add(at + 2 * lane);
                            s.store(to.cast(), s.pair_bf16(even, odd));
                        } else {
                            let to = self.out.as_mut_ptr().add(at + lane);
                            T::store(s, to, even);
                            if both {
                                T::store(s, to.add(width), odd);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The whole window, minus its first line, and its last, of what is the same of its columns.
#[inline(always)]
fn of_places<S: Simd>(s: S, g: [S::V; 9]) -> [S::V; PLACES] {
    let mut lines = [[s.splat(0.0); 3]; PARTS];
    for x in 0..3 {
        let parts = parts(s, [g[x], g[3 + x], g[6 + x]]);
        for (line, part) in lines.iter_mut().zip(parts) {
            line[x] = part;
        }
    }
    let mut places = [s.splat(0.0); PLACES];
    for (places, &line) in places.as_chunks_mut::<PARTS>().0.iter_mut().zip(&lines) {
        *places = parts(s, line);
    }
    places
}

#[inline(always)]
fn parts<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; PARTS] {
    [
        s.add(s.add(g[0], g[1]), g[2]),
        s.sub(s.splat(0.0), g[0]),
        g[2],
    ]
}

/// The four results of each of some pixels.
struct Collect<'a> {
    /// The first pixel's sums at the first place: a row of a panel's width per pixel.
    sums: &'a [f32],
    /// From a place to the next.
    step: usize,
    pixels: usize,
    /// From a line of results to the next; in a line, a row of a panel's width per result.
    line: usize,
    out: &'a mut [f32],
}

impl Kernel for Collect<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = 2 * S::LANES;
        assert!((PLACES - 1) * self.step + self.pixels * width <= self.sums.len());
        assert!(2 * self.pixels * width <= self.line && 2 * self.line <= self.out.len());
        for at in (0..self.pixels * width).step_by(S::LANES) {
            let (pixel, lane) = (at / width, at % width);
            let mut m = [[s.splat(0.0); PARTS]; PARTS];
            for (place, sum) in m.as_flattened_mut().iter_mut().enumerate() {
                // SAFETY: the assertion above; at + LANES is at most pixels * width.
                *sum = unsafe { s.load(self.sums.as_ptr().add(place * self.step + at)) };
            }
            for down in 0..2 {
                for across in 0..2 {
                    let upper = s.add(m[0][0], m[0][across + 1]);
                    let lower = s.add(m[down + 1][0], m[down + 1][across + 1]);
                    let to = down * self.line + (2 * pixel + across) * width + lane;
                    // SAFETY: the assertion above; a result's row lies within its line.
                    unsafe { s.store(self.out.as_mut_ptr().add(to), s.add(upper, lower)) };
                }
            }
        }
    }
}
