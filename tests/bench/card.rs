//! A picture on a card, by the program that `packaging/cuda/build` makes and by diffusers, eager and compiled, by turns
//! in one run: steps a second, and the card's memory. On a CPU it measures the same, which shows that it works.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::statistics::{median, range};
use crate::whole::{Cost, Work, cost, median_of, our_command, our_step_secs, resident_gib};

const ROUNDS: usize = 3;
/// Spans between steps that are not counted: a card's first calls are tried, planned and recorded.
const SKIPPED: usize = 4;

/// Cards are numbered as NVIDIA's tool numbers them.
const CARDS_BY_PLACE: (&str, &str) = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID");

/// What a card holds, by whatever program, as NVIDIA's tool tells from time to time.
struct CardMemory {
    tool: Child,
    mib: Arc<AtomicU64>,
    before_mib: u64,
}

impl CardMemory {
    /// `None` of what is no card, or without the tool.
    fn watch(device: &str) -> Option<Self> {
        let (kind, ordinal) = device.split_once(':').unwrap_or((device, "0"));
        if !kind.starts_with("cuda") {
            return None;
        }
        let mut command = Command::new("nvidia-smi");
        command.args(["--query-gpu=memory.used", "--format=csv,noheader,nounits"]);
        let command = command.args(["--loop-ms=200", "--id", ordinal]);
        let mut tool = command.stdout(Stdio::piped()).spawn().ok()?;
        let mut lines = BufReader::new(tool.stdout.take()?).lines();
        let before_mib = lines.next()?.ok()?.trim().parse().ok()?;
        let mib = Arc::new(AtomicU64::new(before_mib));
        let told = Arc::clone(&mib);
        let listen = move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(now) = line.trim().parse() {
                    told.store(now, Ordering::Relaxed);
                }
            }
        };
        let thread = std::thread::Builder::new().name("card-memory".to_owned());
        thread.spawn(listen).ok()?;
        Some(Self {
            tool,
            mib,
            before_mib,
        })
    }

    fn gib(&self) -> f64 {
        let more = self
            .mib
            .load(Ordering::Relaxed)
            .saturating_sub(self.before_mib);
        more as f64 / 1024.0
    }
}

impl Drop for CardMemory {
    fn drop(&mut self) {
        let _ended_already = self.tool.kill().is_err();
        let _reaped = self.tool.wait().is_ok();
    }
}

/// How a run's memory is read: what the card holds beyond what it held before, or what is resident.
fn memory(device: &str) -> impl Fn(&Child) -> Option<f64> {
    let card = CardMemory::watch(device);
    let on_card = device.starts_with("cuda");
    move |child| match &card {
        Some(card) => Some(card.gib()),
        // Without NVIDIA's tool nobody knows.
        None if on_card => None,
        None => resident_gib(child),
    }
}

/// Which side of a picture the model in a folder is made for.
fn work(folder: &Path) -> Work<'static> {
    let index = std::fs::read_to_string(folder.join("model_index.json")).unwrap_or_default();
    let side = if index.contains("StableDiffusionXL") {
        "1024"
    } else {
        "512"
    };
    Work { steps: "20", side }
}

/// Prints the table. `program`: ours, built for the device; `folder`: a model in diffusers' layout; `python`: one with
/// torch for the device and diffusers, or none. `side`: of the picture, if not the model's own.
pub(crate) fn measure(
    [device, program, folder]: [&str; 3],
    python: Option<&str>,
    side: Option<&str>,
) {
    let (program, folder) = (PathBuf::from(program), PathBuf::from(folder));
    let own = work(&folder);
    let work = Work {
        side: side.unwrap_or(own.side),
        ..own
    };
    let scratch = tempfile::TempDir::new().unwrap();
    let ours = || {
        let mut command = our_command(&program, &folder, scratch.path(), work);
        command.args(["--precision", "bf16", "--device", device]);
        command.env(CARDS_BY_PLACE.0, CARDS_BY_PLACE.1);
        cost(&mut command, memory(device), |printed| {
            our_step_secs(printed, SKIPPED)
        })
    };
    let theirs = |mode: &str| {
        let script = support::places::root().join("tests/bench/diffusers_card.py");
        let mut command = Command::new(python.unwrap_or_default());
        command.arg(script).arg(&folder);
        command.args([device, mode, work.steps, work.side]);
        command.env(CARDS_BY_PLACE.0, CARDS_BY_PLACE.1);
        cost(&mut command, memory(device), |printed| {
            let steps = printed.lines().filter_map(|line| line.parse().ok());
            median_of(steps.skip(SKIPPED).collect())
        })
    };
    let names = ["ours", "diffusers, eager", "diffusers, compiled"];
    let modes = if python.is_some() { 3 } else { 1 };
    let mut rows: [Vec<Cost>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (row, mode) in rows.iter_mut().zip(["", "eager", "compiled"]).take(modes) {
            row.push(if mode.is_empty() {
                ours()
            } else {
                theirs(mode)
            });
        }
    }
    println!(
        "{}, {1} x {1}, {2} Euler steps with guidance, bf16, on {device}; {ROUNDS} runs of each by turns, each a process of\n\
         its own. A step's time is the median of a run's after the first {SKIPPED}; here the median of the runs.\n\n\
         | | steps a second | range | s in all | GiB at most |\n|---|---|---|---|---|",
        folder.display(),
        work.side,
        work.steps
    );
    for (name, row) in names.iter().zip(&rows).take(modes) {
        let rates: Vec<f64> = row.iter().map(|cost| 1.0 / cost.step_secs).collect();
        let secs: Vec<f64> = row.iter().map(|cost| cost.secs).collect();
        let peak = row
            .iter()
            .fold(0.0_f64, |peak, cost| peak.max(cost.peak_gib));
        println!(
            "| {name} | {:.2} | {} | {:.1} | {peak:.2} |",
            median(&rates),
            range(&rates, 2),
            median(&secs)
        );
    }
}
