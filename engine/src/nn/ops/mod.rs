//! The only door to compute. Every operation gives a new activation. Two paths stand behind it: our
//! CPU kernels (`host`), which keep maps channels last through whole networks, and the tensor
//! library (`tensor`), for GPUs and as the slow twin. A layer knows its path and number type; an activation
//! comes over when it meets one.

mod host;
mod tensor;
mod within;

use std::sync::Arc;

use half::bf16;

use super::act::{Host, Repr};
use super::layers::{ConvWeight, LinearWeight, Scales, Table, Values};
use super::memory::Kept;
use super::{Act, Conv2d, Embedding, FIRST_LEARNED, GroupNorm, LayerNorm, Linear};
use crate::error::{EngineError, Result};
use crate::kernels::cpu::{self, Precision};
use crate::weights::slot::Slot;

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

/// What a product does to its result before storing it, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Then<'a> {
    /// Adds a vector (B, 1, C) to every pixel.
    pub vector: Option<&'a Act>,
    /// Applies a pointwise function.
    pub activation: Option<Activation>,
    /// Adds an activation of the result's shape.
    pub residual: Option<&'a Act>,
}

impl<'a> Then<'a> {
    /// Adds `residual`.
    pub fn add(residual: &'a Act) -> Self {
        Self {
            residual: Some(residual),
            ..Self::default()
        }
    }

    /// Applies `activation`.
    pub fn activate(activation: Activation) -> Self {
        Self {
            activation: Some(activation),
            ..Self::default()
        }
    }
}

pub(super) fn named<T>(op: &str, result: candle_core::Result<T>) -> Result<T> {
    result.map_err(|error| EngineError::Compute {
        op: op.to_owned(),
        reason: error.to_string(),
    })
}

/// A function as the kernels name it.
fn kernel(function: Activation) -> cpu::Activation {
    match function {
        Activation::Silu => cpu::Activation::Silu,
        Activation::Gelu => cpu::Activation::Gelu,
        Activation::QuickGelu => cpu::Activation::QuickGelu,
        Activation::Relu => cpu::Activation::Relu,
    }
}

fn misfit(op: &str) -> EngineError {
    EngineError::Compute {
        op: op.to_owned(),
        reason: "shapes do not fit".to_owned(),
    }
}

/// Runs `$body` with `$x` bound to the host activation of either precision.
macro_rules! on_host {
    ($act:expr, $x:ident => $body:expr) => {
        match $act {
            Repr::F32($x) => Act(Repr::F32($body)),
            Repr::Bf16($x) => Act(Repr::Bf16($body)),
            Repr::Tensor(_) => return Err(misfit("layout")),
        }
    };
}

/// `act` on the host: tensors come over in `precision`, tokens always in f32 (they are the few small
/// inputs, such as the time embedding, whose rounding would show).
fn to_host(act: &Act, precision: Precision) -> Result<Repr> {
    Ok(match &act.0 {
        Repr::Tensor(tensor) => match precision {
            Precision::Bf16 if tensor.rank() == 4 => {
                Repr::Bf16(named("layout", Host::from_tensor(tensor))?)
            }
            _ => Repr::F32(named("layout", Host::from_tensor(tensor))?),
        },
        host => host.clone(),
    })
}

/// Brings `act` to f32 or bf16, as the other operand is.
trait Same: Kept {
    fn same(act: &Act) -> Result<Host<Self>>;

    /// As [`Self::same`] of an activation that is not needed afterwards: its memory may be had.
    fn take(act: Act) -> Result<Host<Self>> {
        Self::same(&act)
    }
}

impl Same for f32 {
    fn same(act: &Act) -> Result<Host<Self>> {
        match &act.0 {
            Repr::F32(host) => Ok(host.clone()),
            Repr::Bf16(host) => Ok(host::converted(host)),
            Repr::Tensor(tensor) => named("layout", Host::from_tensor(tensor)),
        }
    }
}

