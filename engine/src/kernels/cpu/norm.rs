//! Normalisations: over groups of channels, over a row, and softmax.
//!
//! Each also converts: a bf16 network's group norm writes bf16, which is what the convolution after
//! it reads in place. Before a convolution of large maps it is made strip by strip
//! ([`super::conv::Conv2d::apply_normed`]), which saves the memory of a map.

use rayon::prelude::*;

use super::epilogue::{load_some, store_some};
use super::isa::Isa;
use super::math::{Activation, exp};
use super::shared::{Rows, RowsMut};
use super::simd::{Element, Kernel, Simd};

/// Rows whose sums are taken in f32 before they are gathered in f64. Fixed, so that the result does
/// not depend on threads.
const SUM_ROWS: usize = 128;
/// Values that a task normalises, about.
const TASK_VALUES: usize = 1 << 15;

/// How group norm divides and scales its input.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Pictures in the batch, each normalised by itself.
    pub images: usize,
    /// Groups of neighbouring channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Factor of each channel.
    pub weight: &'a [f32],
    /// What is added to each channel.
    pub bias: &'a [f32],
    /// Applied last.
    pub activation: Activation,
}

impl GroupNorm<'_> {
    /// `out = activation((x - mean) / sqrt(variance + eps) * weight + bias)`, mean and variance over
    /// a group's channels and a picture's pixels.
    ///
    /// `x`, `out` (images * pixels, channels): NHWC, any strides. Sums are taken relative to each
    /// channel's first value and gathered in f64: a mean much greater than the deviation costs no
    /// more than its own rounding.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn apply<A: Element, O: Element>(&self, isa: Isa, x: Rows<'_, A>, mut out: RowsMut<'_, O>) {
        let channels = x.cols;
        assert_eq!((out.rows, out.cols), (x.rows, channels), "input and result");
        if x.rows == 0 || channels == 0 {
            return;
        }
        let lines = self.measure(isa, x);
        let pixels = x.rows / self.images;
        let step = (TASK_VALUES / channels).clamp(1, pixels);
        out.par_blocks(step).for_each(|(first, to)| {
            // A block may reach into the next picture.
            let mut rest = (first, to);
            while rest.1.rows > 0 {
                let (row, block) = rest;
                let image = row / pixels;
                let count = ((image + 1) * pixels - row).min(block.rows);
                let (now, later) = block.split_at(count);
                let from = x.part(row, now.rows);
                rest = (row + now.rows, later);
                self.write(isa, &lines[image], from, now);
            }
        });
    }

    /// For each picture the factor and the offset of each channel.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub(super) fn measure<A: Element>(&self, isa: Isa, x: Rows<'_, A>) -> Vec<Vec<[f32; 2]>> {
        let channels = x.cols;
        assert_eq!(
            (self.weight.len(), self.bias.len()),
            (channels, channels),
            "{self:?}"
        );
        assert!(
            self.images > 0 && x.rows.is_multiple_of(self.images),
            "pixels of {self:?}"
        );
        assert!(
            self.groups > 0 && channels.is_multiple_of(self.groups),
            "channels of {self:?}"
        );
        let pixels = x.rows / self.images;
        (0..self.images)
            .map(|image| self.lines(isa, x.part(image * pixels, pixels)))
            .collect()
    }

    /// Normalises some pixels of a picture by its [`Self::measure`].
    pub(super) fn write<A: Element, O: Element>(
        &self,
        isa: Isa,
        lines: &[[f32; 2]],
        from: Rows<'_, A>,
        to: RowsMut<'_, O>,
    ) {
        isa.run(Line {
            lines,
            from,
            to,
            activation: self.activation,
        });
    }

    /// For each channel of a picture the factor and the offset that normalise it.
    fn lines<A: Element>(&self, isa: Isa, x: Rows<'_, A>) -> Vec<[f32; 2]> {
        let shift: Vec<f32> = x.row(0).iter().map(|v| v.to_f32()).collect();
        let blocks: Vec<Vec<[f32; 2]>> = (0..x.rows.div_ceil(SUM_ROWS))
            .into_par_iter()
            .map(|block| {
                let first = block * SUM_ROWS;
                let rows = x.part(first, SUM_ROWS.min(x.rows - first));
                isa.run(Sums {
                    rows,
                    shift: &shift,
                })
            })
            .collect();
        let width = x.cols / self.groups;
        let pixels = x.rows as f64;
        let mut lines = Vec::with_capacity(x.cols);
        for first in (0..x.cols).step_by(width) {
            // Mean and sum of squared deviations of each channel, then of the group (Chan et al.).
            let channel = |c: usize| {
                let sum: f64 = blocks.iter().map(|b| f64::from(b[c][0])).sum();
                let squares: f64 = blocks.iter().map(|b| f64::from(b[c][1])).sum();
                let mean = sum / pixels;
                (mean + f64::from(shift[c]), (squares - sum * mean).max(0.0))
            };
            let parts: Vec<(f64, f64)> = (first..first + width).map(channel).collect();
            let mean = parts.iter().map(|(mean, _)| mean).sum::<f64>() / width as f64;
            let spread: f64 = parts
                .iter()
                .map(|(m, s)| s + pixels * (m - mean) * (m - mean))
                .sum();
            let scale = 1.0 / (spread / (pixels * width as f64) + f64::from(self.eps)).sqrt();
            lines.extend((first..first + width).map(|c| {
                let factor = f64::from(self.weight[c]) * scale;
                [
                    factor as f32,
                    (f64::from(self.bias[c]) - mean * factor) as f32,
                ]
            }));
        }
        lines
    }
}

