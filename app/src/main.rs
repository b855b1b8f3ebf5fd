//! The program `pentimento`.

fn main() {}
