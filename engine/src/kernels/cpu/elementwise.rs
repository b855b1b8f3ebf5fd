//! Passes over single values: conversion, activations, sums, concatenation of channels.

use super::epilogue::{load_some, store_some};
use super::simd::{Element, Kernel, Simd};

/// Converts values, rounding to nearest even; `to` has `from`'s length.
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
