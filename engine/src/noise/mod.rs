//! The engine's only randomness: generators that give the numbers of the reference tools, drawn on
//! the CPU in f32, then moved to the device.

mod brownian;
mod mersenne;
mod normal8;
mod philox;
mod seed_sequence;
mod torch_cpu;

use crate::recipe::NoiseKind;

/// A seeded stream of standard-normal numbers.
pub trait NoiseSource {
    /// The next `len` numbers, as one tensor of that many elements would be drawn: the stream's
    /// state moves on as the reference generator's does.
    fn standard_normal(&mut self, len: usize) -> Vec<f32>;

    /// `len` numbers for a step from sigma / alpha = `from` to `to`: the stream's next, or, where the
    /// source is a path ([`brownian()`]), that path's increment over the step at unit variance.
    fn between(&mut self, len: usize, _from: f64, _to: f64) -> Vec<f32> {
        self.standard_normal(len)
    }
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

/// [`source`], with a Brownian path over the levels from `smallest` to `largest` sigma / alpha (both
/// above 0 and finite) beside it: the numbers of k-diffusion's `BrownianTreeNoiseSampler`.
pub fn brownian(
    kind: NoiseKind,
    seed: u64,
    smallest: f64,
    largest: f64,
) -> Box<dyn NoiseSource + Send> {
    Box::new(brownian::BrownianTree::new(kind, seed, smallest, largest))
}
