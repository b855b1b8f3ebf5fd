//! The fast CPU path: NHWC activations, weights packed once, f32 and bf16.
//!
//! # Layout
//! An activation is a row-major matrix: a picture of `h` x `w` pixels with `c` channels is `h * w`
//! rows of `c` values (NHWC), a token sequence is one row per token. Rows may lie apart by a stride,
//! so a slice of columns (one third of a fused QKV, one half of a concatenation) needs no copy.
//!
//! # Precision
//! Values are stored as `f32` or [`half::bf16`] ([`Element`]); every sum is kept in f32. Weights are
//! packed for one of the two ([`Precision`]), or as integers to be widened ([`Packing`]); an activation
//! in the other precision is converted on entry, so a network that means to be fast keeps its
//! activations in its weights' precision.
//! In bf16 the products use the processor's dot product where it has one that is faster than its f32
//! multiply-add; elsewhere bf16 weights are widened as they are used, and the arithmetic is f32's. So
//! it is everywhere in convolutions with few products ([`conv`]), which take fewer still in f32.
//!
//! # Determinism
//! Work is split over rows and columns of the result, never over a sum, and every split is made of
//! whole tiles: the bits do not depend on the number of threads, nor on the batch a row is in.
//! They do depend on the [`Isa`], whose tiles round in another order.
//!
//! # Threads
//! Kernels run on the rayon pool they are called from (`pool.install(|| …)`).
//!
//! # Map
//! | module | what it holds |
//! |---|---|
//! | `isa`, `simd`, `avx512`, `avx2`, `portable` | what the processor can do, and one set of vector operations on each |
//! | `math` | exp, erf and the activation functions on vectors, with their error bounds |
//! | [`pack`] | weights in the order in which the tiles read them |
//! | `tile`, `driver`, `epilogue` | the register tile, the loops around it that matrix product and convolution share, and what happens to a finished sum |
//! | [`gemm`], [`conv`], [`attention`] | the three products |
//! | `winograd`, `doubling` | 3x3 convolutions with a quarter of the products; those of pictures doubled by repetition |
//! | `places` | what these two share |
//! | `strips` | group norm in front of a convolution without a normalised map in memory |
//! | `aligned` | memory of large arrays, which goes back to the system |
//! | [`norm`], [`elementwise`] | group and layer norm, softmax, activations, sums, concatenation, conversion |
//! | [`mod@reference`] | the slow twin of each kernel, in plain Rust |
//! | [`peak`] | the processor's ceiling, for measurements |
//! | `verify` | compares an instruction set with the slow twins before it is trusted |

pub(crate) mod aligned;
pub mod attention;
mod avx2;
mod avx512;
pub mod conv;
mod doubling;
mod driver;
pub mod elementwise;
pub mod epilogue;
pub mod gemm;
mod isa;
mod math;
pub mod norm;
pub mod pack;
pub mod peak;
mod places;
mod portable;
pub mod reference;
pub mod shared;
mod simd;
mod strips;
mod tile;
mod verify;
mod winograd;

#[cfg(test)]
mod tests;

pub use self::isa::Isa;
pub use self::math::Activation;
pub use self::simd::{Element, Packing, Precision};
pub use self::verify::trusted_isa;
