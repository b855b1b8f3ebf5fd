//! Samplers, schedules and noise against k-diffusion (with torchsde's Brownian tree), ComfyUI's and
//! A1111's definitions, and those schedulers of diffusers that `samplers.rs` leaves out.

use std::collections::BTreeMap;

use pentimento_engine::denoiser::{Level, Observer, StepInfo};
use pentimento_engine::error::Result;
use pentimento_engine::latent::Latents;
use pentimento_engine::noise::{NoiseSource, brownian, source};
use pentimento_engine::recipe::{Knobs, NoiseKind, StepNoise};
use pentimento_engine::samplers::{self, SAMPLERS, trajectory};
use pentimento_engine::schedules::{self, NoiseTable, PipelineRules, SCHEDULES};
use serde::Deserialize;

use crate::runs::{self, tensors};
use crate::samplers::{Formula, known, latents};

const FOLDER: &str = "k_diffusion";

/// `cases.json`.
#[derive(Deserialize)]
struct About {
    /// Step counts behind each tensor of levels, in order.
    level_steps: Vec<usize>,
    /// Scheduler configs as text, by name.
    configs: BTreeMap<String, String>,
    /// Runs, in the order of the recorded latents.
    cases: Vec<Case>,
    paths: Vec<Path>,
}

#[derive(Debug, Deserialize)]
struct Case {
    sampler: String,
    schedule: String,
    steps: usize,
    config: String,
    strength: f64,
    knobs: Knobs,
}

/// A Brownian path, and between which sigmas its noise was asked.
#[derive(Deserialize)]
struct Path {
    seed: u64,
    levels: Vec<[f64; 2]>,
}

fn about() -> About {
    let text = std::fs::read_to_string(runs::file(FOLDER, "cases.json")).expect("fixture");
    serde_json::from_str(&text).expect("valid fixture")
}

impl About {
    fn table(&self, name: &str) -> NoiseTable {
        runs::table(name, &self.configs[name], PipelineRules::AsWritten)
    }
}

/// Watches nothing.
struct Unwatched;

impl Observer for Unwatched {
    fn on_level(&mut self, at: Latents, _level: &Level) -> Result<Latents> {
        Ok(at)
    }

    fn on_step(&mut self, _info: &StepInfo<'_>) -> Result<()> {
        Ok(())
    }
}

fn run(case: &Case, table: &NoiseTable) -> Result<Vec<f32>> {
    let sampler = samplers::find(&case.sampler)?;
    let schedule = schedules::find(&case.schedule)?;
    let Case {
        steps,
        strength,
        knobs,
        ..
    } = case;
    let planned = trajectory(sampler, schedule, table, *steps, *strength, knobs)?;
    let mut noise: Box<dyn NoiseSource + Send> = match knobs.step_noise {
        StepNoise::Fresh => source(NoiseKind::TorchCpu, 7),
        StepNoise::Brownian => {
            let (smallest, largest) = planned.sigma_range();
            brownian(NoiseKind::TorchCpu, 7, smallest, largest)
        }
    };
    let first = latents(noise.standard_normal(16));
    let start = if *strength < 1.0 {
        planned.start().noised(&known(), &first)?
    } else {
        first.scaled(planned.noise_scale())?
    };
    let mut formula = Formula(table.prediction());
    (sampler.sample)(&mut formula, start, &planned, &mut *noise, &mut Unwatched)?.to_values()
}

/// Largest error allowed, relative to the run's largest value (at least 1).
///
/// k-diffusion's side computed in f64 on f32 levels; ours rounds latents to f32, 6e-8 a step at unit
/// variance, which a fall from sigma 160 or 4096 takes along. diffusers computes in f32 throughout.
///
/// A Brownian path is rough: k-diffusion's levels, whose powers torch takes in f32, are off ours in the
/// last place, and where a step's end moves by 1e-6 the path moves by some 1e-3. Typed levels are equal,
/// and so is then the noise.
fn tolerance(case: &Case) -> f64 {
    let typed = !case.knobs.sigmas.is_empty();
    if case.knobs.step_noise == StepNoise::Brownian && !typed {
        return 3e-3;
    }
    match (case.sampler.as_str(), case.config.as_str()) {
        // From tiny steps to large ones LMS extrapolates far: it multiplies slopes by some 10^4.
        ("lms", _) if case.schedule == "linear_quadratic" => 5e-3,
        (_, "zero_snr") => 2e-4,
        _ => 2e-5,
    }
}

