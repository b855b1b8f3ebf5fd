//! Noise levels and timesteps against the scheduler classes of diffusers, and against the definitions
//! of k-diffusion and ComfyUI where diffusers has no such schedule.

use pentimento_engine::recipe::Knobs;
use pentimento_engine::samplers::{self, trajectory};
use pentimento_engine::schedules;

use crate::runs::{SAMPLERS, SCHEDULES, about, tensors};

/// Relative tolerance of sigma / alpha. Both sides keep f32 sigmas from the same f32 table; the powers
/// and logarithms between may differ by some units in the last place (6e-8 each).
///
/// A table rescaled to zero terminal SNR is made of differences of square roots, and torch's are one
/// unit off in places that depend on the processor (ours are correctly rounded): near the noisy end, where the
/// differences are a hundredth of the roots, that is some 1e-5.
fn sigma_tolerance(config: &str) -> f64 {
    match config {
        "zero_snr" | "short" => 5e-5,
        _ => 2e-6,
    }
}

/// Absolute tolerance of timesteps that are not whole numbers: the table's f32 logarithms put 1e-4 of a
/// step in doubt.
const TIMESTEP_TOLERANCE: f64 = 1e-3;

#[test]
fn levels_are_those_of_the_reference() {
    let about = about();
    let reference = tensors("samplers", "levels.safetensors");
    let mut compared = 0;
    for (name, table) in about.tables() {
        for sampler in SAMPLERS.into_iter().filter(|id| *id != "dpmpp_2m_sde") {
            for schedule in SCHEDULES {
                let key = format!("{name}/{sampler}/{schedule}");
                let Some(want) = reference.get(&key) else {
                    assert!(name.starts_with("pipeline"), "{key} is missing");
                    continue;
                };
                let (timesteps, sigmas) = want.split_at(want.len() / 2);
                let (spec, rule) = (
                    samplers::find(sampler).expect("sampler"),
                    schedules::find(schedule).expect("schedule"),
                );
                let mut at = 0;
                let knobs = Knobs::default();
                for &steps in &about.level_steps {
                    let planned = match trajectory(spec, rule, &table, steps, 1.0, &knobs) {
                        Ok(planned) => planned,
                        // LCM's own schedule ends at the steps it was distilled at; the reference has
                        // no entry beyond either, for any schedule.
                        Err(error) => {
                            assert!(
                                sampler == "lcm" && error.code() == "invalid_request",
                                "{key}"
                            );
                            continue;
                        }
                    };
                    if at == timesteps.len() {
                        assert!(
                            sampler == "lcm" && steps > 40,
                            "{key}: no reference for {steps}"
                        );
                        continue;
                    }
                    for step in planned.steps() {
                        let (timestep, sigma) = (f64::from(timesteps[at]), f64::from(sigmas[at]));
                        let place = format!("{key}, {steps} steps, entry {at}");
                        assert!(
                            (step.from.timestep - timestep).abs() <= TIMESTEP_TOLERANCE,
                            "{place}: timestep {} is not {timestep}",
                            step.from.timestep
                        );
                        let got = step.from.sigma_ve();
                        assert!(
                            got == sigma || (got / sigma - 1.0).abs() <= sigma_tolerance(name),
                            "{place}: sigma {got} is not {sigma}"
                        );
                        at += 1;
                        compared += 1;
                    }
                }
                assert_eq!(at, timesteps.len(), "{key}: the reference has more levels");
            }
        }
    }
    assert!(compared > 30_000, "only {compared} levels compared");
}
