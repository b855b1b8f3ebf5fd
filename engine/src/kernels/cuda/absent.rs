//! Without CUDA no kernel is there, and every caller goes its plain way.

use candle_core::{Device, Result, Tensor};

use super::{Finish, GroupNorm};

/// Whether the fused kernels compute on `device`.
pub fn trusted(_device: &Device) -> bool {
    false
}

/// Group normalisation of a map, (B, C, H, W) or (B, H, W, C) as its order says.
pub fn group_norm(_x: &Tensor, _norm: GroupNorm<'_>) -> Option<Result<Tensor>> {
    None
}

/// Layer normalisation over the last dimension, with f32 `weight` and `bias`.
pub fn layer_norm(_x: &Tensor, _scales: [&Tensor; 2], _epsilon: f64) -> Option<Result<Tensor>> {
    None
}

/// (B, N, 2 C) with an f32 bias to (B, N, C): the first half times gelu of the second.
pub fn geglu(_both: &Tensor, _bias: Option<&Tensor>) -> Option<Result<Tensor>> {
    None
}

/// What comes after a product, on a map (B, C, H, W) or tokens (B, N, C).
pub fn finish(_y: &Tensor, _with: Finish<'_>) -> Option<Result<Tensor>> {
    None
}

/// A map (B, H, W, C) to (B, H', W', C) by nearest neighbour.
pub fn enlarge(_x: &Tensor, _size: (usize, usize)) -> Option<Result<Tensor>> {
    None
}
