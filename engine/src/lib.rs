//! Pentimento's engine.

pub mod catalog;
pub mod client;
pub mod denoiser;
pub mod engine;
pub mod error;
pub mod event;
pub mod guidance;
pub mod hash;
pub mod latent;
pub mod noise;
pub mod raster;
pub mod recipe;
pub mod samplers;
pub mod schedules;
