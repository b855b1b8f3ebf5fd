//! Two-dimensional convolution over NHWC pictures, as a product whose rows are gathered by pointer.
//!
//! No window is ever copied: for each output pixel and each place of the window the tile gets a
//! pointer to the input pixel's channels, or to zeros outside the picture. Enlarging the picture to
//! twice its size by repetition before the convolution is then only other pointers.
//!
//! Windows of 3x3 over enough channels take the ways of the modules `winograd` and `doubling` instead, with a
//! quarter of the products.

use std::sync::Arc;

use half::bf16;

use super::aligned::Aligned;
use super::doubling::{self, Doubling};
use super::driver::{PanelsOf, Product, RowSource, converted, same_type};
use super::epilogue::Epilogue;
use super::isa::Isa;
use super::pack::{PackedMatrix, Weight};
use super::shared::{Rows, RowsMut};
use super::simd::{Element, Packing, Precision};
use super::tile::TileElement;
use super::winograd::{self, Winograd};

/// The shape of a batch of pictures: (images, height, width, channels), NHWC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pictures {
    /// Pictures in the batch.
    pub images: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

impl Pictures {
    /// Pixels of all pictures: rows of the matrix that holds them.
    pub fn pixels(&self) -> usize {
        self.images * self.height * self.width
    }
}

/// How the window moves over the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: (usize, usize),
    /// Pixels from one place to the next, down and across.
    pub stride: usize,
    /// Zeros put around the picture: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Whether each pixel is first repeated to two by two.
    pub upsample: bool,
}

impl Window {
    /// A square window of odd size that keeps the picture's size.
    pub fn same(size: usize) -> Self {
        Self {
            kernel: (size, size),
            stride: 1,
            padding: [size / 2; 4],
            upsample: false,
        }
    }

    /// The 3x3 window of stride 2 that halves a picture, with one zero on every side.
    pub fn halving() -> Self {
        Self {
            stride: 2,
            ..Self::same(3)
        }
    }

    /// The 3x3 window of stride 2 with zeros below and to the right only, as AutoencoderKL halves.
    pub fn halving_lower_right() -> Self {
        Self {
            padding: [0, 0, 1, 1],
            ..Self::halving()
        }
    }

    /// The 3x3 window that keeps the size of a picture doubled by repetition.
    pub fn doubling() -> Self {
        Self {
            upsample: true,
            ..Self::same(3)
        }
    }

    /// The shape that comes out of `input`.
    ///
    /// # Panics
    /// If the padded picture is smaller than the window, or the stride is 0.
    pub fn output(&self, input: Pictures) -> Pictures {
        assert!(self.stride > 0, "a window that does not move");
        let [top, left, bottom, right] = self.padding;
        let scale = 1 + usize::from(self.upsample);
        let count = |size: usize, padding: usize, kernel: usize| {
            let padded = size * scale + padding;
            assert!(
                padded >= kernel,
                "{padded} pixels are fewer than the window's {kernel}"
            );
            (padded - kernel) / self.stride + 1
        };
        Pictures {
            images: input.images,
            height: count(input.height, top + bottom, self.kernel.0),
            width: count(input.width, left + right, self.kernel.1),
        }
    }
}

/// A convolution's packed weights and its window. Clones share the weights.
#[derive(Clone, Debug)]
pub struct Conv2d {
    pub(super) window: Window,
    pub(super) weight: Arc<PackedMatrix>,
}

impl Conv2d {
    /// Packs a weight.
    ///
    /// `weight` (outputs, channels, kernel height, kernel width), row-major, as PyTorch stores it.
    ///
    /// # Panics
    /// If `weight` has another number of values.
    pub fn new<W: Weight>(
        isa: Isa,
        packing: impl Into<Packing>,
        weight: &[W],
        (outputs, channels): (usize, usize),
        window: Window,
    ) -> Self {
        let taps = window.kernel.0 * window.kernel.1;
        let weight = PackedMatrix::window(isa, packing, weight, (outputs, channels, taps));
        Self {
            window,
            weight: Arc::new(weight),
        }
    }

