//! Hand-written compute kernels behind [`crate`]'s network operations.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cpu`] | matrix product, convolution, attention, norms and element-wise passes for CPUs, chosen at run time by what the processor can do |
//!
//! Kernels know slices, shapes and strides, and nothing of tensors, models or devices.

pub mod cpu;
