//! The whole engine through its public face, on tiny real models: cancellation, order of events,
//! determinism, the panic fence, exact paste-back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod add_ons;
mod add_ons_files;
mod catalog;
mod changes;
mod determinism;
mod dialects;
mod jobs;
mod layouts;
mod lending;
mod network_options;
mod paste_back;
mod precisions;
mod prompts;
mod refiner;
mod residency;
mod stand_ins;
