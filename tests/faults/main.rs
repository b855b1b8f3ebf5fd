//! Bad input on purpose: broken model files, hostile pictures, unwritable folders, wrong command lines.
//! Each must give a typed error that names the file, quickly, and leave the program alive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod add_ons;
mod cli;
mod cli_add_ons;
mod cli_knobs;
mod cli_network;
mod cli_refiner;
mod formats;
mod library;
mod machine;
mod models;
mod pickles;
mod place;
