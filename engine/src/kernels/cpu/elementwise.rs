//! Passes over single values: conversion, activations, sums, concatenation of channels.

use rayon::prelude::*;

use super::epilogue::{load_some, store_some};
use super::isa::Isa;
use super::math::Activation;
use super::shared::{Rows, RowsMut};
use super::simd::{Element, Kernel, Simd};

/// Values that a task passes over.
const TASK_VALUES: usize = 1 << 15;

/// Converts values, rounding to nearest even.
///
/// # Panics
/// If lengths differ.
pub fn convert<A: Element, O: Element>(isa: Isa, from: &[A], to: &mut [O]) {
    assert_eq!(from.len(), to.len(), "values to convert and their places");
    let tasks = from
        .par_chunks(TASK_VALUES)
        .zip(to.par_chunks_mut(TASK_VALUES));
    tasks.for_each(|(from, to)| isa.run(Convert { from, to }));
}

/// Puts values through an activation.
///
/// # Panics
/// If lengths differ.
pub fn activate<T: Element>(isa: Isa, activation: Activation, from: &[T], to: &mut [T]) {
    assert_eq!(from.len(), to.len(), "values and their places");
    let tasks = from
        .par_chunks(TASK_VALUES)
        .zip(to.par_chunks_mut(TASK_VALUES));
    tasks.for_each(|(from, to)| {
        isa.run(Activate {
            activation,
            from,
            to,
        });
    });
}

/// `to = a + b`.
///
/// # Panics
/// If lengths differ.
pub fn add<T: Element>(isa: Isa, a: &[T], b: &[T], to: &mut [T]) {
    assert_eq!([a.len(), b.len()], [to.len(); 2], "terms and their sum");
    let terms = a.par_chunks(TASK_VALUES).zip(b.par_chunks(TASK_VALUES));
    let tasks = terms.zip(to.par_chunks_mut(TASK_VALUES));
    tasks.for_each(|((a, b), to)| isa.run(Add { a, b, to }));
}

/// Puts the columns of matrices side by side: channels of NHWC pictures.
///
/// # Panics
/// If the parts have not the result's rows, or together not its columns.
pub fn concat<A: Element, O: Element>(isa: Isa, parts: &[Rows<'_, A>], mut out: RowsMut<'_, O>) {
    let cols: usize = parts.iter().map(|part| part.cols).sum();
    assert_eq!(cols, out.cols, "columns of the parts together");
    assert!(
        parts.iter().all(|part| part.rows == out.rows),
        "rows of the parts"
    );
    out.par_blocks((TASK_VALUES / cols.max(1)).max(1))
        .for_each(|(first, block)| {
            for row in 0..block.rows {
                let mut rest = &mut block.data[row * block.stride..][..block.cols];
                for part in parts {
                    let (to, later) = rest.split_at_mut(part.cols);
                    isa.run(Convert {
                        from: part.row(first + row),
                        to,
                    });
                    rest = later;
                }
            }
        });
}

/// Converts as many values as both sides have.
pub(super) struct Convert<'a, A, O> {
    pub(super) from: &'a [A],
    pub(super) to: &'a mut [O],
}

impl<A: Element, O: Element> Kernel for Convert<'_, A, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (from, to) in self.from.chunks(S::LANES).zip(self.to.chunks_mut(S::LANES)) {
            let n = from.len().min(to.len());
            // SAFETY: both chunks have n <= LANES values.
            unsafe { store_some(s, to.as_mut_ptr(), load_some(s, from.as_ptr(), n), n) };
        }
    }
}

struct Activate<'a, T> {
    activation: Activation,
    from: &'a [T],
    to: &'a mut [T],
}

impl<T: Element> Kernel for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (from, to) in self.from.chunks(S::LANES).zip(self.to.chunks_mut(S::LANES)) {
            let n = from.len().min(to.len());
            // SAFETY: both chunks have n <= LANES values.
            unsafe {
                let y = self.activation.apply(s, load_some(s, from.as_ptr(), n));
                store_some(s, to.as_mut_ptr(), y, n);
            }
        }
    }
}

struct Add<'a, T> {
    a: &'a [T],
    b: &'a [T],
    to: &'a mut [T],
}

impl<T: Element> Kernel for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let terms = self.a.chunks(S::LANES).zip(self.b.chunks(S::LANES));
        for ((a, b), to) in terms.zip(self.to.chunks_mut(S::LANES)) {
            let n = to.len().min(a.len()).min(b.len());
            // SAFETY: all chunks have n <= LANES values.
            unsafe {
                let sum = s.add(load_some(s, a.as_ptr(), n), load_some(s, b.as_ptr(), n));
                store_some(s, to.as_mut_ptr(), sum, n);
            }
        }
    }
}
