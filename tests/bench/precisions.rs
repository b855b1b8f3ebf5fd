//! What narrower numbers cost in quality: a guided UNet step of Stable Diffusion 1.5 at its true size, and pictures of
//! the starter model, each against f32.

use std::path::Path;

use pentimento_engine::kernels::cpu::{Packing, trusted_isa};
use pentimento_engine::recipe::{NetworkOptions, Precision};
use support::compare::psnr_db;
use support::running::Running;

use crate::networks::Ours;
use crate::reuse::{PROMPTS, starter};
use crate::statistics::median;

/// Prints the tables. `folder`: what `full_size.py` wrote, or none.
pub(crate) fn measure(folder: Option<&str>) {
    if let Some(folder) = folder {
        network(&Path::new(folder).join("diffusers"));
    }
    starter_pictures();
}

fn network(folder: &Path) {
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    println!(
        "UNet of Stable Diffusion 1.5 (random weights) at 512 x 512, one guided step, kernels {}: difference of its result\n\
         from that in f32, root of the mean square relative to the result's; seconds, least of three.\n\n\
         | | relative RMS | s a step |\n|---|---|---|",
        trusted_isa().name()
    );
    let mut reference = Vec::new();
    for packing in [Packing::F32, Packing::Bf16, Packing::Int8] {
        let (result, secs) = pool.install(|| Ours::load(folder, packing).step(3));
        if reference.is_empty() {
            reference.clone_from(&result);
        }
        let square = |values: &mut dyn Iterator<Item = f32>| -> f64 {
            values.map(|value| f64::from(value).powi(2)).sum()
        };
        let off = square(&mut result.iter().zip(&reference).map(|(a, b)| a - b));
        let all = square(&mut reference.iter().copied());
        println!("| {packing:?} | {:.2e} | {secs:.2} |", (off / all).sqrt());
    }
    println!();
}

fn starter_pictures() {
    let running = Running::start();
    println!(
        "Starter model, 128 x 128, 20 steps DPM++ 2M, guidance 4: {} pictures, each against the same in f32.\n\n\
         | | PSNR dB, median (least) |\n|---|---|",
        PROMPTS.len()
    );
    let pictures = |precision| -> Vec<_> {
        let one = |at| {
            let mut recipe = starter(PROMPTS[at], at as u64 + 1, &NetworkOptions::default());
            recipe.precision = precision;
            running.picture(recipe).rgba
        };
        (0..PROMPTS.len()).map(one).collect()
    };
    let reference = pictures(Precision::F32);
    for precision in [Precision::Bf16, Precision::Int8] {
        let made = pictures(precision);
        let db = made.iter().zip(&reference).map(|(a, b)| psnr_db(a, b));
        let db: Vec<f64> = db.collect();
        let least = db.iter().copied().fold(f64::INFINITY, f64::min);
        println!("| {precision:?} | {:.1} ({least:.1}) |", median(&db));
    }
}
