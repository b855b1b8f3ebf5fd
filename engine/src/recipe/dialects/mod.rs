//! Recipes as other programs write them, each dialect in a file.

pub mod a1111;
