//! The interface against a scripted engine: widgets are found by accessible label.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod add_ons;
mod beside;
mod canvas;
mod gallery;
mod generate;
mod harness;
mod knobs;
mod network;
mod reach;
mod recipe;
mod refiner;
mod seed;
mod settings;
mod sizes;
mod window;
