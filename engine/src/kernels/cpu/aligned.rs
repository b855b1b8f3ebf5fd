//! Memory of large arrays, straight from the system.
//!
//! An allocator keeps what is freed for later, and after a few large blocks that means all of it: a
//! finished stage would go on holding hundreds of megabytes. Aligned of their own go back at once, and
//! may be huge ones, which spares the processor most of its address translations.

use memmap2::MmapMut;

/// Smaller arrays come from the allocator: pages cost a call to the system each time.
const LEAST_BYTES: usize = 1 << 20;

/// An array of numbers whose start is at a cache line.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    place: Place<T>,
    len: usize,
}

#[derive(Debug)]
enum Place<T> {
    /// The values, after as many as it takes to reach a cache line.
    Heap {
        padded: Vec<T>,
        first: usize,
    },
    System(MmapMut),
}

const LINE_BYTES: usize = 64;

impl<T: bytemuck::Pod> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let place = system(len.saturating_mul(size_of::<T>())).map_or_else(
            || {
                let padded = vec![T::zeroed(); len + LINE_BYTES / size_of::<T>()];
                let first = padded.as_ptr().align_offset(LINE_BYTES);
                let first = first.min(padded.len() - len);
                Place::Heap { padded, first }
            },
            Place::System,
        );
        Self { place, len }
    }

    /// The values.
    pub(crate) fn as_slice(&self) -> &[T] {
        match &self.place {
            Place::Heap { padded, first } => &padded[*first..][..self.len],
            Place::System(map) => &bytemuck::cast_slice(map)[..self.len],
        }
    }

    /// The values, writable.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        match &mut self.place {
            Place::Heap { padded, first } => &mut padded[*first..][..self.len],
            Place::System(map) => &mut bytemuck::cast_slice_mut(map)[..self.len],
        }
    }

    /// Takes values over where they lie.
    pub(crate) fn from_vec(values: Vec<T>) -> Self {
        let len = values.len();
        let place = Place::Heap {
            padded: values,
            first: 0,
        };
        Self { place, len }
    }
}

/// `bytes` zeros from the system, if that many are worth a call and to be had.
fn system(bytes: usize) -> Option<MmapMut> {
    if bytes < LEAST_BYTES {
        return None;
    }
    let map = MmapMut::map_anon(bytes).ok()?;
    // A hint: where the system has no huge pages, small ones do.
    #[cfg(target_os = "linux")]
    let _refused = map.advise(memmap2::Advice::HugePage).is_err();
    Some(map)
}

impl<T> Aligned<T> {
    /// No values.
    pub(crate) const EMPTY: Self = Self {
        place: Place::Heap {
            padded: Vec::new(),
            first: 0,
        },
        len: 0,
    };
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn arrays_of_any_size_are_zeros_at_a_cache_line_and_can_be_written() {
        for len in [0, 1, 1000, LEAST_BYTES / 4 - 1, LEAST_BYTES / 4, 700_001] {
            let mut array = Aligned::<f32>::zeros(len);
            assert_eq!(array.as_slice().len(), len);
            assert!(array.as_slice().iter().all(|&value| value == 0.0), "{len}");
            assert_eq!(
                array.as_slice().as_ptr().align_offset(LINE_BYTES),
                0,
                "{len}"
            );
            array.as_mut_slice().fill(2.0);
            assert!(array.as_slice().iter().all(|&value| value == 2.0), "{len}");
        }
        assert_eq!(Aligned::<bf16>::zeros(1 << 20).as_slice().len(), 1 << 20);
    }
}
