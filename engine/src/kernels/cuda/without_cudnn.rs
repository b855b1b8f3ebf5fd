//! Without cuDNN in the program, the tensor library convolves.

use candle_core::{Device, Tensor};

/// Whether cuDNN convolves on `device`.
pub fn convolves(_device: &Device) -> bool {
    false
}

/// Convolution of a map (B, C, H, W) with a weight (O, C, k, l), with the same stride and the same padding of
/// zeros on all sides.
pub fn conv2d(_x: &Tensor, _weight: &Tensor, _stride: usize, _padding: usize) -> Option<Tensor> {
    None
}
