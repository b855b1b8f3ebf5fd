//! The tensor library's path: maps (B, C, H, W), tokens (B, N, C). The path for GPUs, and the slow
//! twin of the kernels. Products take their weight's number type, and their results have it; norms
//! and softmax are computed in f32, where half the bits would show. What comes in as a map channels last
//! goes out as one (see [`crate::nn::MapOrder`]).
//!
//! What stands between the products runs in the fused kernels of [`cuda`] where they serve, convolutions in
//! cuDNN where it does, and all in the library's own operations elsewhere.

use candle_core::{D, DType, Device, Tensor};

use super::{Activation, Then, kernel, named};
use crate::backend::flash_attention;
use crate::error::Result;
use crate::kernels::{cpu, cuda};
use crate::nn::act::Repr;
use crate::nn::layers::Values;
use crate::nn::order::{as_it_lies, logical, order_of, ordered, physical, to_dtype};
use crate::nn::{Act, Conv2d, Embedding, FIRST_LEARNED, Linear, MapOrder};

#[cfg(test)]
mod tests;

/// Attention scores are held for as many queries at a time as fit in this.
const SCORES_LIMIT_BYTES: usize = 256 << 20;

fn act(tensor: Tensor) -> Act {
    Act(Repr::Tensor(tensor))
}

fn bias_of(values: Option<&Values>) -> Option<&Tensor> {
    match values {
        Some(Values::Tensor(bias)) => Some(bias),
        Some(Values::Host(_)) | None => None,
    }
}

fn function(x: &Tensor, function: Activation) -> candle_core::Result<Tensor> {
    match function {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&x.affine(1.702, 0.0)?)?,
        Activation::Relu => x.relu(),
    }
}

fn kernel_or_none(function: Option<Activation>) -> cpu::Activation {
    function.map_or(cpu::Activation::None, kernel)
}

/// What comes after a product, on maps or tokens.
fn finish(y: Tensor, bias: Option<&Tensor>, then: &Then<'_>) -> Result<Act> {
    if bias.is_none() && then.vector.or(then.residual).is_none() && then.activation.is_none() {
        return Ok(act(y));
    }
    let order = order_of(&y);
    let (dims, dtype) = (y.dims().to_vec(), y.dtype());
    // Channels last, a map is the tokens of its pixels, and done as these are.
    let rows = |x: &Tensor| match order {
        MapOrder::ChannelsFirst => x.contiguous(),
        MapOrder::ChannelsLast => physical(x, order)?.flatten(1, 2),
    };
    let residual = then
        .residual
        .map(|part| -> Result<Tensor> { Ok(rows(&to_dtype(&part.tensor()?, dtype)?)?) });
    let residual = residual.transpose()?;
    let vector = then
        .vector
        .map(|part| -> Result<Tensor> { Ok(part.tensor()?.to_dtype(dtype)?) });
    let vector = vector.transpose()?;
    let with = cuda::Finish {
        bias,
        vector: vector.as_ref(),
        activation: kernel_or_none(then.activation),
        residual: residual.as_ref(),
    };
    let run = || {
        let y = {
            let y = y;
            rows(&y)?
        };
        let done = match cuda::finish(&y, with) {
            Some(done) => done?,
            None => finish_plainly(y, with, then.activation)?,
        };
        match (order, dims.as_slice()) {
            (MapOrder::ChannelsLast, &[b, c, h, w]) => logical(done.reshape((b, h, w, c))?, order),
            _ => Ok(done),
        }
    };
    Ok(act(named("after a product", run())?))
}

/// Takes `y`, so that its memory is free after the first part.
fn finish_plainly(
    mut y: Tensor,
    with: cuda::Finish<'_>,
    then: Option<Activation>,
) -> candle_core::Result<Tensor> {
    if let Some(bias) = with.bias {
        let bias = bias.to_dtype(y.dtype())?;
        y = y.broadcast_add(&if y.rank() == 4 {
            bias.reshape((1, (), 1, 1))?
        } else {
            bias
        })?;
    }
    if let Some(vector) = with.vector {
        y = y.broadcast_add(&if y.rank() == 4 {
            vector.squeeze(1)?.unsqueeze(2)?.unsqueeze(3)?
        } else {
            vector.clone()
        })?;
    }
    if let Some(then) = then {
        y = function(&y, then)?;
    }
    match with.residual {
        Some(residual) => y + residual,
        None => Ok(y),
    }
}

