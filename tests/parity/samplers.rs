//! Whole runs of every sampler on every schedule against the reference's schedulers, with a formula in
//! place of the network: text to image, image to image and inpainting.

use candle_core::Device;
use pentimento_engine::denoiser::{Denoiser, Level, Observer, StepInfo};
use pentimento_engine::error::Result;
use pentimento_engine::guidance::predicted_x0;
use pentimento_engine::latent::Latents;
use pentimento_engine::noise::{NoiseSource, source};
use pentimento_engine::recipe::{Knobs, NoiseKind};
use pentimento_engine::samplers::{self, Trajectory, trajectory};
use pentimento_engine::schedules::{self, NoiseTable, Prediction};

use crate::runs::{About, SAMPLERS, SCHEDULES, about, tensors};

const SHAPE: [usize; 4] = [1, 1, 4, 4];

pub(crate) fn latents(values: Vec<f32>) -> Latents {
    Latents::from_values(values, SHAPE, &Device::Cpu).expect("sixteen values")
}

/// The formula in place of the network; it stands in the fixture's script, too.
pub(crate) struct Formula(pub(crate) Prediction);

impl Denoiser for Formula {
    fn denoise(&mut self, at: &Latents, level: &Level) -> Result<Latents> {
        let t = level.timestep;
        let raw = at.to_values()?.into_iter().map(|x| match self.0 {
            Prediction::Epsilon => 0.95 * x + 0.1 * (2.0 * x + (t / 150.0) as f32).sin(),
            Prediction::Velocity => 0.6 * (1.5 * x + (t / 200.0) as f32).sin() - 0.4 * x,
            Prediction::Sample => 0.9 * x.tanh() + (0.1 * (t / 100.0).sin()) as f32,
        });
        predicted_x0(self.0, &latents(raw.collect()), at, level)
    }
}

/// Blends the known area in as the inpainting pipeline does, or leaves the latents alone.
struct Blend {
    known: Latents,
    noise: Latents,
    on: bool,
    steps: usize,
}

impl Observer for Blend {
    fn on_level(&mut self, at: Latents, level: &Level) -> Result<Latents> {
        if !self.on {
            return Ok(at);
        }
        let known = level.noised(&self.known, &self.noise)?.to_values()?;
        let values = at.to_values()?.into_iter().zip(known).enumerate();
        let blended = values.map(|(i, (new, known))| if i % 3 == 0 { new } else { known });
        Ok(latents(blended.collect()))
    }

    fn on_step(&mut self, info: &StepInfo<'_>) -> Result<()> {
        self.steps += 1;
        assert_eq!(info.step, self.steps);
        Ok(())
    }
}

pub(crate) fn known() -> Latents {
    latents((0..16).map(|i| (0.7 * i as f32).sin()).collect())
}

/// One run as the pipeline makes it: noise first, then the sampler on the same generator.
fn run(sampler: &str, table: &NoiseTable, planned: &Trajectory, mode: &str) -> Result<Vec<f32>> {
    let mut noise: Box<dyn NoiseSource + Send> = source(NoiseKind::TorchCpu, 7);
    let first = latents(noise.standard_normal(16));
    let start = if mode == "text" {
        first.scaled(planned.noise_scale())?
    } else {
        planned.start().noised(&known(), &first)?
    };
    let mut observer = Blend {
        known: known(),
        noise: first,
        on: mode == "inpaint",
        steps: 0,
    };
    let mut formula = Formula(table.prediction());
    let spec = samplers::find(sampler)?;
    let done = (spec.sample)(&mut formula, start, planned, &mut *noise, &mut observer)?;
    assert_eq!(observer.steps, planned.len());
    done.to_values()
}

/// Largest error allowed, relative to the run's largest value (at least 1).
///
/// Both sides compute in f32, 6e-8 a rounding: the median error is 2e-7. We add up alpha x0 +
/// sigma epsilon, diffusers' Euler family x0 + sigma epsilon, whose sum carries the rounding of its
/// largest sigma: 1e-5 where that is 160, 2.5e-4 where it is 4096, as it is for models with zero
/// terminal SNR. Heun's mean of two slopes over a step from there brings the rounding up a bit more on
/// either side.
fn tolerance(config: &str, sampler: &str) -> f64 {
    match (config, sampler) {
        ("zero_snr" | "short" | "cosine", "heun") => 1e-3,
        ("zero_snr" | "short" | "cosine", _) => 4e-4,
        _ => 3e-5,
    }
}

/// Compares all runs of one config, sampler and schedule with their rows; the number compared.
fn compare(about: &About, key: [&str; 3], table: &NoiseTable, rows: &[f32]) -> usize {
    let [config, sampler, schedule] = key;
    let spec = samplers::find(sampler).expect("sampler");
    let rule = schedules::find(schedule).expect("schedule");
    let ways = about
        .steps
        .iter()
        .flat_map(|&steps| about.modes.iter().map(move |mode| (steps, mode)));
    let mut compared = 0;
    for ((steps, mode), want) in ways.zip(rows.chunks_exact(16)) {
        let place = format!(
            "{config}/{sampler}/{schedule}, {steps} steps, {}",
            mode.name
        );
        if want.iter().any(|value| value.is_nan()) {
            // No step is left, or diffusers' ancestral class lacks x0 prediction.
            let no_step = (steps as f64 * mode.strength) < 1.0;
            let lacking = sampler == "euler_a" && table.prediction() == Prediction::Sample;
            assert!(no_step || lacking, "{place}: no reference");
            continue;
        }
        let knobs = Knobs::default();
        let planned = trajectory(spec, rule, table, steps, mode.strength, &knobs).expect("plan");
        let got = run(sampler, table, &planned, &mode.name).expect("run");
        assert!(
            got.iter().all(|value| value.is_finite()),
            "{place}: {got:?}"
        );
        let scale = want
            .iter()
            .fold(1.0_f32, |most, value| most.max(value.abs()));
        let errors = got.iter().zip(want).map(|(a, b)| (a - b).abs());
        let relative = f64::from(errors.fold(0.0, f32::max) / scale);
        assert!(
            relative <= tolerance(config, sampler),
            "{place}: off by {relative:.1e}"
        );
        compared += 1;
    }
    compared
}

#[test]
fn runs_end_where_the_reference_ends() {
    let about = about();
    let reference = tensors("samplers", "runs.safetensors");
    let mut compared = 0;
    for (config, table) in about.tables() {
        for sampler in SAMPLERS {
            for schedule in SCHEDULES {
                match reference.get(&format!("{config}/{sampler}/{schedule}")) {
                    Some(rows) => {
                        compared += compare(&about, [config, sampler, schedule], &table, rows)
                    }
                    // Only some samplers are recorded for the pipelines' own configs.
                    None => assert!(
                        config.starts_with("pipeline"),
                        "{config}/{sampler}/{schedule}"
                    ),
                }
            }
        }
    }
    assert!(compared > 4000, "only {compared} runs compared");
}
