//! Measures what people wait for, against peers in the same run: each kernel, whole networks at their true size, whole
//! runs with their memory, a picture of the starter model and what previews cost, and how the window behaves while the
//! engine works. `tests/bench/run` builds it for release and starts it; it prints tables in Markdown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measuring program for developers: it prints its tables, and stops where it cannot go on"
)]

mod card;
mod kernels;
mod networks;
mod peer;
mod pictures;
mod precisions;
mod reuse;
mod statistics;
mod whole;
mod window;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| {
        arguments
            .get(index)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    match (argument(0), argument(1)) {
        (Some("kernels"), only) => kernels::measure(only.unwrap_or_default()),
        (Some("pictures"), python) => pictures::measure(python),
        (Some("networks"), Some(folder)) => networks::measure(folder, argument(2)),
        (Some("whole"), Some(folder)) => whole::measure(folder, argument(2)),
        (Some("precisions"), folder) => precisions::measure(folder),
        (Some("reuse"), only) => reuse::measure(only.unwrap_or_default()),
        (Some("networks_xl"), Some(folder)) => networks::measure_xl(folder),
        (Some("whole_xl"), Some(folder)) => whole::measure_xl(folder),
        (Some("card"), Some(device)) => match (argument(2), argument(3)) {
            (Some(program), Some(folder)) => {
                card::measure([device, program, folder], argument(4), argument(5));
            }
            _ => println!("usage: bench card DEVICE PROGRAM FOLDER [PYTHON [SIDE]]"),
        },
        (Some("window"), _) => window::measure(),
        _ => println!(
            "usage: bench kernels [PART OF A NAME] | pictures [PYTHON] | precisions [FOLDER] | reuse [PART OF A NAME] | networks FOLDER [PYTHON] | whole FOLDER [PYTHON] | networks_xl FOLDER | whole_xl FOLDER | card DEVICE PROGRAM FOLDER [PYTHON [SIDE]] | window"
        ),
    }
}
