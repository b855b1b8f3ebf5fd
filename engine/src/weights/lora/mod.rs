//! LoRA and its kin (LyCORIS): small files that change a model's weights.
//!
//! - `file` reads a file's header and sorts its tensors into modules, one a layer;
//! - `naming` finds the layer that a module speaks of, in every published naming;
//! - `low_rank`, `hadamard`, `kronecker`, `whole`, `ia3`, `orthogonal`, `general`, `decompose`: an
//!   algorithm each;
//! - [`adapt`] brings a loaded model to a set of add-ons, and away from it.
//!
//! A changed weight is always computed from the model's own file, in f32, and packed again: nothing
//! is ever subtracted, so that a model without add-ons has its own bits.

pub mod adapt;
mod algorithm;
mod alpha;
mod decompose;
mod file;
mod general;
mod hadamard;
mod ia3;
mod kronecker;
mod low_rank;
mod maths;
mod naming;
mod orthogonal;
mod whole;

pub use adapt::{Adapted, Adapter, Misfits, Strengths};
pub use file::AddOnFile;
pub use naming::Part;
