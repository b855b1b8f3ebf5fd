//! What the tests share: places, recorded numbers, tolerances, tiny models to break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

pub mod compare;
pub mod fake_engine;
pub mod fixture;
pub mod layouts;
pub mod pickles;
pub mod places;
pub mod running;
