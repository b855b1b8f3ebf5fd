//! The only door to compute. Feature maps are (B, C, H, W), tokens (B, N, C), both f32; every
//! operation gives a new activation. This implementation is candle's tensors: the path for GPUs
//! and the slow twin of the faster CPU kernels.

use candle_core::{D, Tensor};

use super::{Act, Conv2d, Embedding, GroupNorm, LayerNorm, Linear};
use crate::error::{EngineError, Result};

/// Attention scores are held for as many queries at a time as fit in this.
const SCORES_LIMIT_BYTES: usize = 256 << 20;

/// Pointwise functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x sigmoid(x).
    Silu,
    /// x Phi(x), exact (erf).
    Gelu,
    /// x sigmoid(1.702 x), OpenAI's CLIP.
    QuickGelu,
    /// max(x, 0).
    Relu,
}

fn named<T>(op: &str, result: candle_core::Result<T>) -> Result<T> {
    result.map_err(|error| EngineError::Compute {
        op: op.to_owned(),
        reason: error.to_string(),
    })
}

/// Applies a pointwise function.
///
/// # Errors
/// `Compute` when the device fails.
pub fn activate(x: &Act, function: Activation) -> Result<Act> {
    let x = &x.0;
    let y = match function {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::QuickGelu => x
            .affine(1.702, 0.0)
            .and_then(|x| candle_nn::ops::sigmoid(&x))
            .and_then(|s| x * s),
        Activation::Relu => x.relu(),
    };
    Ok(Act(named("activation", y)?))
}

/// tanh(x / 3) * 3: the soft clamp in front of a tiny decoder.
///
/// # Errors
/// `Compute` when the device fails.
pub fn soft_clamp_3(x: &Act) -> Result<Act> {
    Ok(Act(named(
        "soft clamp",
        x.0.affine(1.0 / 3.0, 0.0)
            .and_then(|x| x.tanh())
            .and_then(|x| x.affine(3.0, 0.0)),
    )?))
}

/// `scale * x + offset`.
///
/// # Errors
/// `Compute` when the device fails.
pub fn affine(x: &Act, scale: f64, offset: f64) -> Result<Act> {
    Ok(Act(named("affine", x.0.affine(scale, offset))?))
}

/// Elementwise sum of equal shapes.
///
/// # Errors
/// `Compute` when shapes differ or the device fails.
pub fn add(a: &Act, b: &Act) -> Result<Act> {
    Ok(Act(named("add", &a.0 + &b.0)?))
}

/// Adds a vector (B, 1, C) to every pixel of a map (B, C, H, W).
///
/// # Errors
/// `Compute` when shapes differ or the device fails.
pub fn add_to_pixels(map: &Act, vector: &Act) -> Result<Act> {
    let sum = vector
        .0
        .squeeze(1)
        .and_then(|v| v.unsqueeze(2)?.unsqueeze(3))
        .and_then(|v| map.0.broadcast_add(&v));
    Ok(Act(named("add to pixels", sum)?))
}

/// Joins two maps along their channels.
///
/// # Errors
/// `Compute` when sizes differ or the device fails.
pub fn concat_channels(a: &Act, b: &Act) -> Result<Act> {
    Ok(Act(named("concat", Tensor::cat(&[&a.0, &b.0], 1))?))
}

/// Puts activations of one shape into one batch.
///
/// # Errors
/// `Compute` when shapes differ or the device fails.
pub fn stack(items: &[&Act]) -> Result<Act> {
    let tensors: Vec<&Tensor> = items.iter().map(|item| &item.0).collect();
    Ok(Act(named("stack", Tensor::cat(&tensors, 0))?))
}

/// Convolution of a map: (B, in, H, W) to (B, out, H', W').
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn conv2d(x: &Act, conv: &Conv2d) -> Result<Act> {
    let run = || {
        let (x, padding) = if conv.padding.before == conv.padding.after {
            (x.0.clone(), conv.padding.before)
        } else {
            let (before, after) = (conv.padding.before, conv.padding.after);
            (
                x.0.pad_with_zeros(2, before, after)?
                    .pad_with_zeros(3, before, after)?,
                0,
            )
        };
        let y = x
            .contiguous()?
            .conv2d(&conv.weight, padding, conv.stride, 1, 1)?;
        match &conv.bias {
            Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
            None => Ok(y),
        }
    };
    Ok(Act(named("convolution", run())?))
}

/// Nearest-neighbour enlargement of a map to `size` (height, width), then a convolution.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn upsample_conv2d(x: &Act, size: (usize, usize), conv: &Conv2d) -> Result<Act> {
    let grown = named("upsampling", x.0.upsample_nearest2d(size.0, size.1))?;
    conv2d(&Act(grown), conv)
}

/// Fully connected layer on tokens: (B, N, in) to (B, N, out).
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn linear(x: &Act, layer: &Linear) -> Result<Act> {
    let run = || {
        let (b, n, c) = x.0.dims3()?;
        let y = x.0.reshape((b * n, c))?.matmul(&layer.weight.t()?)?;
        let y = match &layer.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape((b, n, ()))
    };
    Ok(Act(named("linear layer", run())?))
}

