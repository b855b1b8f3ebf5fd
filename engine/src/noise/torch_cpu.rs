//! torch's CPU generator: `torch.randn(shape, generator=torch.Generator().manual_seed(seed))` in
//! float32, as torch 2.x draws it on x86-64 with AVX2.

use std::f64::consts::PI;

use super::NoiseSource;
use super::mersenne::Mersenne;
use super::normal8::normal_16;

/// Numbers of a block of the fast path; shorter tensors take the slow path.
const BLOCK: usize = 16;

/// `torch.Generator`.
pub(super) struct TorchCpu {
    engine: Mersenne,
    /// The second number of the slow path's last pair. It outlives calls, also those of the fast
    /// path, which neither use nor drop it.
    spare: Option<f64>,
}

impl TorchCpu {
    /// `torch.Generator().manual_seed(seed)`: the engine takes the lower 32 bits.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            engine: Mersenne::new(seed as u32),
            spare: None,
        }
    }

    /// Uniform in [0, 1) with 24 bits.
    fn uniform_f32(&mut self) -> f32 {
        (self.engine.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in [0, 1) with 53 bits.
    fn uniform_f64(&mut self) -> f64 {
        (self.engine.next_u64() & ((1 << 53) - 1)) as f64 / (1_u64 << 53) as f64
    }

    /// One number of the slow path: Box and Muller's pairs in f64.
    fn single(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare as f32;
        }
        let angle = 2.0 * PI * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.spare = Some(radius * angle.sin());
        (radius * angle.cos()) as f32
    }

    fn uniform_block(&mut self) -> [f32; BLOCK] {
        std::array::from_fn(|_| self.uniform_f32())
    }
}

impl NoiseSource for TorchCpu {
    fn standard_normal(&mut self, len: usize) -> Vec<f32> {
        if len < BLOCK {
            return (0..len).map(|_| self.single()).collect();
        }
        // All uniform numbers come before the first transform.
        let mut values: Vec<f32> = (0..len).map(|_| self.uniform_f32()).collect();
        let (blocks, ragged) = values.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(normal_16);
        if !ragged.is_empty() {
            // The last 16 are drawn afresh, whatever part of them the blocks had filled.
            let mut last = self.uniform_block();
            normal_16(&mut last);
            values[len - BLOCK..].copy_from_slice(&last);
        }
        values
    }
}
