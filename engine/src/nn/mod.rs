//! Layers that all families share. Networks read like their PyTorch originals, but call only
//! [`ops`], on activations ([`Act`]) whose memory and layout only `ops` knows: a faster path comes
//! behind it without a change to any family.

mod act;
mod compute;
mod layers;
mod memory;
pub mod ops;
mod order;

pub use act::Act;
pub use compute::Compute;
pub use layers::{Conv2d, Embedding, FIRST_LEARNED, GroupNorm, LayerNorm, Linear, Padding};
pub use memory::release;
pub use order::MapOrder;
