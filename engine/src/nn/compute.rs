//! Where layers live and how they compute.

use candle_core::{DType, Device};

use super::MapOrder;
use crate::kernels::cpu::{Isa, Packing};

/// Where a network's layers are loaded to.
#[derive(Clone, Debug)]
pub enum Compute {
    /// Our kernels on the CPU: channels last, weights packed once.
    Cpu {
        /// Instruction set of the kernels.
        isa: Isa,
        /// How weights are kept, which decides about the activations beside them; sums are f32.
        packing: Packing,
    },
    /// The tensor library's operations: the path for GPUs, and on the CPU the slow twin that tests
    /// compare the kernels with.
    Tensors {
        /// Where the tensors are.
        device: Device,
        /// Of weights, maps and tokens: f32, bf16 or f16. Norms and softmax are computed in f32.
        dtype: DType,
        /// Of maps, from the first convolution on.
        order: MapOrder,
    },
}

impl Compute {
    /// Our kernels on the CPU.
    pub fn cpu(isa: Isa, packing: impl Into<Packing>) -> Self {
        let packing = packing.into();
        Self::Cpu { isa, packing }
    }

    /// The same for what stands beside a denoising network (text encoders, autoencoders): it is small
    /// and runs once a picture, and its rounding would show, so that integers are not for it.
    #[must_use]
    pub fn beside_the_network(&self) -> Self {
        match self {
            Self::Cpu {
                isa,
                packing: Packing::Int8,
            } => Self::cpu(*isa, Packing::Bf16),
            other => other.clone(),
        }
    }

    /// The device of the latents and pictures that go in and out.
    pub fn device(&self) -> &Device {
        match self {
            Self::Cpu { .. } => &Device::Cpu,
            Self::Tensors { device, .. } => device,
        }
    }

    /// The slow twin of the kernels: the tensor library on the CPU, in f32.
    pub const fn twin() -> Self {
        Self::Tensors {
            device: Device::Cpu,
            dtype: DType::F32,
            order: MapOrder::ChannelsFirst,
        }
    }
}
