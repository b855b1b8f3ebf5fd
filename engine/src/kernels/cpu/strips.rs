//! Group norm in front of a convolution, a strip of lines at a time: a large map in normalised form
//! never lies in memory as a whole.

use rayon::prelude::*;

use super::aligned::Aligned;
use super::conv::{Conv2d, Pictures, Window};
use super::epilogue::Epilogue;
use super::norm::GroupNorm;
use super::shared::{Rows, RowsMut};
use super::simd::Element;
use super::winograd::TILE;

/// Bytes of a strip of normalised lines: small beside a map, large beside what its first and last
/// lines cost twice.
const STRIP_BYTES: usize = 8 << 20;
/// Pixels that a task normalises.
const STRIP_TASK_ROWS: usize = 256;

impl Conv2d {
    /// Whether [`Self::apply_normed`] computes it: the window keeps the picture's size.
    pub fn takes_strips(&self) -> bool {
        let [top, left, bottom, right] = self.window.padding;
        let (height, width) = self.window.kernel;
        self.window.stride == 1
            && !self.window.upsample
            && (top + bottom + 1, left + right + 1) == (height, width)
    }

    /// `out = epilogue(convolution of norm(input))`, to the bit what the norm into memory and
    /// [`Self::apply`] give, but no more of the norm than a strip of eight megabytes lies in
    /// memory at a time.
    ///
    /// # Panics
    /// If shapes do not fit, or unless [`Self::takes_strips`].
    pub fn apply_normed<A: Element, O: Element>(
        &self,
        norm: &GroupNorm<'_>,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        out: RowsMut<'_, O>,
    ) {
        self.in_strips(STRIP_BYTES, norm, input, shape, epilogue, out);
    }

    /// [`Self::apply_normed`] with strips of about `bytes`.
    pub(super) fn in_strips<A: Element, O: Element>(
        &self,
        bytes: usize,
        norm: &GroupNorm<'_>,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        out: RowsMut<'_, O>,
    ) {
        let (rows, channels) = (shape.pixels(), input.cols);
        assert_eq!(input.rows, rows, "pixels of the input against its shape");
        assert_eq!(norm.images, shape.images, "pictures of the norm");
        assert!(self.takes_strips(), "strips of {:?}", self.window);
        if rows == 0 || channels == 0 {
            return self.apply(input, shape, epilogue, out);
        }
        let isa = self.weight.isa;
        let lines = norm.measure(isa, input);
        let Pictures { height, width, .. } = shape;
        let [top, left, bottom, right] = self.window.padding;
        let few_products = self.takes_few_products(shape);
        let mut step = (bytes / (width * channels * size_of::<A>())).clamp(1, height);
        if few_products {
            // Whole tiles, the picture's own.
            step = step.next_multiple_of(TILE).min(height);
        }
        let mut strip = Aligned::<A>::zeros((step + top + bottom).min(height) * width * channels);
        let mut rest = out;
        for (image, lines) in lines.iter().enumerate() {
            for first in (0..height).step_by(step) {
                let end = (first + step).min(height);
                // The lines that the window reaches from these, as far as there are any.
                let (from, to) = (first.saturating_sub(top), (end + bottom).min(height));
                let count = (to - from) * width;
                let source = input.part((image * height + from) * width, count);
                let buffer = &mut strip.as_mut_slice()[..count * channels];
                RowsMut::new(buffer, count, channels)
                    .par_blocks(STRIP_TASK_ROWS)
                    .for_each(|(row, to)| {
                        norm.write(isa, lines, source.part(row, to.rows), to);
                    });
                let window = Window {
                    padding: [top - (first - from), left, bottom - (to - end), right],
                    ..self.window
                };
                let lines = Pictures {
                    images: 1,
                    height: to - from,
                    width,
                };
                let rows = (end - first) * width;
                let part = epilogue.part((image * height + first) * width, rows, self.weight.n);
                let now;
                (now, rest) = rest.split_at(rows);
                let normed = Rows::new(&strip.as_slice()[..count * channels], count, channels);
                self.apply_window(window, few_products, normed, lines, &part, now);
            }
        }
    }
}
