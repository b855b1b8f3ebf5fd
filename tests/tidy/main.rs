//! Rules of the design that a machine can check. Each rule is a function over the files of the tree,
//! tried first on a small example that breaks it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod dependencies;
mod direction;
mod files;
mod finished;
mod readme;
mod registries;
mod source;
mod tree;