pub(super) fn activate(x: &Tensor, activation: Activation) -> Result<Act> {
    let y = as_it_lies(x, |x| function(x, activation));
    Ok(act(named("activation", y)?))
}

pub(super) fn soft_clamp_3(x: &Tensor) -> Result<Act> {
    let y = as_it_lies(x, |x| x.affine(1.0 / 3.0, 0.0)?.tanh()?.affine(3.0, 0.0));
    Ok(act(named("soft clamp", y)?))
}

pub(super) fn affine(x: &Tensor, scale: f64, offset: f64) -> Result<Act> {
    let y = as_it_lies(x, |x| x.affine(scale, offset));
    Ok(act(named("affine", y)?))
}

pub(super) fn add(a: &Tensor, b: &Tensor) -> Result<Act> {
    let order = order_of(a);
    let b = to_dtype(b, a.dtype()).and_then(|b| physical(&b, order));
    Ok(act(named("add", as_it_lies(a, |a| a + b?))?))
}

pub(super) fn concat_channels(a: &Tensor, b: &Tensor) -> Result<Act> {
    let order = order_of(a);
    let channels = match order {
        MapOrder::ChannelsFirst => 1,
        MapOrder::ChannelsLast => 3,
    };
    let run = || {
        let b = physical(&to_dtype(b, a.dtype())?, order)?;
        logical(Tensor::cat(&[physical(a, order)?, b], channels)?, order)
    };
    Ok(act(named("concat", run())?))
}

/// In the widest number type among them: a weighted prompt is f32 beside one as the encoder made it.
pub(super) fn stack(items: &[Tensor]) -> Result<Act> {
    let types = items.iter().map(Tensor::dtype);
    let widest = types.max_by_key(|dtype| dtype.size_in_bytes());
    let order = items.first().map(order_of).unwrap_or_default();
    let run = || {
        let alike: candle_core::Result<Vec<_>> = items
            .iter()
            .map(|item| physical(&to_dtype(item, widest.unwrap_or(item.dtype()))?, order))
            .collect();
        logical(Tensor::cat(&alike?, 0)?, order)
    };
    Ok(act(named("stack", run())?))
}

/// The pictures of a batch.
pub(super) fn unstack(x: &Tensor, index: usize) -> Result<Act> {
    let one = x
        .narrow(0, index, 1)
        .and_then(|one| ordered(&one, order_of(x)));
    Ok(act(named("unstack", one)?))
}

/// Channels last where the map or the weight is.
pub(super) fn conv2d(x: &Tensor, weight: &Tensor, conv: &Conv2d, then: &Then<'_>) -> Result<Act> {
    let bias = super::now(&conv.bias)?;
    let order = match order_of(x) {
        MapOrder::ChannelsFirst => order_of(weight),
        MapOrder::ChannelsLast => MapOrder::ChannelsLast,
    };
    let convolved = |order: MapOrder| {
        if !cuda::convolves(x.device(), order) {
            return Ok(None);
        }
        let (x, padding) = padded(&to_dtype(x, weight.dtype())?, conv, order)?;
        let windows = (conv.stride, padding);
        let y = cuda::conv2d(&x, &physical(weight, order)?, windows, order);
        y.map(|y| logical(y, order)).transpose()
    };
    let plain = || {
        let (x, padding) = padded(&to_dtype(x, weight.dtype())?, conv, MapOrder::ChannelsFirst)?;
        x.conv2d(&weight.contiguous()?, padding, conv.stride, 1, 1)
    };
    let run = || {
        let mut y = convolved(order)?;
        if y.is_none() && order == MapOrder::ChannelsLast {
            y = convolved(MapOrder::ChannelsFirst)?;
        }
        ordered(&y.map_or_else(plain, Ok)?, order)
    };
    finish(named("convolution", run())?, bias_of(bias.as_deref()), then)
}

