//! `Act`: what flows between layers.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use half::bf16;

use super::memory::{Buffer, Kept};
use super::order::{order_of, ordered};
use crate::error::Result;

/// An activation: a feature map or a token sequence. Memory and layout belong to [`super::ops`];
/// everyone else asks for sizes.
#[derive(Clone, Debug)]
pub struct Act(pub(super) Repr);

#[derive(Clone, Debug)]
pub(super) enum Repr {
    /// (B, C, H, W), in either order, or (B, N, C), in any floating-point type.
    Tensor(Tensor),
    /// Channels last.
    F32(Host<f32>),
    /// Channels last.
    Bf16(Host<bf16>),
}

/// Rows of channels: `batch * height * width` rows, a token sequence having height 1.
#[derive(Clone, Debug)]
pub(super) struct Host<T: Kept> {
    pub(super) data: Arc<Buffer<T>>,
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// A feature map, not tokens.
    pub(super) is_map: bool,
}

impl<T: Kept> Host<T> {
    /// Takes the values of a tensor over.
    pub(super) fn from_tensor(tensor: &Tensor) -> candle_core::Result<Self> {
        let is_map = tensor.rank() == 4;
        let last = if is_map {
            tensor.permute((0, 2, 3, 1))?
        } else {
            tensor.clone()
        };
        let dims = last.dims();
        let (height, width) = if is_map {
            (dims[1], dims[2])
        } else {
            (1, dims[1])
        };
        let (batch, channels) = (dims[0], dims[dims.len() - 1]);
        let last = last.contiguous()?.to_dtype(DType::F32)?;
        let values: Vec<f32> = last.flatten_all()?.to_vec1()?;
        let data = Buffer::new(values.into_iter().map(T::from_f32).collect());
        Ok(Self {
            data: Arc::new(data),
            batch,
            height,
            width,
            channels,
            is_map,
        })
    }

    fn to_tensor(&self) -> candle_core::Result<Tensor> {
        let values: Vec<f32> = self.data.iter().map(|value| value.to_f32()).collect();
        let (batch, channels) = (self.batch, self.channels);
        if self.is_map {
            let shape = (batch, self.height, self.width, channels);
            Tensor::from_vec(values, shape, &Device::Cpu)?
                .permute((0, 3, 1, 2))?
                .contiguous()
        } else {
            Tensor::from_vec(values, (batch, self.width, channels), &Device::Cpu)
        }
    }

    /// Pixels or tokens of the whole batch.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// The same shape around other values.
    pub(super) fn with(&self, data: Buffer<T>) -> Self {
        Self {
            data: Arc::new(data),
            ..self.clone()
        }
    }
}

impl Act {
    /// Takes a feature map (B, C, H, W) or tokens (B, N, C), f32.
    pub fn from_tensor(tensor: Tensor) -> Self {
        Self(Repr::Tensor(tensor))
    }

    /// Takes values in row-major order of the shape.
    ///
    /// # Errors
    /// `Compute` when the length does not fit.
    pub fn from_values(values: Vec<f32>, shape: &[usize], device: &Device) -> Result<Self> {
        Ok(Self::from_tensor(Tensor::from_vec(values, shape, device)?))
    }

    /// The values as a tensor: (B, C, H, W) or (B, N, C), contiguous, f32.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(self.tensor()?.contiguous()?.to_dtype(DType::F32)?)
    }

    /// The values as they are: of their own type, a map in the order that it lies in.
    pub(super) fn tensor(&self) -> Result<Tensor> {
        Ok(match &self.0 {
            Repr::Tensor(tensor) => ordered(tensor, order_of(tensor))?,
            Repr::F32(host) => host.to_tensor()?,
            Repr::Bf16(host) => host.to_tensor()?,
        })
    }

    /// Whether both are one activation: the same memory, not only the same values.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Tensor(a), Repr::Tensor(b)) => a.id() == b.id(),
            (Repr::F32(a), Repr::F32(b)) => Arc::ptr_eq(&a.data, &b.data),
            (Repr::Bf16(a), Repr::Bf16(b)) => Arc::ptr_eq(&a.data, &b.data),
            _ => false,
        }
    }

    /// The device it lies on.
    pub fn device(&self) -> Device {
        match &self.0 {
            Repr::Tensor(tensor) => tensor.device().clone(),
            Repr::F32(_) | Repr::Bf16(_) => Device::Cpu,
        }
    }

    /// Pictures in the batch.
    pub fn batch(&self) -> usize {
        match &self.0 {
            Repr::Tensor(tensor) => tensor.dims()[0],
            Repr::F32(host) => host.batch,
            Repr::Bf16(host) => host.batch,
        }
    }

    /// Height and width of a map; (1, N) of tokens.
    pub fn size(&self) -> (usize, usize) {
        match &self.0 {
            Repr::Tensor(tensor) => match tensor.dims() {
                [_, _, height, width] => (*height, *width),
                dims => (1, dims[1]),
            },
            Repr::F32(host) => (host.height, host.width),
            Repr::Bf16(host) => (host.height, host.width),
        }
    }
}
