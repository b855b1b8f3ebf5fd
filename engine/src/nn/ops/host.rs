//! The CPU kernels' path: maps and tokens as rows of channels, f32 or bf16.

use std::sync::Arc;

use super::{Activation, Same, Then, kernel, misfit};
use crate::error::Result;
use crate::kernels::cpu;
use crate::kernels::cpu::attention::Heads;
use crate::kernels::cpu::conv::{Conv2d, Pictures};
use crate::kernels::cpu::epilogue::Epilogue;
use crate::kernels::cpu::pack::PackedMatrix;
use crate::kernels::cpu::shared::{Rows, RowsMut};
use crate::kernels::cpu::{Isa, trusted_isa};
use crate::nn::act::Host;
use crate::nn::memory::{Buffer, Kept};
use crate::nn::{Embedding, GroupNorm};
use crate::weights::rows::StoredRows;

fn rows<T: Kept>(x: &Host<T>) -> Rows<'_, T> {
    Rows::new(&x.data, x.rows(), x.channels)
}

/// Room for a result that will be written as a whole.
fn room<T: Kept>(rows: usize, channels: usize) -> Buffer<T> {
    Buffer::unspecified(rows * channels)
}

pub(super) fn converted<A: Kept, O: Kept>(x: &Host<A>) -> Host<O> {
    let mut data = room::<O>(x.rows(), x.channels);
    cpu::elementwise::convert(trusted_isa(), &x.data, data.as_mut_slice());
    Host {
        data: Arc::new(data),
        batch: x.batch,
        height: x.height,
        width: x.width,
        channels: x.channels,
        is_map: x.is_map,
    }
}

pub(super) fn activate<T: Kept>(x: &Host<T>, function: Activation) -> Host<T> {
    let mut data = room(x.rows(), x.channels);
    cpu::elementwise::activate(
        trusted_isa(),
        kernel(function),
        &x.data,
        data.as_mut_slice(),
    );
    x.with(data)
}

/// A function of each value; for the few places that have no kernel of their own.
pub(super) fn map<T: Kept>(x: &Host<T>, function: impl Fn(f32) -> f32) -> Host<T> {
    let values = x.data.iter();
    x.with(Buffer::new(
        values
            .map(|value| T::from_f32(function(value.to_f32())))
            .collect(),
    ))
}

pub(super) fn add<T: Kept>(a: &Host<T>, b: &Host<T>) -> Result<Host<T>> {
    if (a.rows(), a.channels) != (b.rows(), b.channels) {
        return Err(misfit("add"));
    }
    let mut data = room(a.rows(), a.channels);
    cpu::elementwise::add(trusted_isa(), &a.data, &b.data, data.as_mut_slice());
    Ok(a.with(data))
}

pub(super) fn concat_channels<T: Kept>(a: &Host<T>, b: &Host<T>) -> Result<Host<T>> {
    if a.rows() != b.rows() {
        return Err(misfit("concat"));
    }
    let channels = a.channels + b.channels;
    let mut data = room(a.rows(), channels);
    let out = RowsMut::new(data.as_mut_slice(), a.rows(), channels);
    cpu::elementwise::concat(trusted_isa(), &[rows(a), rows(b)], out);
    Ok(Host {
        channels,
        ..a.with(data)
    })
}

pub(super) fn stack<T: Kept>(first: &Host<T>, parts: &[Host<T>]) -> Result<Host<T>> {
    if parts.iter().any(|part| part.data.len() != first.data.len()) {
        return Err(misfit("stack"));
    }
    let values = parts.iter().flat_map(|part| part.data.iter().copied());
    let data = Buffer::new(values.collect());
    Ok(Host {
        batch: first.batch * parts.len(),
        ..first.with(data)
    })
}

/// Picture `index` of a batch, below its length.
pub(super) fn nth<T: Kept>(x: &Host<T>, index: usize) -> Host<T> {
    let length = x.data.len() / x.batch;
    let values = x.data[index * length..(index + 1) * length].to_vec();
    Host {
        batch: 1,
        ..x.with(Buffer::new(values))
    }
}

/// Bias and, per picture, a vector: what the epilogue adds.
struct Bias {
    values: Option<Vec<f32>>,
    /// Rows that share a vector; 0: all rows share one.
    rows: usize,
}

