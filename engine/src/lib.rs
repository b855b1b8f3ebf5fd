//! Pentimento's engine.

pub mod backend;
pub mod cancel;
pub mod catalog;
pub mod client;
pub mod denoiser;
pub mod engine;
pub mod error;
pub mod event;
pub mod families;
pub mod guidance;
pub mod hash;
#[allow(
    unsafe_code,
    reason = "vector instructions and parallel writes, behind functions that are safe to call"
)]
pub mod kernels;
pub mod latent;
pub mod library;
pub mod mailbox;
pub mod nn;
pub mod noise;
pub mod pipeline;
pub mod preview;
pub mod prompt;
pub mod raster;
pub mod recipe;
pub mod samplers;
pub mod schedules;
pub mod weights;