/// The memory of a map in that order, padded where that is not the same on all sides, and the zeros that are still to
/// be thought around it.
fn padded(x: &Tensor, conv: &Conv2d, order: MapOrder) -> candle_core::Result<(Tensor, usize)> {
    let x = physical(x, order)?;
    let (before, after) = (conv.padding.before, conv.padding.after);
    if before == after {
        return Ok((x, before));
    }
    let (height, width) = match order {
        MapOrder::ChannelsFirst => (2, 3),
        MapOrder::ChannelsLast => (1, 2),
    };
    let x = x.pad_with_zeros(height, before, after)?;
    let x = x.pad_with_zeros(width, before, after)?;
    Ok((x.contiguous()?, 0))
}

/// Nearest neighbour, to a height and width.
pub(super) fn enlarge(x: &Tensor, size: (usize, usize)) -> Result<Act> {
    let order = order_of(x);
    let plain = || ordered(&x.contiguous()?.upsample_nearest2d(size.0, size.1)?, order);
    let run = || match order {
        MapOrder::ChannelsFirst => plain(),
        MapOrder::ChannelsLast => match cuda::enlarge(&physical(x, order)?, size) {
            Some(y) => logical(y?, order),
            None => plain(),
        },
    };
    Ok(act(named("upsampling", run())?))
}

fn product(x: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
    let (b, n, c) = x.dims3()?;
    let x = x.to_dtype(weight.dtype())?;
    let y = x.reshape((b * n, c))?.matmul(&weight.t()?)?;
    y.reshape((b, n, ()))
}

pub(super) fn linear(x: &Tensor, weight: &Tensor, layer: &Linear, then: &Then<'_>) -> Result<Act> {
    let bias = super::now(&layer.bias)?;
    let y = named("linear layer", product(x, weight))?;
    finish(y, bias_of(bias.as_deref()), then)
}

pub(super) fn geglu(x: &Tensor, weight: &Tensor, layer: &Linear) -> Result<Act> {
    let bias = super::now(&layer.bias)?;
    let run = || gated(&product(x, weight)?, bias_of(bias.as_deref()));
    Ok(act(named("gated layer", run())?))
}

/// The first half of each row times gelu of the second.
fn gated(both: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
    if let Some(y) = cuda::geglu(both, bias) {
        return y;
    }
    let both = match bias {
        Some(bias) => both.broadcast_add(&bias.to_dtype(both.dtype())?)?,
        None => both.clone(),
    };
    let half = both.dim(D::Minus1)? / 2;
    let gate = both.narrow(D::Minus1, half, half)?.contiguous()?;
    both.narrow(D::Minus1, 0, half)? * gate.gelu_erf()?
}

pub(super) fn group_norm(
    x: &Tensor,
    (groups, epsilon): (usize, f64),
    [weight, bias]: [&Tensor; 2],
    then: Option<Activation>,
) -> Result<Act> {
    let order = order_of(x);
    let plain = || {
        let (b, c, h, w) = x.dims4()?;
        let grouped =
            x.to_dtype(DType::F32)?
                .contiguous()?
                .reshape((b, groups, c / groups * h * w))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(2)?)?;
        let variance = centred.sqr()?.mean_keepdim(2)?;
        let scale = variance.affine(1.0, epsilon)?.sqrt()?.recip()?;
        let y = centred.broadcast_mul(&scale)?.reshape((b, c, h, w))?;
        let y = y
            .broadcast_mul(&weight.reshape((1, c, 1, 1))?)?
            .broadcast_add(&bias.reshape((1, c, 1, 1))?)?;
        let y = then.map_or(Ok(y.clone()), |then| function(&y, then))?;
        ordered(&y.to_dtype(x.dtype())?, order)
    };
    let run = || {
        let norm = cuda::GroupNorm {
            order,
            groups,
            epsilon,
            weight,
            bias,
            activation: kernel_or_none(then),
        };
        match cuda::group_norm(&physical(x, order)?, norm) {
            Some(y) => logical(y?, order),
            None => plain(),
        }
    };
    Ok(act(named("group norm", run())?))
}

pub(super) fn layer_norm(x: &Tensor, [weight, bias]: [&Tensor; 2], epsilon: f64) -> Result<Act> {
    let plain = || {
        let wide = x.to_dtype(DType::F32)?.contiguous()?;
        candle_nn::ops::layer_norm(&wide, weight, bias, epsilon as f32)?.to_dtype(x.dtype())
    };
    let fused = cuda::layer_norm(x, [weight, bias], epsilon);
    Ok(act(named("layer norm", fused.unwrap_or_else(plain))?))
}