impl Bias {
    fn new(bias: Option<&[f32]>, then: &Then<'_>, rows: usize, outputs: usize) -> Result<Self> {
        let Some(vector) = then.vector else {
            return Ok(Self {
                values: bias.map(<[f32]>::to_vec),
                rows: 0,
            });
        };
        let vector = <f32 as Same>::same(vector)?;
        if vector.channels != outputs || !rows.is_multiple_of(vector.batch) {
            return Err(misfit("add to pixels"));
        }
        let mut values = vector.data.to_vec();
        if let Some(bias) = bias {
            for group in values.chunks_exact_mut(outputs) {
                group
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(value, bias)| *value += bias);
            }
        }
        Ok(Self {
            values: Some(values),
            rows: rows / vector.batch,
        })
    }

    fn epilogue<T>(&self) -> Epilogue<'_, T> {
        let epilogue = Epilogue::default();
        match &self.values {
            None => epilogue,
            Some(values) if self.rows == 0 => epilogue.bias(values),
            Some(values) => epilogue.group_bias(values, self.rows),
        }
    }
}

/// The residual of `then`, if any, of the result's shape.
fn residual<T: Same>(then: &Then<'_>, rows: usize, channels: usize) -> Result<Option<Host<T>>> {
    let Some(act) = then.residual else {
        return Ok(None);
    };
    let host = T::same(act)?;
    if (host.rows(), host.channels) != (rows, channels) {
        return Err(misfit("residual"));
    }
    Ok(Some(host))
}

/// What a convolution does before and after, beside its own bias.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// What the map is normalised by first.
    pub(super) norm: Option<NormOf<'a>>,
    /// The size that the map is first enlarged to by nearest neighbour.
    pub(super) grow: Option<(usize, usize)>,
    /// Its own bias.
    pub(super) bias: Option<&'a [f32]>,
}

/// A group norm on the host: the layer, weight and bias, instruction set, what follows.
#[derive(Clone, Copy)]
pub(super) struct NormOf<'a> {
    pub(super) norm: &'a GroupNorm,
    pub(super) scales: [&'a [f32]; 2],
    pub(super) isa: Isa,
    pub(super) then: Option<Activation>,
}

impl NormOf<'_> {
    fn kernel<T: Kept>(&self, x: &Host<T>) -> Result<cpu::norm::GroupNorm<'_>> {
        let [weight, bias] = self.scales;
        if x.channels != weight.len() {
            return Err(misfit("group norm"));
        }
        Ok(cpu::norm::GroupNorm {
            images: x.batch,
            groups: self.norm.groups,
            eps: self.norm.epsilon as f32,
            weight,
            bias,
            activation: self.then.map_or(cpu::Activation::None, kernel),
        })
    }
}

/// Maps at least as large are normalised strip by strip in front of a convolution.
const STRIPS_FROM_BYTES: usize = 16 << 20;

/// `onto`: a residual whose memory becomes the result's where nothing else holds it.
pub(super) fn conv2d<T: Same>(
    x: &Host<T>,
    conv: &Conv2d,
    around: Around<'_>,
    then: &Then<'_>,
    onto: Option<Host<T>>,
) -> Result<Host<T>> {
    if x.channels * conv.window().kernel.0 * conv.window().kernel.1 != conv.weight().inputs() {
        return Err(misfit("convolution"));
    }
    let strips = conv.takes_strips() && size_of_val(&x.data[..]) >= STRIPS_FROM_BYTES;
    let (whole, norm) = match around.norm {
        Some(norm) if !strips => (Some(group_norm(x, norm)?), None),
        norm => (None, norm),
    };
    let x = whole.as_ref().unwrap_or(x);
    let (x, conv) = match around.grow {
        Some(size) if size == (2 * x.height, 2 * x.width) => (x, &conv.doubling()),
        Some(size) => (&grown(x, size), conv),
        None => (x, conv),
    };
    let shape = Pictures {
        images: x.batch,
        height: x.height,
        width: x.width,
    };
    let out = conv.window().output(shape);
    let outputs = conv.weight().outputs();
    let bias = Bias::new(around.bias, then, out.pixels(), outputs)?;
    let fits = |onto: &Host<T>| onto.data.len() == out.pixels() * outputs;
    if !onto.as_ref().is_none_or(fits) {
        return Err(misfit("residual"));
    }
    let residual = residual::<T>(then, out.pixels(), outputs)?;
    let shared;
    let mut epilogue = bias.epilogue();
    if let Some(function) = then.activation {
        epilogue = epilogue.activation(kernel(function));
    }
    if let Some(residual) = &residual {
        epilogue = epilogue.residual(rows(residual));
    }
    let mut data = match onto.map(|onto| Arc::try_unwrap(onto.data)) {
        None => room(out.pixels(), outputs),
        Some(Ok(own)) => {
            epilogue = epilogue.onto();
            own
        }
        Some(Err(held)) => {
            shared = held;
            epilogue = epilogue.residual(Rows::new(&shared, out.pixels(), outputs));
            room(out.pixels(), outputs)
        }
    };
    let result = RowsMut::new(data.as_mut_slice(), out.pixels(), outputs);
    match norm {
        Some(norm) => conv.apply_normed(&norm.kernel(x)?, rows(x), shape, &epilogue, result),
        None => conv.apply(rows(x), shape, &epilogue, result),
    }
    Ok(Host {
        height: out.height,
        width: out.width,
        channels: outputs,
        ..x.with(data)
    })
}

