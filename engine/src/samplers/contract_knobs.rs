//! What knobs and typed levels do to samplers, tested on all of them; which steps restart takes.

use super::SAMPLERS;
use super::contract::{Network, Watcher, plan, plan_with, run, run_on};
use crate::denoiser::Level;
use crate::noise;
use crate::recipe::{Knobs, NoiseKind};

/// Every knob away from its rest.
fn turned() -> Knobs {
    Knobs {
        eta: Some(0.6),
        s_churn: 3.0,
        s_tmin: 0.2,
        s_tmax: Some(50.0),
        s_noise: 1.1,
        rho: Some(5.0),
        ..Knobs::default()
    }
}

#[test]
fn knobs_change_those_that_use_them_and_no_other() {
    for sampler in SAMPLERS {
        let go = |knobs: &Knobs| {
            let plan = plan_with(sampler, "simple", 24, 1.0, knobs);
            let mut network = Network::mixing(0.2);
            run(sampler, &plan, &mut network, &mut Watcher::default()).expect("a run")
        };
        let at_rest = go(&Knobs::default());
        let uses = sampler.uses;
        let cases = [
            (
                "eta",
                uses.eta.is_some(),
                Knobs {
                    eta: Some(0.6),
                    ..Knobs::default()
                },
            ),
            (
                "churn",
                uses.churn,
                Knobs {
                    s_churn: 3.0,
                    ..Knobs::default()
                },
            ),
            (
                "noise",
                uses.fresh_noise,
                Knobs {
                    s_noise: 1.1,
                    ..Knobs::default()
                },
            ),
        ];
        for (name, used, knobs) in cases {
            let kept = knobs.used_by(&uses) != Knobs::default();
            assert_eq!(kept, used, "{} {name}", sampler.id);
            // DDIM has fresh noise only where eta is raised.
            let used = used && !(sampler.id == "ddim" && name == "noise");
            assert_eq!(go(&knobs) != at_rest, used, "{} {name}", sampler.id);
        }
    }
}

#[test]
fn the_samplers_own_eta_is_what_none_means() {
    for sampler in SAMPLERS {
        let own = Knobs {
            eta: sampler.uses.eta,
            ..Knobs::default()
        };
        let go = |knobs: &Knobs| {
            let plan = plan_with(sampler, "karras", 9, 1.0, knobs);
            let mut network = Network::mixing(0.2);
            run(sampler, &plan, &mut network, &mut Watcher::default()).expect("a run")
        };
        assert_eq!(go(&own), go(&Knobs::default()), "{}", sampler.id);
    }
}

#[test]
fn with_every_knob_turned_a_picture_still_ends_clean() {
    for sampler in SAMPLERS
        .iter()
        .filter(|sampler| !matches!(sampler.id, "lcm" | "tcd"))
    {
        let plan = plan_with(sampler, "karras", 24, 1.0, &turned());
        let mut network = Network::that_knows();
        let got = run(sampler, &plan, &mut network, &mut Watcher::default()).expect("a run");
        for (got, want) in got.iter().zip(Network::PICTURE) {
            assert!(
                (got - want).abs() <= 1e-5,
                "{}: {got} is not {want}",
                sampler.id
            );
        }
    }
}

#[test]
fn typed_levels_take_the_schedules_place() {
    let sigmas = vec![14.0, 3.0, 0.5, 0.0];
    for sampler in SAMPLERS {
        let knobs = Knobs {
            sigmas: sigmas.clone(),
            ..Knobs::default()
        };
        let plan = plan_with(sampler, "karras", 3, 1.0, &knobs);
        let asked: Vec<f64> = plan
            .steps()
            .iter()
            .map(|step| step.from.sigma_ve())
            .collect();
        for (got, want) in asked.iter().zip(&sigmas) {
            assert!((got / want - 1.0).abs() < 1e-6, "{}: {asked:?}", sampler.id);
        }
        assert_eq!((plan.len(), plan.steps()[2].to), (3, Level::CLEAN));
    }
}

#[test]
fn restarts_go_back_up_and_keep_the_count() {
    let restart = super::find("restart").expect("known");
    for (steps, rises) in [(19, 0), (20, 1), (35, 1), (36, 2), (60, 2)] {
        let plan = plan(restart, "karras", steps, 1.0);
        let risen = plan.steps().windows(2);
        let risen = risen
            .filter(|pair| pair[1].from.sigma > pair[0].to.sigma)
            .count();
        assert_eq!((plan.len(), risen), (steps, rises));
        assert_eq!(plan.steps()[steps - 1].to, Level::CLEAN);
    }
}

/// The mean square of what lies between two pictures.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / a.len() as f64
}

#[test]
fn on_a_brownian_path_more_steps_refine_the_same_picture() {
    for sampler in SAMPLERS.iter().filter(|sampler| sampler.uses.brownian) {
        let go = |steps, brownian| {
            let plan = plan_with(sampler, "karras", steps, 1.0, &Knobs::default());
            // Keeps much of its input's noise, so that the paths show in the picture.
            let mut network = Network::mixing(0.95);
            let mut source = if brownian {
                let (smallest, largest) = plan.sigma_range();
                noise::brownian(NoiseKind::TorchCpu, 5, smallest, largest)
            } else {
                noise::source(NoiseKind::TorchCpu, 5)
            };
            let watcher = &mut Watcher::default();
            run_on(sampler, &plan, &mut network, watcher, source.as_mut()).expect("a run")
        };
        let apart = |brownian| distance(&go(40, brownian), &go(80, brownian));
        let (path, fresh) = (apart(true), apart(false));
        assert!(path < 0.2 * fresh, "{}: {path} and {fresh}", sampler.id);
    }
}
