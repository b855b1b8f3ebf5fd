//! Measures what people wait for: a picture of the starter model against diffusers in the same run, what previews
//! cost, and how the window behaves while the engine works. `tests/bench/run` builds it for release and starts
//! it; it prints tables in Markdown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measuring program for developers: it prints its tables, and stops where it cannot go on"
)]

mod pictures;
mod statistics;
mod window;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("pictures") => {
            pictures::measure(arguments.next().as_deref().filter(|path| !path.is_empty()))
        }
        Some("window") => window::measure(),
        _ => println!("usage: bench pictures [PYTHON] | bench window"),
    }
}
