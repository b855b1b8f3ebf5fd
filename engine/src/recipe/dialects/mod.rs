//! Recipes as other programs write them, each dialect in a file.

pub mod a1111;
mod a1111_knobs;
