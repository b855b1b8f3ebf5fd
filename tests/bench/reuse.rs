//! What the options cost and save that make steps cheaper: pictures of the starter model against the same ones with
//! every option at rest.

use std::time::Instant;

use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{
    EasyCacheOptions, GuidanceInterval, NetworkOptions, Precision, Recipe, Reuse,
};
use support::compare::psnr_db;
use support::running::{Running, built_in, recipe};

use crate::statistics::median;

const STEPS: u32 = 20;
pub(crate) const PROMPTS: [&str; 8] = [
    "a red apple, 3d",
    "a rocket, 3d",
    "a house, flat illustration",
    "a guitar, gradient",
    "a mountain lake at sunset",
    "a blue ball, 3d",
    "a tree, flat illustration",
    "a green car, render",
];

pub(crate) fn starter(prompt: &str, seed: u64, network: &NetworkOptions) -> Recipe {
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

fn easy(threshold: f64) -> NetworkOptions {
    NetworkOptions {
        easy_cache: EasyCacheOptions {
            threshold,
            ..EasyCacheOptions::default()
        },
        ..NetworkOptions::default()
    }
}

/// A picture, and the seconds it took.
fn picture(running: &Running, at: usize, network: &NetworkOptions) -> (Picture, f64) {
    let recipe = starter(PROMPTS[at], at as u64 + 1, network);
    let began = Instant::now();
    let made = running.picture(recipe);
    (made, began.elapsed().as_secs_f64())
}

/// Prints the table, of the rows whose names hold `only`.
pub(crate) fn measure(only: &str) {
    let running = Running::start();
    let rest = NetworkOptions::default();
    picture(&running, 0, &rest); // loads the model
    println!(
        "Starter model, 128 x 128, {STEPS} steps DPM++ 2M, guidance 4, f32, 2 threads: {} pictures a row, each by turns\n\
         with the plain one, which it is compared with; medians.\n\n\
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
        ("EasyCache 0.05", easy(0.05)),
        ("EasyCache 0.1", easy(0.1)),
        ("EasyCache 0.2", easy(0.2)),
        ("EasyCache 0.3", easy(0.3)),
    ] {
        if !name.contains(only) {
            continue;
        }
        let (mut secs, mut plain_secs, mut db) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..PROMPTS.len() {
            let (plain, took) = picture(&running, at, &rest);
            plain_secs.push(took);
            let (ours, took) = picture(&running, at, &network);
            secs.push(took);
            db.push(psnr_db(&ours.rgba, &plain.rgba));
        }
        let least = db.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "| {name} | {:.3} | {:.2} | {:.1} ({least:.1}) |",
            median(&secs),
            median(&secs) / median(&plain_secs),
            median(&db)
        );
    }
    println!("\nKernels: {}.", running.engine.kernels());
}