/// For each column the sum of differences from `shift`, and the sum of their squares.
struct Sums<'a, A> {
    rows: Rows<'a, A>,
    shift: &'a [f32],
}

impl<A: Element> Kernel for Sums<'_, A> {
    type Output = Vec<[f32; 2]>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<[f32; 2]> {
        let Rows {
            data,
            rows,
            cols,
            stride,
        } = self.rows;
        assert!(self.shift.len() == cols, "a shift for each column");
        let mut out = vec![[0.0; 2]; cols];
        for col in (0..cols).step_by(S::LANES) {
            let n = (cols - col).min(S::LANES);
            let (mut sum, mut squares) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
            let (mut sums, mut both) = ([0.0; 16], [0.0; 16]);
            // SAFETY: the rows have n values from `col` on, `shift` has as many; the arrays have room
            // for the widest register.
            unsafe {
                let shift = load_some(s, self.shift.as_ptr().add(col), n);
                for row in 0..rows {
                    let x = load_some(s, data.as_ptr().add(row * stride + col), n);
                    let x = s.sub(x, shift);
                    sum[row % 2] = s.add(sum[row % 2], x);
                    squares[row % 2] = s.mul_add(x, x, squares[row % 2]);
                }
                s.store_part(sums.as_mut_ptr(), s.add(sum[0], sum[1]), S::LANES.min(16));
                s.store_part(
                    both.as_mut_ptr(),
                    s.add(squares[0], squares[1]),
                    S::LANES.min(16),
                );
            }
            for (to, from) in out[col..col + n].iter_mut().zip(sums.into_iter().zip(both)) {
                *to = [from.0, from.1];
            }
        }
        out
    }
}

/// Puts each value on its column's line, and through an activation.
struct Line<'a, A, O> {
    lines: &'a [[f32; 2]],
    from: Rows<'a, A>,
    to: RowsMut<'a, O>,
    activation: Activation,
}

impl<A: Element, O: Element> Kernel for Line<'_, A, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (from, to) = (self.from, self.to);
        assert!(from.cols == self.lines.len() && to.cols == from.cols && to.rows == from.rows);
        for col in (0..from.cols).step_by(S::LANES) {
            let n = (from.cols - col).min(S::LANES);
            let (mut factors, mut offsets) = ([0.0; 16], [0.0; 16]);
            for (i, [factor, offset]) in self.lines[col..col + n].iter().enumerate() {
                (factors[i], offsets[i]) = (*factor, *offset);
            }
            // SAFETY: the arrays are as long as the widest register; rows of both sides have n
            // values from `col` on.
            unsafe {
                let (factor, offset) = (s.load(factors.as_ptr()), s.load(offsets.as_ptr()));
                for row in 0..from.rows {
                    let x = load_some(s, from.data.as_ptr().add(row * from.stride + col), n);
                    let y = self.activation.apply(s, s.mul_add(x, factor, offset));
                    store_some(s, to.data.as_mut_ptr().add(row * to.stride + col), y, n);
                }
            }
        }
    }
}

/// Layer norm of each row: `out = (x - mean) / sqrt(variance + eps) * weight + bias`.
///
/// `x`, `out` (rows, n): any strides; `weight`, `bias`: n values. Mean and variance are f32, the
/// variance of the differences from the mean.
///
/// # Panics
/// If shapes do not fit.
pub fn layer_norm<A: Element, O: Element>(
    isa: Isa,
    x: Rows<'_, A>,
    [weight, bias]: [&[f32]; 2],
    eps: f32,
    mut out: RowsMut<'_, O>,
) {
    assert_eq!((out.rows, out.cols), (x.rows, x.cols), "input and result");
    assert_eq!(
        (weight.len(), bias.len()),
        (x.cols, x.cols),
        "weight and bias"
    );
    out.par_blocks((TASK_VALUES / x.cols.max(1)).max(1))
        .for_each(|(first, to)| {
            let from = x.part(first, to.rows);
            isa.run(LayerNorm {
                from,
                to,
                weight,
                bias,
                eps,
            });
        });
}