impl Same for bf16 {
    fn same(act: &Act) -> Result<Host<Self>> {
        match &act.0 {
            Repr::Bf16(host) => Ok(host.clone()),
            Repr::F32(host) => Ok(host::converted(host)),
            Repr::Tensor(tensor) => named("layout", Host::from_tensor(tensor)),
        }
    }
}

/// Applies a pointwise function.
///
/// # Errors
/// `Compute` when the device fails.
pub fn activate(x: &Act, function: Activation) -> Result<Act> {
    match &x.0 {
        Repr::Tensor(x) => tensor::activate(x, function),
        host => Ok(on_host!(host, x => host::activate(x, function))),
    }
}

/// tanh(x / 3) * 3: the soft clamp in front of a tiny decoder.
///
/// # Errors
/// `Compute` when the device fails.
pub fn soft_clamp_3(x: &Act) -> Result<Act> {
    match &x.0 {
        Repr::Tensor(x) => tensor::soft_clamp_3(x),
        host => Ok(on_host!(host, x => host::map(x, |value| (value / 3.0).tanh() * 3.0))),
    }
}

/// `scale * x + offset`.
///
/// # Errors
/// `Compute` when the device fails.
pub fn affine(x: &Act, scale: f64, offset: f64) -> Result<Act> {
    match &x.0 {
        Repr::Tensor(x) => tensor::affine(x, scale, offset),
        host => {
            let (scale, offset) = (scale as f32, offset as f32);
            Ok(on_host!(host, x => host::map(x, |value| value * scale + offset)))
        }
    }
}

/// Elementwise sum of equal shapes.
///
/// # Errors
/// `Compute` when shapes differ or the device fails.
pub fn add(a: &Act, b: &Act) -> Result<Act> {
    match (&a.0, &b.0) {
        (Repr::Tensor(a), Repr::Tensor(b)) => tensor::add(a, b),
        (Repr::Tensor(_), _) => add(b, a),
        (host, _) => Ok(on_host!(host, a => host::add(a, &Same::same(b)?)?)),
    }
}

/// Joins two maps along their channels.
///
/// # Errors
/// `Compute` when sizes differ or the device fails.
pub fn concat_channels(a: &Act, b: &Act) -> Result<Act> {
    match (&a.0, &b.0) {
        (Repr::Tensor(a), Repr::Tensor(b)) => tensor::concat_channels(a, b),
        (Repr::Tensor(_), _) => Err(misfit("concat")),
        (host, _) => Ok(on_host!(host, a => host::concat_channels(a, &Same::same(b)?)?)),
    }
}

/// Puts activations of one shape into one batch.
///
/// # Errors
/// `Compute` when shapes differ or the device fails.
pub fn stack(items: &[&Act]) -> Result<Act> {
    let [first, ..] = items else {
        return Err(misfit("stack"));
    };
    if let Repr::Tensor(_) = first.0 {
        let tensors: Result<Vec<_>> = items.iter().map(|item| item.tensor()).collect();
        return tensor::stack(&tensors?);
    }
    Ok(on_host!(&first.0, first => {
        let parts: Result<Vec<_>> = items.iter().map(|item| Same::same(item)).collect();
        host::stack(first, &parts?)?
    }))
}

/// The pictures of a batch, each a batch of its own.
///
/// # Errors
/// `Compute` when the device fails.
pub fn unstack(x: &Act) -> Result<Vec<Act>> {
    let one = |index: usize| {
        Ok(match &x.0 {
            Repr::Tensor(tensor) => tensor::unstack(tensor, index)?,
            Repr::F32(host) => Act(Repr::F32(host::nth(host, index))),
            Repr::Bf16(host) => Act(Repr::Bf16(host::nth(host, index))),
        })
    };
    (0..x.batch()).map(one).collect()
}

/// Convolution of a map: (B, in, H, W) to (B, out, H', W').
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn conv2d(x: &Act, conv: &Conv2d) -> Result<Act> {
    conv2d_then(x, conv, &Then::default())
}