    /// The same weight over a picture whose pixels are first repeated to two by two.
    #[must_use]
    pub fn doubling(&self) -> Self {
        Self {
            window: Window {
                upsample: true,
                ..self.window
            },
            ..self.clone()
        }
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The packed weight.
    pub fn weight(&self) -> &PackedMatrix {
        &self.weight
    }

    /// `out = epilogue(convolution of input)`.
    ///
    /// `input` (pixels of `shape`, channels), `out` (pixels of `self.window().output(shape)`,
    /// outputs): NHWC, any strides, f32 or bf16. Accuracy and determinism are those of
    /// [`super::gemm::matmul`].
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn apply<A: Element, O: Element>(
        &self,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        out: RowsMut<'_, O>,
    ) {
        assert_eq!(
            input.rows,
            shape.pixels(),
            "pixels of the input against its shape"
        );
        assert_eq!(
            input.cols, self.weight.run,
            "channels of the input against the weight's"
        );
        if doubling::serves(&self.weight, self.window) {
            return self.apply_doubling(input, shape, epilogue, out);
        }
        let few_products = self.takes_few_products(shape);
        self.apply_window(self.window, few_products, input, shape, epilogue, out);
    }

    /// [`Self::apply`] for [`Window::doubling`], by differences of neighbours.
    pub(super) fn apply_doubling<A: Element, O: Element>(
        &self,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        mut out: RowsMut<'_, O>,
    ) {
        let doubling = Doubling {
            input,
            shape,
            b: &self.weight,
            epilogue,
        };
        doubling.compute(&mut out);
    }

    /// Whether the convolution of pictures of this shape takes Winograd's method.
    pub(super) fn takes_few_products(&self, shape: Pictures) -> bool {
        winograd::serves(&self.weight, self.window, shape)
    }

    /// [`Self::apply`] with another window of the same kernel, by Winograd's method or not.
    pub(super) fn apply_window<A: Element, O: Element>(
        &self,
        window: Window,
        few_products: bool,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        mut out: RowsMut<'_, O>,
    ) {
        if few_products {
            let winograd = Winograd {
                input,
                shape,
                window,
                b: &self.weight,
                epilogue,
            };
            return winograd.compute(&mut out);
        }
        match self.weight.tiles() {
            Precision::F32 => self.products::<A, f32, O>(window, input, shape, epilogue, out),
            Precision::Bf16 => self.products::<A, bf16, O>(window, input, shape, epilogue, out),
        }
    }

    /// Computes the result with tiles of `T`.
    fn products<A: Element, T: TileElement, O: Element>(
        &self,
        window: Window,
        input: Rows<'_, A>,
        shape: Pictures,
        epilogue: &Epilogue<'_, O>,
        mut out: RowsMut<'_, O>,
    ) {
        let b = &*self.weight;
        let as_is = if b.run == b.run_packed {
            same_type::<A, T>(input.data)
        } else {
            None
        };
        let converted = as_is.is_none().then(|| {
            let mut buffer = Aligned::<T>::zeros(input.rows * b.run_packed);
            converted(b.isa, input, b.run_packed, buffer.as_mut_slice());
            buffer
        });
        let (data, stride) = match (&converted, as_is) {
            (Some(buffer), _) => (buffer.as_slice(), b.run_packed),
            (None, data) => (data.unwrap_or_default(), input.stride),
        };
        let outside = Aligned::<T>::zeros(b.run_packed);
        let gather = Gather {
            start: data.as_ptr(),
            stride,
            outside: outside.as_slice().as_ptr(),
            input: shape,
            output: window.output(shape),
            window,
        };
        let rows = gather.output.pixels();
        let product = Product {
            source: gather,
            rows,
            b,
            panels: PanelsOf::<T>::new(b),
            epilogue,
        };
        // SAFETY: `data` holds a row of b.run_packed values for each pixel of `shape`, `stride`
        // apart, `outside` as many zeros; both outlive the call.
        unsafe { product.compute(&mut out) };
    }
}

/// The pixels under the window at each of its places.
#[derive(Clone, Copy)]
struct Gather<T> {
    start: *const T,
    stride: usize,
    outside: *const T,
    input: Pictures,
    output: Pictures,
    window: Window,
}

// SAFETY: the pointers are only read through, from memory that outlives the product.
unsafe impl<T: Element> Sync for Gather<T> {}

impl<T: Element> RowSource for Gather<T> {
    fn pointers(&self, row: usize, out: &mut [*const u8], step: usize) {
        let (x, y) = (
            row % self.output.width,
            row / self.output.width % self.output.height,
        );
        let image = row / (self.output.width * self.output.height);
        let [top, left, ..] = self.window.padding;
        let shift = usize::from(self.window.upsample);
        let (height, width) = (self.input.height << shift, self.input.width << shift);
        let mut slots = out.iter_mut().step_by(step);
        for ky in 0..self.window.kernel.0 {
            // Wraps below 0, which is then not below the height.
            let from_y = (y * self.window.stride + ky).wrapping_sub(top);
            for kx in 0..self.window.kernel.1 {
                let from_x = (x * self.window.stride + kx).wrapping_sub(left);
                let Some(slot) = slots.next() else { return };
                *slot = if from_y < height && from_x < width {
                    let line = image * self.input.height + (from_y >> shift);
                    let pixel = line * self.input.width + (from_x >> shift);
                    self.start.wrapping_add(pixel * self.stride).cast()
                } else {
                    self.outside.cast()
                };
            }
        }
    }
}
