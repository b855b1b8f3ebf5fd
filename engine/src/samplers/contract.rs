//! What every sampler owes its callers, tested on all of them: it ends clean, repeats itself, keeps
//! nothing between runs, stops within a step, and says how many steps it takes.

use std::path::Path;

use candle_core::Device;

use super::{SAMPLERS, SamplerSpec, Trajectory, trajectory};
use crate::denoiser::{Denoiser, Level, Observer, StepInfo};
use crate::error::{EngineError, Result};
use crate::latent::Latents;
use crate::noise::{NoiseSource, source};
use crate::recipe::{Knobs, NoiseKind};
use crate::schedules::{self, NoiseTable, PipelineRules, ReferenceClass, SCHEDULES};

const STARTER_LIKE: &str = r#"{"beta_schedule": "scaled_linear", "beta_start": 0.00085,
    "beta_end": 0.012, "prediction_type": "v_prediction", "rescale_betas_zero_snr": true,
    "timestep_spacing": "trailing", "clip_sample": false}"#;

fn table(text: &str) -> NoiseTable {
    let path = Path::new("scheduler_config.json");
    NoiseTable::parse(path, text, PipelineRules::StableDiffusion).expect("supported")
}

fn latents(values: Vec<f32>) -> Latents {
    let shape = [1, 1, 1, values.len()];
    Latents::from_values(values, shape, &Device::Cpu).expect("small")
}

/// Predicts some mix of a fixed picture and its input; may fail at a call.
pub(super) struct Network {
    share_of_input: f64,
    fails_at: Option<usize>,
    calls: usize,
}

impl Network {
    pub(super) const PICTURE: [f32; 16] = [
        0.5, -1.0, 2.0, 0.0, 1.5, -0.5, 0.25, -2.0, 0.75, 1.0, -1.5, 3.0, -0.25, 0.1, -0.1, 1.25,
    ];

    pub(super) fn that_knows() -> Self {
        Self::mixing(0.0)
    }

    pub(super) fn mixing(share_of_input: f64) -> Self {
        Self {
            share_of_input,
            fails_at: None,
            calls: 0,
        }
    }
}

impl Denoiser for Network {
    fn denoise(&mut self, at: &Latents, level: &Level) -> Result<Latents> {
        assert!(level.sigma > 0.0 && level.alpha.is_finite(), "{level:?}");
        self.calls += 1;
        if self.fails_at == Some(self.calls) {
            return Err(EngineError::Cancelled);
        }
        let picture = latents(Self::PICTURE.to_vec());
        Latents::combine(&[(1.0, &picture), (self.share_of_input, at)])
    }
}

/// Counts; fails at a level or a step.
#[derive(Default)]
pub(super) struct Watcher {
    levels: usize,
    steps: Vec<usize>,
    last: Option<Level>,
    fails_at_level: Option<usize>,
    fails_at_step: Option<usize>,
}

impl Observer for Watcher {
    fn on_level(&mut self, at: Latents, level: &Level) -> Result<Latents> {
        self.levels += 1;
        self.last = Some(*level);
        match self.fails_at_level {
            Some(level) if level == self.levels => Err(EngineError::Cancelled),
            _ => Ok(at),
        }
    }

    fn on_step(&mut self, info: &StepInfo<'_>) -> Result<()> {
        self.steps.push(info.step);
        match self.fails_at_step {
            Some(step) if step == info.step => Err(EngineError::Cancelled),
            _ => Ok(()),
        }
    }
}

pub(super) fn run(
    sampler: &SamplerSpec,
    plan: &Trajectory,
    network: &mut Network,
    watcher: &mut Watcher,
) -> Result<Vec<f32>> {
    let mut noise = source(NoiseKind::TorchCpu, 5);
    run_on(sampler, plan, network, watcher, noise.as_mut())
}

pub(super) fn run_on(
    sampler: &SamplerSpec,
    plan: &Trajectory,
    network: &mut Network,
    watcher: &mut Watcher,
    noise: &mut dyn NoiseSource,
) -> Result<Vec<f32>> {
    let start = latents(noise.standard_normal(16)).scaled(plan.noise_scale())?;
    (sampler.sample)(network, start, plan, noise, watcher)?.to_values()
}

/// Samplers that call the network twice a step, but for the last.
const TWICE: [&str; 6] = [
    "heun",
    "dpm_2",
    "dpm_2_ancestral",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "restart",
];

pub(super) fn plan(
    sampler: &SamplerSpec,
    schedule: &str,
    steps: usize,
    strength: f64,
) -> Trajectory {
    plan_with(sampler, schedule, steps, strength, &Knobs::default())
}

pub(super) fn plan_with(
    sampler: &SamplerSpec,
    schedule: &str,
    steps: usize,
    strength: f64,
    knobs: &Knobs,
) -> Trajectory {
    let rule = schedules::find(schedule).expect("known");
    let table = table(STARTER_LIKE);
    trajectory(sampler, rule, &table, steps, strength, knobs).expect("a plan")
}

