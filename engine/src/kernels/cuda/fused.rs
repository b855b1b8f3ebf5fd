//! The fused operations, where they may be used.

use candle_core::{DType, Device, Result, Tensor};

use super::verify;
use super::{Finish, GroupNorm, MapOrder, function, launch};

/// Whether the fused kernels compute on `device`: asked the first time of a card, they are compared there with
/// their slow twins, and used only if all agree.
pub fn trusted(device: &Device) -> bool {
    verify::FUSED.of(device, verify::agrees)
}

/// Whether a kernel can read `x`, its type, and is trusted there.
fn serves(x: &Tensor) -> bool {
    x.device().is_cuda()
        && matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16)
        && x.is_contiguous()
        && x.elem_count() > 0
        && trusted(x.device())
}

/// Whether `part` has `count` values of `dtype` beside `x`.
fn fits(part: &Tensor, x: &Tensor, dtype: DType, count: usize) -> bool {
    part.dtype() == dtype
        && part.elem_count() == count
        && part.is_contiguous()
        && part.device().same_device(x.device())
}

/// Group normalisation of a map, (B, C, H, W) or (B, H, W, C) as its order says.
pub fn group_norm(x: &Tensor, norm: GroupNorm<'_>) -> Option<Result<Tensor>> {
    let channels = match (norm.order, x.dims()) {
        (MapOrder::ChannelsFirst, &[_, channels, _, _])
        | (MapOrder::ChannelsLast, &[_, _, _, channels]) => channels,
        _ => return None,
    };
    let fit = norm.groups > 0
        && channels.is_multiple_of(norm.groups)
        && function(norm.activation).is_some()
        && fits(norm.weight, x, DType::F32, channels)
        && fits(norm.bias, x, DType::F32, channels);
    (fit && serves(x)).then(|| launch::group_norm(x, norm))
}

/// Layer normalisation over the last dimension, with f32 `weight` and `bias`.
pub fn layer_norm(x: &Tensor, scales: [&Tensor; 2], epsilon: f64) -> Option<Result<Tensor>> {
    let channels = *x.dims().last()?;
    let fit = scales
        .iter()
        .all(|part| fits(part, x, DType::F32, channels));
    (fit && serves(x)).then(|| launch::layer_norm(x, scales, epsilon))
}

/// (B, N, 2 C) with an f32 bias to (B, N, C): the first half times gelu of the second.
pub fn geglu(both: &Tensor, bias: Option<&Tensor>) -> Option<Result<Tensor>> {
    let channels = *both.dims().last()?;
    let fit = channels.is_multiple_of(2)
        && bias.is_none_or(|bias| fits(bias, both, DType::F32, channels));
    (fit && serves(both)).then(|| launch::geglu(both, bias))
}

/// What comes after a product, on a map (B, C, H, W) or tokens (B, N, C).
pub fn finish(y: &Tensor, with: Finish<'_>) -> Option<Result<Tensor>> {
    let (pictures, channels) = match y.dims() {
        &[pictures, channels, _, _] | &[pictures, _, channels] => (pictures, channels),
        _ => return None,
    };
    let fit =
        |part: Option<&Tensor>, dtype, count| part.is_none_or(|part| fits(part, y, dtype, count));
    let fit = function(with.activation).is_some()
        && fit(with.bias, DType::F32, channels)
        && fit(with.vector, y.dtype(), pictures * channels)
        && fit(with.residual, y.dtype(), y.elem_count());
    (fit && serves(y)).then(|| launch::finish(y, with))
}

/// A map (B, H, W, C) to (B, H', W', C) by nearest neighbour.
pub fn enlarge(x: &Tensor, size: (usize, usize)) -> Option<Result<Tensor>> {
    let fit = x.rank() == 4 && size.0 > 0 && size.1 > 0;
    (fit && serves(x)).then(|| launch::enlarge(x, size))
}