/// Gated GELU (Shazeer 2020): `layer` gives (B, N, 2 C), the first half times gelu of the second.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn geglu(x: &Act, layer: &Linear) -> Result<Act> {
    let both = linear(x, layer)?.0;
    let run = || {
        let half = both.dim(D::Minus1)? / 2;
        let gate = both
            .narrow(D::Minus1, half, half)?
            .contiguous()?
            .gelu_erf()?;
        both.narrow(D::Minus1, 0, half)? * gate
    };
    Ok(Act(named("gated layer", run())?))
}

/// Group normalisation of a map, then an optional pointwise function.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn group_norm(x: &Act, norm: &GroupNorm, then: Option<Activation>) -> Result<Act> {
    let run = || {
        let (b, c, h, w) = x.0.dims4()?;
        let grouped =
            x.0.contiguous()?
                .reshape((b, norm.groups, c / norm.groups * h * w))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(2)?)?;
        let variance = centred.sqr()?.mean_keepdim(2)?;
        let scale = variance.affine(1.0, norm.epsilon)?.sqrt()?.recip()?;
        let y = centred.broadcast_mul(&scale)?.reshape((b, c, h, w))?;
        y.broadcast_mul(&norm.weight.reshape((1, c, 1, 1))?)?
            .broadcast_add(&norm.bias.reshape((1, c, 1, 1))?)
    };
    let y = Act(named("group norm", run())?);
    then.map_or(Ok(y.clone()), |function| activate(&y, function))
}

/// Layer normalisation of tokens.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn layer_norm(x: &Act, norm: &LayerNorm) -> Result<Act> {
    let x = named("layer norm", x.0.contiguous())?;
    let y = candle_nn::ops::layer_norm(&x, &norm.weight, &norm.bias, norm.epsilon as f32);
    Ok(Act(named("layer norm", y)?))
}

/// Looks up rows: ids (N) to tokens (1, N, C). Every id is below the table's rows.
///
/// # Errors
/// `Compute` when an id is outside the table or the device fails.
pub fn embed(ids: &[u32], table: &Embedding) -> Result<Act> {
    let run = || {
        let ids = Tensor::new(ids, table.weight.device())?;
        table.weight.index_select(&ids, 0)?.unsqueeze(0)
    };
    Ok(Act(named("embedding", run())?))
}

/// The first `rows` rows of a table as tokens (1, rows, C).
///
/// # Errors
/// `Compute` when the table is shorter.
pub fn first_rows(table: &Embedding, rows: usize) -> Result<Act> {
    Ok(Act(named(
        "embedding",
        table
            .weight
            .narrow(0, 0, rows)
            .and_then(|rows| rows.unsqueeze(0)),
    )?))
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017): q (B, N, C), k and v (B, M, C),
/// scale 1 / sqrt(C / heads). `causal`: query i sees keys 0 to i (N = M). Runs in slices of the
/// queries, sized from the shapes alone, so that no scores above 256 MiB are held.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn attention(q: &Act, k: &Act, v: &Act, heads: usize, causal: bool) -> Result<Act> {
    let run = || {
        let (b, n, c) = q.0.dims3()?;
        let m = k.0.dim(1)?;
        let split = |x: &Tensor, n: usize| {
            x.reshape((b, n, heads, c / heads))?
                .transpose(1, 2)?
                .contiguous()
        };
        let scale = 1.0 / ((c / heads) as f64).sqrt();
        let q = split(&q.0.affine(scale, 0.0)?, n)?;
        let (k, v) = (split(&k.0, m)?.t()?.contiguous()?, split(&v.0, m)?);
        let rows = (SCORES_LIMIT_BYTES / (4 * b * heads * m).max(1)).clamp(1, n);
        let mut slices = Vec::with_capacity(n.div_ceil(rows));
        for first in (0..n).step_by(rows) {
            let count = rows.min(n - first);
            let mut scores = q.narrow(2, first, count)?.contiguous()?.matmul(&k)?;
            if causal {
                scores = scores.broadcast_add(&causal_mask(first, count, m, q.device())?)?;
            }
            slices.push(candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?);
        }
        let y = if slices.len() == 1 {
            slices.remove(0)
        } else {
            Tensor::cat(&slices, 2)?
        };
        y.transpose(1, 2)?.contiguous()?.reshape((b, n, c))
    };
    Ok(Act(named("attention", run())?))
}

fn causal_mask(
    first: usize,
    count: usize,
    keys: usize,
    device: &candle_core::Device,
) -> candle_core::Result<Tensor> {
    let mut mask = Vec::with_capacity(count * keys);
    for query in first..first + count {
        mask.extend((0..keys).map(|key| if key > query { f32::NEG_INFINITY } else { 0.0 }));
    }
    Tensor::from_vec(mask, (count, keys), device)
}

/// A map (B, C, H, W) as tokens (B, H W, C).
///
/// # Errors
/// `Compute` when the device fails.
pub fn tokens_from_map(x: &Act) -> Result<Act> {
    Ok(Act(named(
        "layout",
        x.0.flatten_from(2)
            .and_then(|x| x.transpose(1, 2)?.contiguous()),
    )?))
}

/// Tokens (B, H W, C) as a map (B, C, H, W).
///
/// # Errors
/// `Compute` when the count does not fit `size` or the device fails.
pub fn map_from_tokens(x: &Act, (height, width): (usize, usize)) -> Result<Act> {
    let run = || {
        let (b, _, c) = x.0.dims3()?;
        x.0.transpose(1, 2)?
            .contiguous()?
            .reshape((b, c, height, width))
    };
    Ok(Act(named("layout", run())?))
}