#[test]
fn ids_are_unique_and_found() {
    for (at, spec) in SAMPLERS.iter().enumerate() {
        assert!(SAMPLERS[at + 1..].iter().all(|other| other.id != spec.id));
        assert_eq!(super::find(spec.id).expect("known").id, spec.id);
    }
    for (at, spec) in SCHEDULES.iter().enumerate() {
        assert!(SCHEDULES[at + 1..].iter().all(|other| other.id != spec.id));
        assert_eq!(schedules::find(spec.id).expect("known").id, spec.id);
    }
    let unknown = super::find("plms").err().expect("unknown").to_string();
    assert!(
        unknown.contains("plms") && unknown.contains("dpmpp_2m"),
        "{unknown}"
    );
    assert_eq!(
        schedules::find("cosine").err().expect("unknown").code(),
        "invalid_request"
    );
}

#[test]
fn a_network_that_knows_the_picture_gets_exactly_that_picture() {
    for sampler in SAMPLERS {
        for schedule in SCHEDULES {
            // From tiny steps to large ones LMS extrapolates far, here from sigma 4096: what it
            // multiplies by some 10^4 is mostly rounding, in the reference as well.
            if sampler.id == "lms" && schedule.id == "linear_quadratic" {
                continue;
            }
            for steps in [1, 2, 5, 14, 15, 33] {
                let plan = plan(sampler, schedule.id, steps, 1.0);
                let mut watcher = Watcher::default();
                let got = run(sampler, &plan, &mut Network::that_knows(), &mut watcher);
                let last = plan.steps()[plan.len() - 1];
                let tolerance = match sampler.id {
                    // LCM's boundary condition keeps a share of the latents, more the smaller the
                    // last timestep is: all of them at timestep 0, where two of the schedules end.
                    "lcm" => 2.0 / (10.0 * last.from.timestep + 1.0),
                    // The reference's DDIM aims a whole stride down, which may stop short of the
                    // clean end and leave that level's noise in.
                    // TCD ends at the table's first level.
                    "ddim" | "tcd" => 2e-6 + 4.0 * last.to.sigma,
                    // LMS goes on with slopes of noisier levels, and with their rounding.
                    "lms" => 1e-5,
                    _ => 2e-6,
                };
                for (got, want) in got.expect("a run").iter().zip(Network::PICTURE) {
                    let error = f64::from((got - want).abs());
                    assert!(
                        error <= tolerance,
                        "{} {} {steps}: {error}",
                        sampler.id,
                        schedule.id
                    );
                }
                assert_eq!(watcher.last, Some(Level::CLEAN));
                assert_eq!(watcher.steps, (1..=plan.len()).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn the_same_run_gives_the_same_bits_whatever_ran_between() {
    for sampler in SAMPLERS {
        let long = plan(sampler, "model", 9, 1.0);
        let short = plan(sampler, "karras", 4, 0.5);
        let go = |plan| {
            run(
                sampler,
                plan,
                &mut Network::mixing(0.2),
                &mut Watcher::default(),
            )
        };
        let first = go(&long).expect("a run");
        go(&short).expect("a run");
        assert_eq!(first, go(&long).expect("a run"), "{}", sampler.id);
    }
}

#[test]
fn a_failed_call_or_a_stopped_observer_ends_the_run_at_once() {
    for sampler in SAMPLERS {
        let plan = plan(sampler, "model", 6, 1.0);
        let calls_a_step = if TWICE.contains(&sampler.id) { 2 } else { 1 };
        let mut network = Network {
            fails_at: Some(3),
            ..Network::mixing(0.1)
        };
        let stopped = run(sampler, &plan, &mut network, &mut Watcher::default());
        assert_eq!(
            (stopped, network.calls),
            (Err(EngineError::Cancelled), 3),
            "{}",
            sampler.id
        );

        let mut network = Network::mixing(0.1);
        let mut watcher = Watcher {
            fails_at_step: Some(2),
            ..Watcher::default()
        };
        let stopped = run(sampler, &plan, &mut network, &mut watcher);
        assert_eq!(stopped, Err(EngineError::Cancelled), "{}", sampler.id);
        assert_eq!(
            (network.calls, watcher.steps.len()),
            (2 * calls_a_step, 2),
            "{}",
            sampler.id
        );

        let mut network = Network::mixing(0.1);
        let mut watcher = Watcher {
            fails_at_level: Some(1),
            ..Watcher::default()
        };
        let stopped = run(sampler, &plan, &mut network, &mut watcher);
        assert_eq!(
            (stopped, network.calls),
            (Err(EngineError::Cancelled), 1),
            "{}",
            sampler.id
        );
    }
}

#[test]
fn second_order_asks_twice_a_step_but_the_last() {
    for sampler in SAMPLERS {
        let plan = plan(sampler, "karras", 7, 1.0);
        let mut network = Network::mixing(0.1);
        run(sampler, &plan, &mut network, &mut Watcher::default()).expect("a run");
        let calls = if TWICE.contains(&sampler.id) { 13 } else { 7 };
        assert_eq!(network.calls, calls, "{}", sampler.id);
    }
}

#[test]
fn strength_keeps_the_last_whole_steps() {
    for sampler in SAMPLERS {
        for (steps, strength, kept) in [(20, 1.0, 20), (20, 0.75, 15), (7, 0.5, 3), (50, 0.29, 14)]
        {
            let whole = plan(sampler, "model", steps, 1.0);
            let part = plan(sampler, "model", steps, strength);
            assert_eq!(part.len(), kept, "{}: {steps} x {strength}", sampler.id);
            // Restart makes its own steps of what strength leaves.
            if sampler.id != "restart" {
                assert_eq!(part.steps(), &whole.steps()[steps - kept..]);
            }
            assert_eq!(part.start(), part.steps()[0].from);
        }
    }
}

#[test]
fn impossible_runs_are_refused_with_what_is_possible() {
    let table = table(STARTER_LIKE);
    let refused = |sampler: &SamplerSpec, steps, strength| {
        let model = schedules::find("model").expect("known");
        match trajectory(sampler, model, &table, steps, strength, &Knobs::default()) {
            Err(EngineError::InvalidRequest { field, why }) => (field, why),
            other => panic!("{} {steps} {strength}: {other:?}", sampler.id),
        }
    };
    for sampler in SAMPLERS {
        for steps in [0, 1001, usize::MAX] {
            let (field, why) = refused(sampler, steps, 1.0);
            let most = if sampler.id.starts_with("dpm_2") {
                999
            } else {
                1000
            };
            assert!(
                field == "steps" && why.contains(&format!("1 to {most}")),
                "{field}: {why}"
            );
        }
        for strength in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY, 0.04] {
            assert_eq!(refused(sampler, 20, strength).0, "strength");
        }
    }
    let (field, why) = refused(super::find("lcm").expect("known"), 51, 1.0);
    assert!(field == "steps" && why.contains("1 to 50"), "{why}");
}

#[test]
fn every_step_count_of_a_table_can_be_run() {
    let leading = table(
        r#"{"timestep_spacing": "leading", "num_train_timesteps": 60, "clip_sample": false}"#,
    );
    let trailing = table(
        r#"{"timestep_spacing": "trailing", "num_train_timesteps": 60, "clip_sample": false}"#,
    );
    for sampler in SAMPLERS {
        for schedule in SCHEDULES {
            for (table, steps) in [(&leading, 1..=58), (&trailing, 1..=60)] {
                for steps in steps {
                    let knobs = Knobs::default();
                    let Ok(plan) = trajectory(sampler, schedule, table, steps, 1.0, &knobs) else {
                        let most = match sampler.id {
                            "lcm" | "tcd" => 50,
                            // They need a level to leave out.
                            id if id.starts_with("dpm_2") => 59,
                            _ => 60,
                        };
                        assert!(steps > most, "{} {steps}", sampler.id);
                        continue;
                    };
                    let got = run(
                        sampler,
                        &plan,
                        &mut Network::mixing(0.1),
                        &mut Watcher::default(),
                    );
                    let finite = got.expect("a run").iter().all(|value| value.is_finite());
                    assert!(finite, "{} {} {steps}", sampler.id, schedule.id);
                }
            }
        }
    }
}

#[test]
fn on_one_set_of_levels_euler_ddim_and_first_order_dpm_are_one_method() {
    let first_order = STARTER_LIKE.replace('{', r#"{"solver_order": 1, "#);
    let results: Vec<Vec<f32>> = ["euler", "ddim", "dpmpp_2m"]
        .into_iter()
        .map(|id| {
            let sampler = super::find(id).expect("known");
            let rule = schedules::find("sgm_uniform").expect("known");
            let table = table(&first_order);
            let knobs = Knobs::default();
            let plan = trajectory(sampler, rule, &table, 12, 1.0, &knobs).expect("a plan");
            run(
                sampler,
                &plan,
                &mut Network::mixing(0.3),
                &mut Watcher::default(),
            )
            .expect("a run")
        })
        .collect();
    for other in &results[1..] {
        for (a, b) in results[0].iter().zip(other) {
            assert!((a - b).abs() < 1e-5, "{results:?}");
        }
    }
}

#[test]
fn an_order_that_is_not_there_is_refused_by_those_it_concerns() {
    let fourth = table(r#"{"solver_order": 4}"#);
    let third = table(r#"{"solver_order": 3}"#);
    let refused = |sampler: &SamplerSpec, table| {
        let rule = schedules::find("model").expect("known");
        match trajectory(sampler, rule, table, 10, 1.0, &Knobs::default()) {
            Ok(_) => false,
            Err(EngineError::UnsupportedModel { found, .. }) => found.contains("solver_order"),
            Err(other) => panic!("{}: {other}", sampler.id),
        }
    };
    for sampler in SAMPLERS {
        let two_at_most = sampler.class == ReferenceClass::DpmMultistep;
        assert_eq!(refused(sampler, &third), two_at_most, "{}", sampler.id);
        let concerned = two_at_most || sampler.class == ReferenceClass::UniPc;
        assert_eq!(refused(sampler, &fourth), concerned, "{}", sampler.id);
    }
}