pub(super) fn embed(ids: &[u32], values: &Tensor, table: &Embedding) -> Result<Act> {
    let mut learned = Vec::new();
    for (at, &id) in ids.iter().enumerate() {
        if let Some(row) = super::learned_row(table, id) {
            learned.push((at, row?));
        }
    }
    let run = || {
        let known: Vec<u32> = ids
            .iter()
            .map(|&id| if id < FIRST_LEARNED { id } else { 0 })
            .collect();
        let mut rows = values.index_select(&Tensor::new(known, values.device())?, 0)?;
        for (at, row) in learned {
            let row = Tensor::from_slice(row, (1, table.channels), values.device())?;
            let row = row.to_dtype(values.dtype())?;
            rows = rows.slice_scatter0(&row, at)?;
        }
        rows.unsqueeze(0)
    };
    Ok(act(named("embedding", run())?))
}

/// Streams over the keys where the device has a kernel for that; elsewhere in slices of the queries,
/// sized from the shapes alone.
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    causal: bool,
) -> Result<Act> {
    let run = || {
        let (b, n, c) = q.dims3()?;
        let m = k.dim(1)?;
        let (k, v) = (&k.to_dtype(q.dtype())?, &v.to_dtype(q.dtype())?);
        let heads_of = |x: &Tensor, n: usize| x.reshape((b, n, heads, c / heads));
        let parts = [heads_of(q, n)?, heads_of(k, m)?, heads_of(v, m)?];
        if let Some(y) = flash_attention(&parts, causal) {
            return y?.reshape((b, n, c));
        }
        let split = |x: &Tensor, n: usize| {
            x.reshape((b, n, heads, c / heads))?
                .transpose(1, 2)?
                .contiguous()
        };
        let scale = 1.0 / ((c / heads) as f64).sqrt();
        let q = split(&q.affine(scale, 0.0)?, n)?;
        let (k, v) = (split(k, m)?.t()?.contiguous()?, split(v, m)?);
        let rows = (SCORES_LIMIT_BYTES / (4 * b * heads * m).max(1)).clamp(1, n);
        let mut slices = Vec::with_capacity(n.div_ceil(rows));
        for first in (0..n).step_by(rows) {
            let count = rows.min(n - first);
            let mut scores = q.narrow(2, first, count)?.contiguous()?.matmul(&k)?;
            scores = scores.to_dtype(DType::F32)?;
            if causal {
                scores = scores.broadcast_add(&causal_mask(first, count, m, q.device())?)?;
            }
            let shares = candle_nn::ops::softmax_last_dim(&scores)?;
            slices.push(shares.to_dtype(q.dtype())?.matmul(&v)?);
        }
        let y = if slices.len() == 1 {
            slices.remove(0)
        } else {
            Tensor::cat(&slices, 2)?
        };
        y.transpose(1, 2)?.contiguous()?.reshape((b, n, c))
    };
    Ok(act(named("attention", run())?))
}

fn causal_mask(
    first: usize,
    count: usize,
    keys: usize,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let mut mask = Vec::with_capacity(count * keys);
    for query in first..first + count {
        mask.extend((0..keys).map(|key| if key > query { f32::NEG_INFINITY } else { 0.0 }));
    }
    Tensor::from_vec(mask, (count, keys), device)
}

/// Channels last, a map and its tokens are the same memory.
pub(super) fn tokens_from_map(x: &Tensor) -> Result<Act> {
    let run = || physical(x, MapOrder::ChannelsLast)?.flatten(1, 2);
    Ok(act(named("layout", run())?))
}

/// A map of the size and in the order of `like`.
pub(super) fn map_from_tokens(x: &Tensor, like: &Tensor) -> Result<Act> {
    let run = || {
        let (b, _, c) = x.dims3()?;
        let (_, _, height, width) = like.dims4()?;
        let map = x.contiguous()?.reshape((b, height, width, c))?;
        ordered(&logical(map, MapOrder::ChannelsLast)?, order_of(like))
    };
    Ok(act(named("layout", run())?))
}
