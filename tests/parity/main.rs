//! Numbers against the reference implementations: generators, schedules and samplers, networks, whole
//! pictures. The recorded outputs lie in `tests/fixtures/`, each beside the script that made it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod cuda_kernels;
mod embeddings;
mod k_diffusion;
mod layouts;
mod lora;
mod network_options;
mod networks;
mod noise;
mod pipelines;
mod prompts;
mod runs;
mod samplers;
mod schedules;
mod second_opinion;
mod tokens;
