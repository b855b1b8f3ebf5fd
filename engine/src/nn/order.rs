//! The order in which the tensor library's maps lie in memory.
//!
//! A map's shape is (B, C, H, W) in any case, as the library counts. Channels last, its strides are those of a
//! contiguous (B, H, W, C), as in PyTorch's memory format of that name. Few operations of the library give such a
//! map back as it came, and some refuse it. So [`super::ops`] hands the library the memory, contiguous in the order
//! that it lies in, and says afterwards which map the result is. Convolution weights set it: where a network was
//! loaded with them channels last, its first convolution turns the map round, and all that follow find it so.

use candle_core::{DType, Result, Tensor};

pub use crate::kernels::cuda::MapOrder;

/// The order that `x` lies in. Where both are the same memory (one channel, one pixel, no map at all), channels first.
pub(super) fn order_of(x: &Tensor) -> MapOrder {
    let last = |x: &Tensor| x.permute((0, 2, 3, 1)).is_ok_and(|x| x.is_contiguous());
    if x.rank() == 4 && !x.is_contiguous() && last(x) {
        MapOrder::ChannelsLast
    } else {
        MapOrder::ChannelsFirst
    }
}

/// A map's memory in that order, contiguous: (B, C, H, W) or (B, H, W, C). Nothing is copied where it lies so.
pub(super) fn physical(x: &Tensor, order: MapOrder) -> Result<Tensor> {
    match order {
        MapOrder::ChannelsFirst => x.contiguous(),
        MapOrder::ChannelsLast => x.permute((0, 2, 3, 1))?.contiguous(),
    }
}

/// The map (B, C, H, W) whose memory in that order is `physical`.
pub(super) fn logical(physical: Tensor, order: MapOrder) -> Result<Tensor> {
    match order {
        MapOrder::ChannelsFirst => Ok(physical),
        MapOrder::ChannelsLast => physical.permute((0, 3, 1, 2)),
    }
}

/// The same map in that order.
pub(super) fn ordered(x: &Tensor, order: MapOrder) -> Result<Tensor> {
    logical(physical(x, order)?, order)
}

/// What an operation on each value by itself makes of `x`, in the order that it lies in.
pub(super) fn as_it_lies(x: &Tensor, op: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let order = order_of(x);
    logical(op(&physical(x, order)?)?, order)
}

/// In that number type, in the order that it lies in.
pub(super) fn to_dtype(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    as_it_lies(x, |x| x.to_dtype(dtype))
}
