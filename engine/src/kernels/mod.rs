//! Hand-written compute kernels behind [`crate`]'s network operations.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cpu`] | matrix product, convolution, attention, norms and element-wise passes for CPUs, chosen at run time by what the processor can do |
//! | [`cuda`] | what stands between the products, fused, for NVIDIA cards, where it proved itself on the card |
//!
//! Kernels know slices, shapes and strides, and nothing of models. Those for the CPU know no tensors either;
//! those for cards take the tensor library's, whose memory on the card they use.

pub mod cpu;
pub mod cuda;
