//! Pentimento's engine: makes and repairs pictures with diffusion models, offline.
//!
//! # Map
//! A [`client::Request`] holds a [`recipe::Recipe`], everything that decides a picture's pixels. It
//! goes through [`engine::Engine`] (threads, two lanes back: [`event::Event`]s, never lost, and the
//! newest [`event::Preview`]) as follows:
//!
//! - `intake`: blobs into [`library`], the job into the journal ([`queue`]), then into the line;
//! - `worker`: takes it, loads the model once, brings it to the recipe's add-ons (each layer's weights
//!   lie in a [`weights`] slot that is filled anew from the model's file), stands in another autoencoder
//!   or a refiner, runs it behind a panic fence, saves, then reports;
//! - [`pipeline`]: the one loop. Prompt ([`prompt`]) and start picture ([`raster`]) become latents;
//!   a sampler ([`samplers`]) walks the levels of a schedule ([`schedules`]) with our own [`noise`];
//!   the [`denoiser`] behind it is a network with [`guidance`]; each step gives a [`preview`], on a card
//!   one step later ([`pace`]);
//! - [`forecast`] says before the run what it will take, and [`residency`] what of it stays in memory;
//! - [`families`]: the networks, on the shared layers of [`nn`], whose `ops` are the only door to
//!   compute: our [`kernels`] on the CPU, the tensor library elsewhere, with kernels of ours between its
//!   products on NVIDIA cards; their [`weights`] come through bounded readers, which show single files as the folders they stand for; [`catalog`] knows which
//!   exist, what lies beside a file and decides how it is read, and who lends what a file does not hold.
//!
//! To add a family, sampler or schedule: a file and one line in `FAMILIES`, `SAMPLERS`, `SCHEDULES`.
//!
//! # Invariants
//! - Nothing here knows of windows, dialogs, terminals or home directories: paths come by
//!   [`engine::EngineConfig`].
//! - What crosses to the caller is plain data: clonable, serialisable, without tensors.
//! - Samplers never name a family; families never name each other.
//! - A picture is on the disk before `ImageReady` says so; a job is in the journal before it starts.
//! - Same recipe, machine and build: same pixels, whatever the thread count or the batch.
//! - Where the painted mask is 0, the result has the opened picture's pixels; every run checks it.

pub mod backend;
pub mod cancel;
pub mod catalog;
mod clerk;
pub mod client;
pub mod denoiser;
pub mod engine;
pub mod error;
pub mod event;
pub mod families;
pub mod forecast;
pub mod guidance;
pub mod hash;
mod intake;
#[allow(
    unsafe_code,
    reason = "vector instructions, parallel writes and launches on cards, behind functions that are safe to call"
)]
pub mod kernels;
pub mod latent;
pub mod library;
pub mod mailbox;
pub mod nn;
pub mod noise;
pub mod pace;
pub mod pipeline;
pub mod preview;
pub mod prompt;
pub mod queue;
pub mod raster;
pub mod recipe;
pub mod residency;
pub mod samplers;
pub mod schedules;
pub mod weights;
mod worker;
