//! The starter model's picture, 20 steps with guidance: ours and diffusers' by turns, and with and without previews.

use std::time::Instant;

use pentimento_engine::event::Event;
use pentimento_engine::recipe::{Precision, Recipe};
use support::places;
use support::running::{Options, Running, built_in, recipe};

use crate::peer::Peer;
use crate::statistics::{median, range};

const ROUNDS: usize = 9;

fn starter(precision: Precision) -> Recipe {
    Recipe {
        width_px: 128,
        height_px: 128,
        steps: 20,
        guidance: 4.0,
        sampler: "dpmpp_2m".to_owned(),
        precision,
        ..recipe(&built_in())
    }
}

/// Seconds for one picture, from the request to the saved file, and the previews' share of it.
fn once(running: &Running, recipe: &Recipe) -> (f64, f64) {
    let began = Instant::now();
    let job = running.submit(recipe.clone());
    let mut share = 0.0;
    for event in running.until_end(job) {
        match event {
            Event::ImageReady { record, .. } => share = record.outcome.preview_share,
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    (began.elapsed().as_secs_f64(), share)
}

/// Prints the tables.
pub(crate) fn measure(python: Option<&str>) {
    // One engine each: a change of precision would load the model again.
    let (plain, automatic) = (Running::start(), Running::start());
    let previewed = Running::with(Options {
        previews: true,
        ..Options::default()
    });
    let (f32, auto) = (starter(Precision::F32), starter(Precision::Auto));
    let mut peer =
        python.map(|python| Peer::start(python, "diffusers_starter.py", &places::model("starter")));
    let versions = peer.as_mut().map(Peer::answer);
    once(&plain, &f32);
    once(&automatic, &auto);
    once(&previewed, &f32);
    if let Some(peer) = &mut peer {
        peer.secs("go");
    }
    let mut rows: [Vec<f64>; 4] = Default::default();
    let mut shares = Vec::new();
    for _ in 0..ROUNDS {
        rows[0].push(once(&plain, &f32).0);
        if let Some(peer) = &mut peer {
            rows[1].push(peer.secs("go"));
        }
        rows[2].push(once(&automatic, &auto).0);
        let (seconds, share) = once(&previewed, &f32);
        rows[3].push(seconds);
        shares.push(share);
    }
    println!(
        "Starter model, 128 x 128, 20 steps DPM++ 2M, guidance 4, 2 threads, {ROUNDS} rounds by turns;"
    );
    println!("from the request to the picture (ours: saved), median and range in seconds.\n");
    println!("| | median s | range s | to diffusers |\n|---|---|---|---|");
    let reference = median(&rows[1]);
    let names = [
        "ours, f32",
        "diffusers, f32",
        "ours, auto precision",
        "ours, f32, with previews",
    ];
    for (name, seconds) in names
        .iter()
        .zip(&rows)
        .filter(|(_, seconds)| !seconds.is_empty())
    {
        let ratio = median(seconds) / reference;
        println!(
            "| {name} | {:.3} | {} | {ratio:.2} |",
            median(seconds),
            range(seconds, 3)
        );
    }
    let kernels = plain.engine.kernels();
    println!(
        "\nPreviews took {:.1} % of the sampling time (median; most {:.1} %). Kernels: {kernels}.",
        100.0 * median(&shares),
        100.0 * shares.iter().copied().fold(0.0, f64::max)
    );
    println!(
        "Reference: {}.",
        versions
            .as_deref()
            .unwrap_or("not run, no Python was given")
    );
}
