//! Where layers live and how they compute.

use candle_core::Device;

use crate::kernels::cpu::{Isa, Precision};

/// Where a network's layers are loaded to.
#[derive(Clone, Debug)]
pub enum Compute {
    /// Our kernels on the CPU: channels last, weights packed once.
    Cpu {
        /// Instruction set of the kernels.
        isa: Isa,
        /// Precision of weights and activations; sums are f32.
        precision: Precision,
    },
    /// The tensor library's operations, f32: the path for GPUs, and on the CPU the slow twin that
    /// tests compare the kernels with.
    Tensors(Device),
}

impl Compute {
    /// The device of the latents and pictures that go in and out.
    pub fn device(&self) -> &Device {
        match self {
            Self::Cpu { .. } => &Device::Cpu,
            Self::Tensors(device) => device,
        }
    }
}
