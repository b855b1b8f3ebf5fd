//! The whole program in a process of its own, from start to saved picture: time and peak of resident memory, ours and
//! stable-diffusion.cpp's, on Stable Diffusion 1.5 at 512 x 512; ours on Stable Diffusion XL at 1024 x 1024.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROMPT: &str = "a small red house by the sea";

/// What is run.
#[derive(Clone, Copy)]
struct Work {
    steps: &'static str,
    side: &'static str,
}

const FIRST: Work = Work {
    steps: "4",
    side: "512",
};
/// One step: what it costs shows, and the rest is loading and decoding.
const XL: Work = Work {
    steps: "1",
    side: "1024",
};

/// Seconds, and the most memory that was resident, in GiB.
struct Cost {
    secs: f64,
    peak_gib: f64,
}

/// Peak of resident memory so far in KiB, as Linux counts it.
fn peak_kib(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

fn cost(command: &mut Command) -> Cost {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(peak_kib(&child).unwrap_or(0.0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{command:?} ended with {status}");
    Cost {
        secs: began.elapsed().as_secs_f64(),
        peak_gib: peak / f64::from(1 << 20),
    }
}

fn ours(program: &Path, model: &Path, folder: &Path, precision: &str, work: Work) -> Cost {
    let Work { steps, side } = work;
    let mut command = Command::new(program);
    command
        .args([
            "render",
            "--prompt",
            PROMPT,
            "--steps",
            steps,
            "--guidance",
            "7.5",
            "--seed",
            "1",
        ])
        .args([
            "--size",
            &format!("{side}x{side}"),
            "--sampler",
            "euler",
            "--precision",
            precision,
        ])
        .arg("--model")
        .arg(model)
        .arg("--out")
        .arg(folder.join("ours.png"))
        .env("PENTIMENTO_DATA", folder.join("data"))
        .env("PENTIMENTO_LIBRARY", folder.join("library"));
    cost(&mut command)
}

fn theirs(program: &Path, model: &Path, folder: &Path) -> Cost {
    let Work { steps, side } = FIRST;
    let mut command = Command::new(program);
    command
        .arg("-m")
        .arg(model)
        .args([
            "--type",
            "f16",
            "-p",
            PROMPT,
            "--cfg-scale",
            "7.5",
            "--sampling-method",
            "euler",
        ])
        .args([
            "--steps", steps, "-W", side, "-H", side, "-s", "1", "-t", "2", "-o",
        ])
        .arg(folder.join("theirs.png"));
    cost(&mut command)
}

fn heading(work: Work) {
    let Work { steps, side } = work;
    let word = if steps == "1" { "step" } else { "steps" };
    println!(
        "From the start of the program to the saved picture, {side} x {side}, {steps} Euler {word} with guidance, loading\n\
         included; one run each.\n\n| | s | peak of resident memory, GiB |\n|---|---|---|"
    );
}

fn row(name: &str, cost: &Cost) {
    println!("| {name} | {:.1} | {:.2} |", cost.secs, cost.peak_gib);
}

fn program() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    bench.with_file_name("pentimento")
}

/// Prints the table. `folder`: what `full_size.py` wrote; `peer`: stable-diffusion.cpp's program, or none.
pub(crate) fn measure(folder: &str, peer: Option<&str>) {
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
    if let Some(peer) = peer {
        let cost = theirs(Path::new(peer), &single, scratch.path());
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