/// Convolution with more to do on its result.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn conv2d_then(x: &Act, conv: &Conv2d, then: &Then<'_>) -> Result<Act> {
    match conv.weight.get()?.as_ref() {
        ConvWeight::Tensor(weight) => tensor::conv2d(&x.tensor()?, weight, conv, then),
        ConvWeight::Host(weight) => {
            let x = to_host(x, weight.weight().precision())?;
            let bias = now(&conv.bias)?;
            let around = host::Around {
                bias: host_values(bias.as_deref())?,
                ..host::Around::default()
            };
            Ok(on_host!(&x, x => host::conv2d(x, weight, around, then, None)?))
        }
    }
}

/// A convolution of a map that is not needed afterwards: the result of a pointwise one takes its memory
/// where nothing else holds it.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn conv2d_within(x: Act, conv: &Conv2d) -> Result<Act> {
    let weight = conv.weight.get()?;
    let ConvWeight::Host(weight) = weight.as_ref() else {
        return conv2d(&x, conv);
    };
    let host = to_host(&x, weight.weight().precision())?;
    drop(x);
    let bias = now(&conv.bias)?;
    let around = host::Around {
        bias: host_values(bias.as_deref())?,
        ..host::Around::default()
    };
    Ok(Act(match host {
        Repr::F32(x) => Repr::F32(within::conv2d(x, weight, around)?),
        Repr::Bf16(x) => Repr::Bf16(within::conv2d(x, weight, around)?),
        Repr::Tensor(_) => return Err(misfit("layout")),
    }))
}

/// Group normalisation and a pointwise function, then a convolution: what the three give one after
/// another, without a normalised map in memory where it would be large.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn norm_conv2d(
    x: &Act,
    norm: (&GroupNorm, Activation),
    conv: &Conv2d,
    then: &Then<'_>,
) -> Result<Act> {
    normed(x, norm, conv, then, None)
}

/// As [`norm_conv2d`], added to `residual`, whose memory becomes the result's where nothing else
/// holds it.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn norm_conv2d_onto(
    x: &Act,
    norm: (&GroupNorm, Activation),
    conv: &Conv2d,
    residual: Act,
) -> Result<Act> {
    normed(x, norm, conv, &Then::default(), Some(residual))
}

fn normed(
    x: &Act,
    (norm, function): (&GroupNorm, Activation),
    conv: &Conv2d,
    then: &Then<'_>,
    onto: Option<Act>,
) -> Result<Act> {
    let weight = conv.weight.get()?;
    let ConvWeight::Host(weight) = weight.as_ref() else {
        let x = group_norm(x, norm, Some(function))?;
        let onto = onto.as_ref().map(Then::add);
        return conv2d_then(&x, conv, onto.as_ref().unwrap_or(then));
    };
    let x = to_host(x, weight.weight().precision())?;
    let bias = now(&conv.bias)?;
    let scales = [norm.scales.weight.get()?, norm.scales.bias.get()?];
    let around = host::Around {
        norm: Some(host_norm(norm, &scales, Some(function))?),
        bias: host_values(bias.as_deref())?,
        ..host::Around::default()
    };
    Ok(on_host!(&x, x => {
        let onto = onto.map(Same::take).transpose()?;
        host::conv2d(x, weight, around, then, onto)?
    }))
}

/// Nearest-neighbour enlargement of a map to `size` (height, width), then a convolution.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn upsample_conv2d(x: &Act, size: (usize, usize), conv: &Conv2d) -> Result<Act> {
    match conv.weight.get()?.as_ref() {
        ConvWeight::Tensor(weight) => {
            let grown = tensor::enlarge(&x.tensor()?, size)?;
            tensor::conv2d(&grown.tensor()?, weight, conv, &Then::default())
        }
        ConvWeight::Host(weight) => {
            let x = to_host(x, weight.weight().precision())?;
            let bias = now(&conv.bias)?;
            let around = host::Around {
                bias: host_values(bias.as_deref())?,
                grow: Some(size),
                ..host::Around::default()
            };
            Ok(on_host!(&x, x => host::conv2d(x, weight, around, &Then::default(), None)?))
        }
    }
}

