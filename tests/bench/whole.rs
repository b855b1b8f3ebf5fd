//! The whole program in a process of its own, from start to saved picture: time and peak of resident memory, ours and
//! stable-diffusion.cpp's, on Stable Diffusion 1.5 at 512 x 512; ours on Stable Diffusion XL at 1024 x 1024.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::statistics::median;

const PROMPT: &str = "a small red house by the sea";

/// What is run.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) steps: &'a str,
    pub(crate) side: &'a str,
}

const FIRST: Work<'static> = Work {
    steps: "4",
    side: "512",
};
/// One step: what it costs shows, and the rest is loading and decoding.
const XL: Work<'static> = Work {
    steps: "1",
    side: "1024",
};

/// Seconds of the whole and of a step, and the most memory that was taken, in GiB.
pub(crate) struct Cost {
    pub(crate) secs: f64,
    /// `NaN` where a run has one step, or does not tell.
    pub(crate) step_secs: f64,
    pub(crate) peak_gib: f64,
}

/// Peak of resident memory so far in GiB, as Linux counts it.
pub(crate) fn resident_gib(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

/// What a run costs. `memory` tells how many GiB it takes or took; `step_secs` finds the seconds of a step in what it
/// prints.
pub(crate) fn cost(
    command: &mut Command,
    memory: impl Fn(&Child) -> Option<f64>,
    step_secs: impl Fn(&str) -> f64,
) -> Cost {
    let printed = tempfile::NamedTempFile::new().unwrap();
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(printed.reopen().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(memory(&child).unwrap_or(0.0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let secs = began.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?} ended with {status}");
    Cost {
        secs,
        step_secs: step_secs(&std::fs::read_to_string(printed.path()).unwrap()),
        peak_gib: peak,
    }
}

/// Our program, asked for one picture into `folder`.
pub(crate) fn our_command(program: &Path, model: &Path, folder: &Path, work: Work<'_>) -> Command {
    let Work { steps, side } = work;
    let mut command = Command::new(program);
    command
        .args([
            "render",
            "--json",
            "--prompt",
            PROMPT,
            "--steps",
            steps,
            "--guidance",
            "7.5",
            "--seed",
            "1",
        ])
        .args(["--size", &format!("{side}x{side}"), "--sampler", "euler"])
        .arg("--model")
        .arg(model)
        .arg("--out")
        .arg(folder.join("ours.png"))
        .env("PENTIMENTO_DATA", folder.join("data"))
        .env("PENTIMENTO_LIBRARY", folder.join("library"));
    command
}

/// The median of our steps' seconds, without the first `skipped` spans between them.
pub(crate) fn our_step_secs(printed: &str, skipped: usize) -> f64 {
    let events = printed.lines().map(serde_json::from_str);
    let events: Vec<serde_json::Value> = events.map(Result::unwrap).collect();
    let steps = events.iter().filter(|event| event["event"] == "step_done");
    let ends: Vec<f64> = steps
        .filter_map(|event| event["elapsed_secs"].as_f64())
        .collect();
    let spans = ends.windows(2).map(|pair| pair[1] - pair[0]);
    median_of(spans.skip(skipped).collect())
}

fn ours(program: &Path, model: &Path, folder: &Path, precision: &str, work: Work<'_>) -> Cost {
    let mut command = our_command(program, model, folder, work);
    command.args(["--precision", precision]);
    cost(&mut command, resident_gib, |printed| {
        our_step_secs(printed, 0)
    })
}

/// The median; `NaN` of none.
pub(crate) fn median_of(samples: Vec<f64>) -> f64 {
    if samples.is_empty() {
        f64::NAN
    } else {
        median(&samples)
    }
}

fn theirs(python: &str, model: &Path, folder: &Path) -> Cost {
    let script = support::places::root().join("tests/bench/sd_cpp_picture.py");
    let mut command = Command::new(python);
    command.arg(script).arg(model);
    command.arg(folder.join("theirs.png")).arg(FIRST.steps);
    cost(&mut command, resident_gib, |printed| {
        let steps = printed.lines().filter_map(|line| line.parse().ok());
        median_of(steps.collect())
    })
}

/// Whether a Python has stable-diffusion.cpp.
fn has_peer(python: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import stable_diffusion_cpp"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn heading(work: Work<'_>) {
    let Work { steps, side } = work;
    let word = if steps == "1" { "step" } else { "steps" };
    println!(
        "From the start of the program to the saved picture, {side} x {side}, {steps} Euler {word} with guidance, loading\n\
         included; one run each.\n\n| | s | s a step | peak of resident memory, GiB |\n|---|---|---|---|"
    );
}

fn row(name: &str, cost: &Cost) {
    let Cost {
        secs,
        step_secs,
        peak_gib,
    } = cost;
    let step = if step_secs.is_nan() {
        String::new()
    } else {
        format!("{step_secs:.2}")
    };
    println!("| {name} | {secs:.1} | {step} | {peak_gib:.2} |");
}

fn program() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    bench.with_file_name("pentimento")
}

/// Prints the table. `folder`: what `full_size.py` wrote; `python`: one that may have stable-diffusion.cpp, or none.
pub(crate) fn measure(folder: &str, python: Option<&str>) {
    let (folder, program) = (PathBuf::from(folder), program());
    let (diffusers, single) = (folder.join("diffusers"), folder.join("sd15.safetensors"));
    let scratch = tempfile::TempDir::new().unwrap();
    heading(FIRST);
    for (name, model, precision) in [
        ("ours, bf16", &diffusers, "bf16"),
        ("ours, bf16, from one file", &single, "bf16"),
        ("ours, int8", &diffusers, "int8"),
        ("ours, f32", &diffusers, "f32"),
    ] {
        let cost = ours(&program, model, scratch.path(), precision, FIRST);
        row(name, &cost);
    }
    if let Some(python) = python.filter(|python| has_peer(python)) {
        let cost = theirs(python, &single, scratch.path());
        row("stable-diffusion.cpp, f16", &cost);
    }
}

/// Prints the table of XL. `folder`: what `full_size_xl.py` wrote.
pub(crate) fn measure_xl(folder: &str) {
    let (folder, program) = (PathBuf::from(folder), program());
    let scratch = tempfile::TempDir::new().unwrap();
    heading(XL);
    let cost = ours(
        &program,
        &folder.join("diffusers"),
        scratch.path(),
        "bf16",
        XL,
    );
    row("ours, bf16", &cost);
}
