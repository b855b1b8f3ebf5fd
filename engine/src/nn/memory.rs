//! Memory of activations. A network makes hundreds of short-lived maps of a few sizes, and fresh
//! memory is dear: the system clears every page and hands it out by faults, which costs as much as
//! some kernels. So what an activation leaves is kept for the next one, until [`release`].

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use half::bf16;

use crate::kernels::cpu::Element;
use crate::kernels::cpu::aligned::Aligned;

/// On running out of fitting pieces, what is kept shrinks to this: pieces of another stage's sizes
/// would only add to the peak.
const KEPT_BYTES: usize = 128 << 20;
/// For each byte that is asked for then, as many fewer are kept: at the sizes of large pictures
/// memory is worth more than the time it takes to get it.
const KEPT_LESS: usize = 4;
/// More pieces than any network has at once: some came from elsewhere and nobody asks for them.
const MOST_PIECES: usize = 64;
/// Smaller pieces come cheap from the allocator.
const LEAST_BYTES: usize = 64 << 10;
/// A piece that is more than this much larger than what is needed is left for a larger need.
const SLACK: usize = 2;

/// Values whose memory is used again.
#[derive(Debug)]
pub(super) struct Buffer<T: Kept> {
    piece: Aligned<T>,
    len: usize,
}

impl<T: Kept> Buffer<T> {
    /// `len` values, whatever they were: for results that are written as a whole.
    pub(super) fn unspecified(len: usize) -> Self {
        let mut kept = T::pieces().lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = kept
            .iter()
            .enumerate()
            .filter(|(_, piece)| {
                (len..=len.saturating_mul(SLACK)).contains(&piece.as_slice().len())
            })
            .min_by_key(|(_, piece)| piece.as_slice().len())
            .map(|(index, _)| index);
        let piece = match fitting {
            Some(index) => kept.swap_remove(index),
            None => {
                let asked = len.saturating_mul(size_of::<T>() * KEPT_LESS);
                shrink(&mut kept, KEPT_BYTES.saturating_sub(asked));
                Aligned::zeros(len)
            }
        };
        drop(kept);
        let mut buffer = Self { piece, len };
        // A kernel that leaves a value out shows at once.
        if cfg!(debug_assertions) {
            buffer.as_mut_slice().fill(T::from_f32(f32::NAN));
        }
        buffer
    }

    /// Takes values over.
    pub(super) fn new(values: Vec<T>) -> Self {
        let len = values.len();
        Self {
            piece: Aligned::from_vec(values),
            len,
        }
    }

    /// Leaves only the first `len` values; their memory stays whole.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// All values, writable.
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.piece.as_mut_slice()[..self.len]
    }
}

impl<T: Kept> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.piece.as_slice()[..self.len]
    }
}

impl<T: Kept> Drop for Buffer<T> {
    fn drop(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        if size_of_val(piece.as_slice()) >= LEAST_BYTES {
            let mut kept = T::pieces().lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(piece);
            if kept.len() > MOST_PIECES {
                shrink(&mut kept, KEPT_BYTES);
            }
        }
    }
}

/// Frees pieces, smallest first, until at most `bytes` are kept.
fn shrink<T: Kept>(kept: &mut Vec<Aligned<T>>, bytes: usize) {
    kept.sort_unstable_by_key(|piece| std::cmp::Reverse(piece.as_slice().len()));
    let mut total: usize = kept.iter().map(|piece| size_of_val(piece.as_slice())).sum();
    while total > bytes {
        let Some(piece) = kept.pop() else { return };
        total -= size_of_val(piece.as_slice());
    }
}

/// Gives all kept memory back to the system: at the end of a picture.
pub fn release() {
    fn clear<T: Kept>() {
        let mut kept = T::pieces().lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        kept.shrink_to_fit();
    }
    clear::<f32>();
    clear::<bf16>();
}

/// A number of activations, with the store of its type.
pub(super) trait Kept: Element {
    fn pieces() -> &'static Mutex<Vec<Aligned<Self>>>;
}

impl Kept for f32 {
    fn pieces() -> &'static Mutex<Vec<Aligned<Self>>> {
        static PIECES: Mutex<Vec<Aligned<f32>>> = Mutex::new(Vec::new());
        &PIECES
    }
}

impl Kept for bf16 {
    fn pieces() -> &'static Mutex<Vec<Aligned<Self>>> {
        static PIECES: Mutex<Vec<Aligned<bf16>>> = Mutex::new(Vec::new());
        &PIECES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_piece_is_the_next_of_its_size_and_a_distant_size_is_not() {
        // A length that no other test uses: the store is shared.
        let len = 123_457;
        let first = Buffer::<f32>::unspecified(len);
        let place = first.as_ptr();
        drop(first);
        let far = Buffer::<f32>::unspecified(len / 8);
        assert_ne!(far.as_ptr(), place);
        let again = Buffer::<f32>::unspecified(len - 10);
        assert_eq!((again.as_ptr(), again.len()), (place, len - 10));
        drop(again);
        let whole = Buffer::<f32>::unspecified(len);
        assert_eq!((whole.as_ptr(), whole.len()), (place, len));
    }

    fn lengths(kept: &[Aligned<f32>]) -> Vec<usize> {
        kept.iter().map(|piece| piece.as_slice().len()).collect()
    }

    #[test]
    fn what_is_kept_shrinks_from_the_smallest() {
        let mut kept: Vec<Aligned<f32>> = [10, 40, 20].map(Aligned::zeros).into();
        shrink(&mut kept, 60 * size_of::<f32>());
        assert_eq!(lengths(&kept), [40, 20]);
        shrink(&mut kept, 0);
        assert!(kept.is_empty());
    }
}