/// Fully connected layer on tokens: (B, N, in) to (B, N, out).
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn linear(x: &Act, layer: &Linear) -> Result<Act> {
    linear_then(x, layer, &Then::default())
}

/// Tokens in the number type that `layer` multiplies in, which its results then have too.
///
/// # Errors
/// `Compute` when the device fails.
pub fn in_precision_of(x: &Act, layer: &Linear) -> Result<Act> {
    Ok(match layer.weight.get()?.as_ref() {
        LinearWeight::Tensor(_) => x.clone(),
        LinearWeight::Host(weight) => Act(match weight.precision() {
            Precision::F32 => Repr::F32(Same::same(x)?),
            Precision::Bf16 => Repr::Bf16(Same::same(x)?),
        }),
    })
}

/// Fully connected layer with more to do on its result.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn linear_then(x: &Act, layer: &Linear, then: &Then<'_>) -> Result<Act> {
    match layer.weight.get()?.as_ref() {
        LinearWeight::Tensor(weight) => tensor::linear(&x.tensor()?, weight, layer, then),
        LinearWeight::Host(weight) => {
            let x = to_host(x, weight.precision())?;
            let bias = now(&layer.bias)?;
            let bias = host_values(bias.as_deref())?;
            Ok(on_host!(&x, x => host::linear(x, weight, bias, then, None)?))
        }
    }
}

/// Gated GELU (Shazeer 2020): `layer` (loaded gated) gives (B, N, 2 C), the first half times gelu of
/// the second.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn geglu(x: &Act, layer: &Linear) -> Result<Act> {
    match layer.weight.get()?.as_ref() {
        LinearWeight::Tensor(weight) => tensor::geglu(&x.tensor()?, weight, layer),
        LinearWeight::Host(weight) => {
            let x = to_host(x, weight.precision())?;
            let bias = now(&layer.bias)?;
            let bias = host_values(bias.as_deref())?;
            let then = Then::default();
            let gate = Some(Activation::Gelu);
            Ok(on_host!(&x, x => host::linear(x, weight, bias, &then, gate)?))
        }
    }
}

/// Group normalisation of a map, then an optional pointwise function.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn group_norm(x: &Act, norm: &GroupNorm, then: Option<Activation>) -> Result<Act> {
    let scales = [norm.scales.weight.get()?, norm.scales.bias.get()?];
    if let [Values::Tensor(weight), Values::Tensor(bias)] = scales.each_ref().map(Arc::as_ref) {
        let scales = [weight, bias];
        return tensor::group_norm(&x.tensor()?, (norm.groups, norm.epsilon), scales, then);
    }
    let x = to_host(x, Precision::F32)?;
    let norm = host_norm(norm, &scales, then)?;
    Ok(on_host!(&x, x => host::group_norm(x, norm)?))
}

/// Layer normalisation of tokens.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn layer_norm(x: &Act, norm: &LayerNorm) -> Result<Act> {
    let Scales { weight, bias, isa } = &norm.scales;
    match (weight.get()?.as_ref(), bias.get()?.as_ref()) {
        (Values::Tensor(weight), Values::Tensor(bias)) => {
            tensor::layer_norm(&x.tensor()?, [weight, bias], norm.epsilon)
        }
        (Values::Host(weight), Values::Host(bias)) => {
            let x = to_host(x, Precision::F32)?;
            Ok(on_host!(&x, x => host::layer_norm(x, [weight, bias], norm.epsilon, *isa)?))
        }
        _ => Err(misfit("layer norm")),
    }
}

