//! `Act`: what flows between layers.

use candle_core::{Device, Tensor};

use crate::error::Result;

/// An activation: a feature map (B, C, H, W) or a token sequence (B, N, C), f32. Memory and layout
/// belong to [`super::ops`]; everyone else asks for sizes.
#[derive(Clone, Debug)]
pub struct Act(pub(super) Tensor);

impl Act {
    /// Takes a feature map (B, C, H, W) or tokens (B, N, C), f32.
    pub fn from_tensor(tensor: Tensor) -> Self {
        Self(tensor)
    }

    /// Takes values in row-major order of the shape.
    ///
    /// # Errors
    /// `Compute` when the length does not fit.
    pub fn from_values(values: Vec<f32>, shape: &[usize], device: &Device) -> Result<Self> {
        Ok(Self(Tensor::from_vec(values, shape, device)?))
    }

    /// The values as a tensor: (B, C, H, W) or (B, N, C), contiguous, f32.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Ok(self.0.contiguous()?)
    }

    /// Pictures in the batch.
    pub fn batch(&self) -> usize {
        self.0.dims()[0]
    }

    /// Channels of a map or tokens.
    pub fn channels(&self) -> usize {
        if self.0.rank() == 4 {
            self.0.dims()[1]
        } else {
            self.0.dims()[2]
        }
    }

    /// The device it lies on.
    pub fn device(&self) -> Device {
        self.0.device().clone()
    }

    /// Height and width of a map; (1, N) of tokens.
    pub fn size(&self) -> (usize, usize) {
        let dims = self.0.dims();
        if dims.len() == 4 {
            (dims[2], dims[3])
        } else {
            (1, dims[1])
        }
    }
}
