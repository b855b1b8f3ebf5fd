//! The engine's only randomness: generators that give the numbers of the reference tools, drawn on
//! the CPU in f32, then moved to the device.

/// A seeded stream of standard-normal numbers.
pub trait NoiseSource {
    /// The next `len` numbers, as one tensor of that many elements would be drawn: the stream's
    /// state moves on as the reference generator's does.
    fn standard_normal(&mut self, len: usize) -> Vec<f32>;
}