#[test]
fn runs_end_where_the_reference_ends() {
    let about = about();
    let reference = &tensors(FOLDER, "runs.safetensors")["runs"];
    assert_eq!(reference.len(), 16 * about.cases.len());
    let mut off = Vec::new();
    for (case, want) in about.cases.iter().zip(reference.chunks_exact(16)) {
        let got = run(case, &about.table(&case.config)).expect("run");
        let scale = want.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
        let errors = got.iter().zip(want).map(|(a, b)| (a - b).abs());
        let relative = f64::from(errors.fold(0.0, f32::max) / scale);
        if relative.is_nan() || relative > tolerance(case) {
            off.push(format!("off by {relative:.1e}: {case:?}"));
        }
    }
    assert!(off.is_empty(), "{} cases:\n{}", off.len(), off.join("\n"));
}

#[test]
fn every_sampler_is_compared_with_its_reference() {
    let about = about();
    for sampler in SAMPLERS {
        let here = about.cases.iter().any(|case| case.sampler == sampler.id);
        let there = runs::SAMPLERS.contains(&sampler.id);
        assert!(here || there, "{}", sampler.id);
    }
    let levels = tensors(FOLDER, "levels.safetensors");
    for schedule in SCHEDULES {
        let here = levels.contains_key(&format!("sd15/{}", schedule.id));
        let there = runs::SCHEDULES.contains(&schedule.id);
        assert!(here || there, "{}", schedule.id);
    }
}

#[test]
fn levels_are_those_of_the_definitions() {
    let about = about();
    let mut compared = 0;
    for (key, want) in tensors(FOLDER, "levels.safetensors") {
        let (config, schedule) = key.split_once('/').expect("two parts");
        let table = about.table(config);
        // The levels are k-diffusion's for every sampler's class.
        for sampler in ["euler", "ddim", "lcm", "uni_pc", "dpmpp_sde"] {
            let (spec, rule) = (
                samplers::find(sampler).expect("sampler"),
                schedules::find(schedule).expect("schedule"),
            );
            let (timesteps, sigmas) = want.split_at(want.len() / 2);
            let mut reference = timesteps.iter().zip(sigmas);
            for &steps in &about.level_steps {
                let knobs = Knobs::default();
                let planned = trajectory(spec, rule, &table, steps, 1.0, &knobs).expect("plan");
                for step in planned.steps() {
                    let (&timestep, &sigma) = reference.next().expect("as many levels");
                    let place = format!("{key} {sampler}, {steps} steps");
                    let got = step.from;
                    assert!(
                        (got.timestep - f64::from(timestep)).abs() <= 1e-3,
                        "{place}: timestep {} is not {timestep}",
                        got.timestep
                    );
                    // A rescaled table's steep end differs a bit: see `schedules.rs`.
                    let allowed = if config == "zero_snr" { 5e-5 } else { 2e-6 };
                    let off = got.sigma_ve() / f64::from(sigma) - 1.0;
                    assert!(off.abs() <= allowed, "{place}: {sigma} is off by {off:.1e}");
                    compared += 1;
                }
            }
            assert_eq!(
                reference.next(),
                None,
                "{key}: the reference has more levels"
            );
        }
    }
    assert!(compared > 6000, "only {compared} levels compared");
}

#[test]
fn brownian_noise_is_that_of_torchsde() {
    let about = about();
    let reference = tensors(FOLDER, "path.safetensors");
    for (at, path) in about.paths.iter().enumerate() {
        let ends = path.levels.iter().flatten();
        let (smallest, largest) = ends.fold((f64::INFINITY, 0.0_f64), |(least, most), &sigma| {
            (least.min(sigma), most.max(sigma))
        });
        let mut noise = brownian(NoiseKind::TorchCpu, path.seed, smallest, largest);
        let rows = reference[&at.to_string()].chunks_exact(40);
        for ([from, to], want) in path.levels.iter().zip(rows) {
            for (got, want) in noise.between(40, *from, *to).iter().zip(want) {
                // Two units in the last place of the largest numbers, at any depth of the tree.
                assert!(
                    (got - want).abs() < 2e-6,
                    "seed {}, {from} to {to}: {got} is not {want}",
                    path.seed
                );
            }
        }
    }
}