/// Nearest neighbour, as torch: source index = floor(index * from / to).
fn grown<T: Kept>(x: &Host<T>, (height, width): (usize, usize)) -> Host<T> {
    let mut data = Vec::with_capacity(x.batch * height * width * x.channels);
    for picture in 0..x.batch {
        for row in 0..height {
            for column in 0..width {
                let (y, x_at) = (row * x.height / height, column * x.width / width);
                let at = ((picture * x.height + y) * x.width + x_at) * x.channels;
                data.extend_from_slice(&x.data[at..at + x.channels]);
            }
        }
    }
    Host {
        height,
        width,
        ..x.with(Buffer::new(data))
    }
}

/// `gate`: the activation of a gated layer's second half.
pub(super) fn linear<T: Same>(
    x: &Host<T>,
    weight: &PackedMatrix,
    bias: Option<&[f32]>,
    then: &Then<'_>,
    gate: Option<Activation>,
) -> Result<Host<T>> {
    if x.channels != weight.inputs() {
        return Err(misfit("linear layer"));
    }
    let outputs = weight.outputs();
    let bias = Bias::new(bias, then, x.rows(), outputs)?;
    let residual = residual::<T>(then, x.rows(), outputs)?;
    let mut epilogue = bias.epilogue();
    if let Some(function) = gate.or(then.activation) {
        epilogue = epilogue.activation(kernel(function));
    }
    if let Some(residual) = &residual {
        epilogue = epilogue.residual(rows(residual));
    }
    let mut data = room(x.rows(), outputs);
    let out = RowsMut::new(data.as_mut_slice(), x.rows(), outputs);
    cpu::gemm::matmul(rows(x), weight, &epilogue, out);
    Ok(Host {
        channels: outputs,
        ..x.with(data)
    })
}

pub(super) fn group_norm<T: Kept>(x: &Host<T>, norm: NormOf<'_>) -> Result<Host<T>> {
    let mut data = room(x.rows(), x.channels);
    let out = RowsMut::new(data.as_mut_slice(), x.rows(), x.channels);
    norm.kernel(x)?.apply(norm.isa, rows(x), out);
    Ok(x.with(data))
}

pub(super) fn layer_norm<T: Kept>(
    x: &Host<T>,
    scales: [&[f32]; 2],
    epsilon: f64,
    isa: Isa,
) -> Result<Host<T>> {
    if x.channels != scales[0].len() {
        return Err(misfit("layer norm"));
    }
    let mut data = room(x.rows(), x.channels);
    let out = RowsMut::new(data.as_mut_slice(), x.rows(), x.channels);
    cpu::norm::layer_norm(isa, rows(x), scales, epsilon as f32, out);
    Ok(x.with(data))
}

pub(super) fn embed<T: Kept>(
    ids: &[u32],
    values: &StoredRows,
    table: &Embedding,
) -> Result<Host<T>> {
    let channels = table.channels;
    let mut data = Vec::with_capacity(ids.len() * channels);
    for &id in ids {
        if let Some(row) = super::learned_row(table, id) {
            data.extend(row?.iter().map(|value| T::from_f32(*value)));
            continue;
        }
        let row = values.row(id as usize)?;
        let row = row.ok_or_else(|| misfit("embedding"))?;
        data.extend(row.into_iter().map(T::from_f32));
    }
    let (batch, height, width) = (1, 1, ids.len());
    Ok(Host {
        data: Arc::new(Buffer::new(data)),
        batch,
        height,
        width,
        channels,
        is_map: false,
    })
}

pub(super) fn attention<T: Kept>(
    q: &Host<T>,
    k: &Host<T>,
    v: &Host<T>,
    heads: usize,
    causal: bool,
) -> Result<Host<T>> {
    let fits = k.channels == q.channels
        && v.channels == q.channels
        && k.rows() == v.rows()
        && k.batch == q.batch
        && q.channels.is_multiple_of(heads);
    if !fits {
        return Err(misfit("attention"));
    }
    let plan = Heads {
        causal,
        ..Heads::new(q.batch, heads, q.channels / heads)
    };
    let mut data = room(q.rows(), q.channels);
    let out = RowsMut::new(data.as_mut_slice(), q.rows(), q.channels);
    cpu::attention::attention(trusted_isa(), rows(q), rows(k), rows(v), plan, out);
    Ok(q.with(data))
}
