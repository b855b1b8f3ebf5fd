//! The three transforms, on vectors: of inputs, of windows, and of sums into results.

use super::super::epilogue::load_some;
use super::super::pack::PackedMatrix;
use super::super::shared::Target;
use super::super::simd::{Element, Kernel, Simd};
use super::{BLOCK, PLACES, SIDE, TILE};

/// The squares of the points: `NEAR` of +-sqrt(1/2), `FAR` of +-sqrt(2).
const NEAR: f32 = 0.5;
const FAR: f32 = 2.0;
const ROOT_NEAR: f32 = std::f32::consts::FRAC_1_SQRT_2;
const ROOT_FAR: f32 = std::f32::consts::SQRT_2;

/// How far ahead windows are asked for.
const CHANNELS_AHEAD: usize = 4;

/// `B^T d B` of one tile, all channels.
pub(super) struct Spread<'a, A> {
    /// Where the inputs lie: `channels` values each.
    pub(super) pixels: &'a [*const A; PLACES],
    pub(super) channels: usize,
    /// Rows of [`BLOCK`] values; the tile's are this call's alone.
    pub(super) target: Target<'a, f32>,
    /// The tile's row in the first block and place.
    pub(super) first: usize,
    /// Rows from a place to the next.
    pub(super) step: usize,
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
            // 36 lines of cache at a time are more than the processor foresees by itself.
            let next = channel + S::LANES;
            if next < self.channels {
                let first = next / BLOCK * PLACES * self.step + self.first;
                for place in 0..PLACES {
                    let row = first + place * self.step;
                    self.target.prefetch(row, next % BLOCK);
                }
            }
            for x in 0..SIDE {
                let column = spread(s, column(&lines, x));
                for (y, &value) in column.iter().enumerate() {
                    let row = first + (y * SIDE + x) * self.step;
                    // SAFETY: a row of BLOCK values, a multiple of LANES, that is this call's alone.
                    unsafe { s.store(self.target.at(row, channel % BLOCK), value) };
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
pub(super) struct WindowPlaces<'a> {
    pub(super) b: &'a PackedMatrix,
    pub(super) panel: usize,
    /// The first channel, even.
    pub(super) first: usize,
    pub(super) channels: usize,
    /// From a place to the next in `out`; there, for each channel a row of a panel's width.
    pub(super) step: usize,
    pub(super) out: &'a mut [f32],
}

impl Kernel for WindowPlaces<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let b = self.b;
        let width = 2 * S::LANES;
        assert_eq!((width, b.taps), (b.width, 9), "a panel of 3x3 windows");
        assert!(self.first + self.channels <= b.run && self.first.is_multiple_of(2));
        assert!(self.channels * width <= self.step && PLACES * self.step <= self.out.len());
        for row in 0..self.channels {
            let channel = self.first + row;
            b.prefetch_window(self.panel, channel + CHANNELS_AHEAD);
            for lane in [0, S::LANES] {
                // SAFETY: a channel below run, and half a panel.
                let g = unsafe { b.load_window(s, self.panel, channel, lane) };
                let mut lines = [[s.splat(0.0); SIDE]; 3];
                for (line, &g) in lines.iter_mut().zip(g.as_chunks::<3>().0) {
                    *line = window_places(s, g);
                }
                for x in 0..SIDE {
                    let column = window_places(s, column(&lines, x));
                    for (y, &value) in column.iter().enumerate() {
                        let at = (y * SIDE + x) * self.step + row * width + lane;
                        // SAFETY: `out` has PLACES times `step` values, and the row lies within one.
                        unsafe { s.store(self.out.as_mut_ptr().add(at), value) };
                    }
                }
            }
        }
    }
}

/// One column of some lines. A loop, like all else in these kernels: a closure that is not inlined is
/// compiled without its caller's instruction set, which took half of the speed.
#[inline(always)]
fn column<V: Copy, const W: usize, const H: usize>(lines: &[[V; W]; H], x: usize) -> [V; H] {
    let mut column = [lines[0][x]; H];
    for (value, line) in column.iter_mut().zip(lines) {
        *value = line[x];
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
pub(super) struct Collect<'a> {
    /// The first tile's sums at the first place: a row of a panel's width per tile.
    pub(super) sums: &'a [f32],
    /// From a place to the next.
    pub(super) step: usize,
    pub(super) tiles: usize,
    /// From a line of results to the next; in a line, a row of a panel's width per pixel.
    pub(super) line: usize,
    pub(super) out: &'a mut [f32],
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
            for (y, line) in lines.iter_mut().enumerate() {
                let mut m = [s.splat(0.0); SIDE];
                for (x, sum) in m.iter_mut().enumerate() {
                    // SAFETY: the assertion above; at + LANES is at most tiles * width.
                    *sum = unsafe {
                        let place = (y * SIDE + x) * self.step;
                        s.load(self.sums.as_ptr().add(place + at))
                    };
                }
                *line = collect(s, m);
            }
            for x in 0..TILE {
                let column = collect(s, column(&lines, x));
                for (y, &value) in column.iter().enumerate() {
                    let at = y * self.line + (tile * TILE + x) * width + lane;
                    // SAFETY: the assertion above; a pixel's row lies within its line.
                    unsafe { s.store(self.out.as_mut_ptr().add(at), value) };
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
