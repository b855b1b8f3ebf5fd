//! Matrix product with packed weights: what linear layers and 1x1 convolutions are.

use half::bf16;

use super::aligned::Aligned;
use super::driver::{PanelsOf, Product, RowSource, converted, same_type};
use super::pack::PackedMatrix;
use super::simd::{Element, Precision};
use super::tile::TileElement;

pub use super::epilogue::Epilogue;
pub use super::shared::{Rows, RowsMut};

/// `out = epilogue(a * b)`.
///
/// `a` (m, k) and `out` (m, n): row-major, any strides, f32 or bf16. `b`: a weight of k inputs and n
/// outputs ([`PackedMatrix::linear`], or [`PackedMatrix::gated`] whose result is half as wide).
/// Sums are f32 in the order of the inputs; against exact arithmetic on the rounded inputs the error
/// is that of k f32 additions. Each row's bits depend on that row, `b` and the epilogue alone.
///
/// # Panics
/// If shapes do not fit.
pub fn matmul<A: Element, O: Element>(
    a: Rows<'_, A>,
    b: &PackedMatrix,
    epilogue: &Epilogue<'_, O>,
    out: RowsMut<'_, O>,
) {
    assert_eq!(
        (a.cols, 1),
        (b.run, b.taps),
        "columns of the left side against inputs of the right"
    );
    match b.tiles() {
        Precision::F32 => product::<A, f32, O>(a, b, epilogue, out),
        Precision::Bf16 => product::<A, bf16, O>(a, b, epilogue, out),
    }
}

fn product<A: Element, T: TileElement, O: Element>(
    a: Rows<'_, A>,
    b: &PackedMatrix,
    epilogue: &Epilogue<'_, O>,
    mut out: RowsMut<'_, O>,
) {
    let as_is = if b.run == b.run_packed {
        same_type::<A, T>(a.data)
    } else {
        None
    };
    let converted = as_is.is_none().then(|| {
        let mut buffer = Aligned::<T>::zeros(a.rows * b.run_packed);
        converted(b.isa, a, b.run_packed, buffer.as_mut_slice());
        buffer
    });
    let (data, stride) = match (&converted, as_is) {
        (Some(buffer), _) => (buffer.as_slice(), b.run_packed),
        (None, data) => (data.unwrap_or_default(), a.stride),
    };
    let source = Plain {
        start: data.as_ptr(),
        stride,
    };
    let (rows, panels) = (a.rows, PanelsOf::<T>::new(b));
    let product = Product {
        source,
        rows,
        b,
        panels,
        epilogue,
    };
    // SAFETY: `data` holds a.rows rows of b.run_packed values, `stride` apart, and outlives the call.
    unsafe { product.compute(&mut out) };
}

/// Rows a fixed distance apart.
struct Plain<T> {
    start: *const T,
    stride: usize,
}

// SAFETY: the pointer is only read through, from memory that outlives the product.
unsafe impl<T: Element> Sync for Plain<T> {}

impl<T: Element> RowSource for Plain<T> {
    #[inline(always)]
    fn pointers(&self, row: usize, out: &mut [*const u8], _: usize) {
        out[0] = self.start.wrapping_add(row * self.stride).cast();
    }
}
