//! Without cuDNN in the program, the tensor library convolves.

use candle_core::{Device, Tensor};

use super::MapOrder;

/// Whether cuDNN convolves maps of that order on `device`.
pub fn convolves(_device: &Device, _order: MapOrder) -> bool {
    false
}

/// Convolution of a map with a weight, (B, C, H, W) with (O, C, k, l) or (B, H, W, C) with (O, k, l, C), with the
/// same stride and the same padding of zeros on all sides.
pub fn conv2d(
    _x: &Tensor,
    _weight: &Tensor,
    (_stride, _padding): (usize, usize),
    _order: MapOrder,
) -> Option<Tensor> {
    None
}
