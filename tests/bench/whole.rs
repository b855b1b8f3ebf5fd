//! The whole program in a process of its own, from start to saved picture: time and peak of resident memory, ours and
//! stable-diffusion.cpp's, on Stable Diffusion 1.5 at 512 x 512.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROMPT: &str = "a small red house by the sea";
const STEPS: &str = "4";
const SIDE: &str = "512";

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

fn ours(program: &Path, model: &Path, folder: &Path, precision: &str) -> Cost {
    let mut command = Command::new(program);
    command
        .args([
            "render",
            "--prompt",
            PROMPT,
            "--steps",
            STEPS,
            "--guidance",
            "7.5",
            "--seed",
            "1",
        ])
        .args([
            "--size",
            &format!("{SIDE}x{SIDE}"),
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
            "--steps", STEPS, "-W", SIDE, "-H", SIDE, "-s", "1", "-t", "2", "-o",
        ])
        .arg(folder.join("theirs.png"));
    cost(&mut command)
}

/// Prints the table. `folder`: what `full_size.py` wrote; `peer`: stable-diffusion.cpp's program, or none.
pub(crate) fn measure(folder: &str, peer: Option<&str>) {
    let folder = PathBuf::from(folder);
    let program = std::env::current_exe()
        .unwrap()
        .with_file_name("pentimento");
    let (diffusers, single) = (folder.join("diffusers"), folder.join("sd15.safetensors"));
    let scratch = tempfile::TempDir::new().unwrap();
    println!(
        "From the start of the program to the saved picture, {SIDE} x {SIDE}, {STEPS} Euler steps with guidance, loading\n\
         included; one run each.\n\n| | s | peak of resident memory, GiB |\n|---|---|---|"
    );
    let row =
        |name: &str, cost: Cost| println!("| {name} | {:.1} | {:.2} |", cost.secs, cost.peak_gib);
    row(
        "ours, bf16",
        ours(&program, &diffusers, scratch.path(), "bf16"),
    );
    row(
        "ours, bf16, from one file",
        ours(&program, &single, scratch.path(), "bf16"),
    );
    row(
        "ours, f32",
        ours(&program, &diffusers, scratch.path(), "f32"),
    );
    if let Some(peer) = peer {
        row(
            "stable-diffusion.cpp, f16",
            theirs(Path::new(peer), &single, scratch.path()),
        );
    }
}