struct LayerNorm<'a, A, O> {
    from: Rows<'a, A>,
    to: RowsMut<'a, O>,
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl<A: Element, O: Element> Kernel for LayerNorm<'_, A, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let cols = self.from.cols;
        assert!(self.weight.len() == cols && self.bias.len() == cols && self.to.cols == cols);
        let whole = cols - cols % S::LANES;
        for row in 0..self.from.rows {
            let from = self.from.row(row).as_ptr();
            let to = self.to.data[row * self.to.stride..][..cols].as_mut_ptr();
            // SAFETY: both rows, weight and bias have `cols` values, and no access goes beyond.
            unsafe {
                let mut sum = [s.splat(0.0); 2];
                for col in (0..whole).step_by(S::LANES) {
                    let i = col / S::LANES % 2;
                    sum[i] = s.add(sum[i], A::load(s, from.add(col)));
                }
                let tail = A::load_part(s, from.add(whole), cols - whole);
                let mean = s.sum(s.add(s.add(sum[0], sum[1]), tail)) / cols as f32;
                let centre = s.splat(mean);
                let mut squares = [s.splat(0.0); 2];
                for col in (0..whole).step_by(S::LANES) {
                    let d = s.sub(A::load(s, from.add(col)), centre);
                    let i = col / S::LANES % 2;
                    squares[i] = s.mul_add(d, d, squares[i]);
                }
                let mut spread = s.sum(s.add(squares[0], squares[1]));
                for col in whole..cols {
                    let d = from.add(col).read().to_f32() - mean;
                    spread += d * d;
                }
                let scale = s.splat(1.0 / (spread / cols as f32 + self.eps).sqrt());
                for col in (0..cols).step_by(S::LANES) {
                    let n = (cols - col).min(S::LANES);
                    let d = s.sub(load_some(s, from.add(col), n), centre);
                    let weight = load_some(s, self.weight.as_ptr().add(col), n);
                    let bias = load_some(s, self.bias.as_ptr().add(col), n);
                    store_some(s, to.add(col), s.mul_add(s.mul(d, scale), weight, bias), n);
                }
            }
        }
    }
}

/// Softmax of each row; `x`, `out` (rows, n): any strides.
///
/// # Panics
/// If shapes differ.
pub fn softmax<A: Element, O: Element>(isa: Isa, x: Rows<'_, A>, mut out: RowsMut<'_, O>) {
    assert_eq!((out.rows, out.cols), (x.rows, x.cols), "input and result");
    out.par_blocks((TASK_VALUES / x.cols.max(1)).max(1))
        .for_each(|(first, to)| {
            isa.run(Softmax {
                from: x.part(first, to.rows),
                to,
            });
        });
}

struct Softmax<'a, A, O> {
    from: Rows<'a, A>,
    to: RowsMut<'a, O>,
}

impl<A: Element, O: Element> Kernel for Softmax<'_, A, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut weights = vec![0.0; self.from.cols];
        for row in 0..self.from.rows {
            let from = self.from.row(row);
            let top = from
                .iter()
                .fold(f32::NEG_INFINITY, |m, x| m.max(x.to_f32()));
            let mut sum = s.splat(0.0);
            for (from, to) in from.chunks(S::LANES).zip(weights.chunks_mut(S::LANES)) {
                // SAFETY: both chunks have as many values, at most a register's. The lanes beyond
                // are set far below the others, so that they add next to nothing.
                unsafe {
                    let x = s.sub(load_some(s, from.as_ptr(), from.len()), s.splat(top));
                    store_some(s, to.as_mut_ptr(), exp(s, x), to.len());
                    sum = s.add(sum, load_some(s, to.as_ptr(), to.len()));
                }
            }
            let scale = s.splat(1.0 / s.sum(sum));
            let to = &mut self.to.data[row * self.to.stride..][..self.from.cols];
            for (from, to) in weights.chunks(S::LANES).zip(to.chunks_mut(S::LANES)) {
                // SAFETY: both chunks have as many values, at most a register's.
                unsafe {
                    let x = s.mul(load_some(s, from.as_ptr(), from.len()), scale);
                    store_some(s, to.as_mut_ptr(), x, to.len());
                }
            }
        }
    }
}