/// Looks up rows: ids (N) to tokens (1, N, C). Every id is below the table's rows, or one of a learned
/// row's.
///
/// # Errors
/// `Compute` when an id is outside the table or the device fails.
pub fn embed(ids: &[u32], table: &Embedding) -> Result<Act> {
    match &table.table {
        Table::Tensor(values) => tensor::embed(ids, values, table),
        Table::Host(values, precision) => Ok(Act(match precision {
            Precision::F32 => Repr::F32(host::embed(ids, values, table)?),
            Precision::Bf16 => Repr::Bf16(host::embed(ids, values, table)?),
        })),
    }
}

/// The first `rows` rows of a table as tokens (1, rows, C).
///
/// # Errors
/// `Compute` when the table is shorter.
pub fn first_rows(table: &Embedding, rows: usize) -> Result<Act> {
    let ids: Vec<u32> = (0..rows as u32).collect();
    embed(&ids, table)
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017): q (B, N, C), k and v (B, M, C),
/// scale 1 / sqrt(C / heads). `causal`: query i sees keys 0 to i (N = M). No path holds scores above
/// 256 MiB.
///
/// # Errors
/// `Compute` when shapes do not fit or the device fails.
pub fn attention(q: &Act, k: &Act, v: &Act, heads: usize, causal: bool) -> Result<Act> {
    match (&q.0, &k.0, &v.0) {
        (Repr::Tensor(q), Repr::Tensor(k), Repr::Tensor(v)) => {
            tensor::attention(q, k, v, heads, causal)
        }
        (Repr::Tensor(_), ..) => Err(misfit("attention")),
        (host, ..) => Ok(on_host!(host, q => {
            host::attention(q, &Same::same(k)?, &Same::same(v)?, heads, causal)?
        })),
    }
}

/// A map (B, C, H, W) as tokens (B, H W, C).
///
/// # Errors
/// `Compute` when the device fails.
pub fn tokens_from_map(x: &Act) -> Result<Act> {
    match &x.0 {
        Repr::Tensor(x) => tensor::tokens_from_map(x),
        // Channels last, a map and its tokens are the same memory.
        host => Ok(on_host!(host, x => {
            Host { height: 1, width: x.height * x.width, is_map: false, ..x.clone() }
        })),
    }
}

/// Tokens (B, H W, C) as a map (B, C, H, W) of the size of another.
///
/// # Errors
/// `Compute` when the count does not fit that size or the device fails.
pub fn map_from_tokens(x: &Act, like: &Act) -> Result<Act> {
    let (height, width) = like.size();
    match &x.0 {
        Repr::Tensor(x) => tensor::map_from_tokens(x, &like.tensor()?),
        host => Ok(on_host!(host, x => {
            if x.width != height * width {
                return Err(misfit("layout"));
            }
            Host { height, width, is_map: true, ..x.clone() }
        })),
    }
}

/// The learned row of an id, if it is one of those.
fn learned_row(table: &Embedding, id: u32) -> Option<Result<&[f32]>> {
    let at = id.checked_sub(FIRST_LEARNED)? as usize * table.channels;
    let row = table.learned.get(at..at + table.channels);
    Some(row.ok_or_else(|| misfit("embedding")))
}

/// A layer's vector as it is now.
fn now(values: &Option<Slot<Values>>) -> Result<Option<Arc<Values>>> {
    values.as_ref().map(Slot::get).transpose()
}

/// A layer's vector on the host.
fn host_values(values: Option<&Values>) -> Result<Option<&[f32]>> {
    match values {
        None => Ok(None),
        Some(Values::Host(values)) => Ok(Some(values)),
        Some(Values::Tensor(_)) => Err(misfit("bias")),
    }
}

/// A norm's layer on the host, with its weight and bias as they are now.
fn host_norm<'a>(
    norm: &'a GroupNorm,
    scales: &'a [Arc<Values>; 2],
    then: Option<Activation>,
) -> Result<host::NormOf<'a>> {
    match scales.each_ref().map(Arc::as_ref) {
        [Values::Host(weight), Values::Host(bias)] => Ok(host::NormOf {
            norm,
            scales: [weight, bias],
            isa: norm.scales.isa,
            then,
        }),
        _ => Err(misfit("group norm")),
    }
}
