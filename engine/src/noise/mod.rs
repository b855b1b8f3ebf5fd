//! The engine's only randomness: generators that give the numbers of the reference tools, drawn on
//! the CPU in f32, then moved to the device.

mod mersenne;
mod normal8;
mod philox;
mod torch_cpu;

use crate::recipe::NoiseKind;

/// A seeded stream of standard-normal numbers.
pub trait NoiseSource {
    /// The next `len` numbers, as one tensor of that many elements would be drawn: the stream's
    /// state moves on as the reference generator's does.
    fn standard_normal(&mut self, len: usize) -> Vec<f32>;
}

/// A fresh generator of that kind, seeded as the reference seeds its own with the same number.
///
/// torch's CPU generator looks only at a seed's lower 32 bits, Philox at all 64.
pub fn source(kind: NoiseKind, seed: u64) -> Box<dyn NoiseSource + Send> {
    match kind {
        NoiseKind::TorchCpu => Box::new(torch_cpu::TorchCpu::new(seed)),
        NoiseKind::Philox => Box::new(philox::Philox::new(seed)),
    }
}
