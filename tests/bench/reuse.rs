//! What the options cost and save that make steps cheaper: pictures of the starter model against the same ones with
//! every option at rest.

use std::time::Instant;

use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{GuidanceInterval, NetworkOptions, Precision, Recipe, Reuse};
use support::compare::psnr_db;
use support::running::{Running, built_in, recipe};

use crate::statistics::median;

const STEPS: u32 = 20;
const PROMPTS: [&str; 8] = [
    "a red apple, 3d",
    "a rocket, 3d",
    "a house, flat illustration",
    "a guitar, gradient",
    "a mountain lake at sunset",
    "a blue ball, 3d",
    "a tree, flat illustration",
    "a green car, render",
];

fn starter(prompt: &str, seed: u64, network: &NetworkOptions) -> Recipe {
    Recipe {
        prompt: prompt.to_owned(),
        negative_prompt: "blurry".to_owned(),
        width_px: 128,
        height_px: 128,
        seed,
        steps: STEPS,
        guidance: 4.0,
        sampler: "dpmpp_2m".to_owned(),
        precision: Precision::F32,
        network: network.clone(),
        ..recipe(&built_in())
    }
}

fn interval(from: f64, until: f64) -> NetworkOptions {
    NetworkOptions {
        guidance_interval: GuidanceInterval { from, until },
        ..NetworkOptions::default()
    }
}

fn reuse(deep_every: u32, deep_branch: u32, negative_every: u32) -> NetworkOptions {
    NetworkOptions {
        reuse: Reuse {
            deep_every,
            deep_branch,
            negative_every,
        },
        ..NetworkOptions::default()
    }
}

fn pictures(running: &Running, network: &NetworkOptions) -> (Vec<Picture>, f64) {
    let began = Instant::now();
    let seeds = 1..;
    let made = PROMPTS
        .iter()
        .zip(seeds)
        .map(|(prompt, seed)| running.picture(starter(prompt, seed, network)));
    let made = made.collect();
    (made, began.elapsed().as_secs_f64() / PROMPTS.len() as f64)
}

/// Prints the table.
pub(crate) fn measure() {
    let running = Running::start();
    let rest = NetworkOptions::default();
    let (plain, _) = pictures(&running, &rest);
    println!(
        "Starter model, 128 x 128, {STEPS} steps DPM++ 2M, guidance 4, f32, 2 threads, {} pictures a row, by turns\n\
         with the plain ones; the loss is against these.\n\n\
         | | s a picture | of the plain one's | PSNR dB, median (least) |\n|---|---|---|---|",
        PROMPTS.len()
    );
    for (name, network) in [
        ("plain, again", rest.clone()),
        ("guidance from 0.1", interval(0.1, 1.0)),
        ("guidance until 0.8", interval(0.0, 0.8)),
        ("guidance from 0.2 until 0.8", interval(0.2, 0.8)),
        ("guidance until 0.5", interval(0.0, 0.5)),
        ("negative prompt every 2", reuse(1, 0, 2)),
        ("negative prompt every 3", reuse(1, 0, 3)),
        ("DeepCache 2, branch 0", reuse(2, 0, 1)),
        ("DeepCache 2, branch 1", reuse(2, 1, 1)),
        ("DeepCache 2, branch 2", reuse(2, 2, 1)),
        ("DeepCache 3, branch 0", reuse(3, 0, 1)),
        ("DeepCache 3, branch 2", reuse(3, 2, 1)),
        ("DeepCache 5, branch 0", reuse(5, 0, 1)),
        (
            "DeepCache 3, branch 0, negative prompt every 3",
            reuse(3, 0, 3),
        ),
    ] {
        let (_, before) = pictures(&running, &rest);
        let (made, secs) = pictures(&running, &network);
        let db: Vec<f64> = made
            .iter()
            .zip(&plain)
            .map(|(ours, plain)| psnr_db(&ours.rgba, &plain.rgba))
            .collect();
        let least = db.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "| {name} | {secs:.3} | {:.2} | {:.1} ({least:.1}) |",
            secs / before,
            median(&db)
        );
    }
    println!("\nKernels: {}.", running.engine.kernels());
}
