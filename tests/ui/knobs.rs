//! The knobs of sampler and schedule: only those that have an effect are shown, and submitted.

use egui_kittest::kittest::Queryable as _;
use pentimento::studio::draft::DraftEdit;
use pentimento_engine::recipe::{Knobs, StepNoise};

use crate::harness::TestStudio;

fn studio_with(sampler: &str, schedule: &str, knobs: &Knobs) -> TestStudio {
    let mut studio = TestStudio::new();
    studio.window.get_by_label("Advanced").click();
    studio.run();
    let mut sampling = studio.window.state().studio().draft.sampling.clone();
    sampling.sampler = sampler.to_owned();
    sampling.schedule = schedule.to_owned();
    sampling.knobs = knobs.clone();
    studio
        .window
        .state_mut()
        .send(DraftEdit::Sampling(Box::new(sampling)));
    studio.run();
    studio
}

fn shown(studio: &TestStudio) -> Vec<&'static str> {
    ["Eta", "Churn", "From sigma", "Noise factor", "Rho"]
        .into_iter()
        .filter(|label| {
            let role = egui::Role::Slider;
            studio.window.query_by_role_and_label(role, label).is_some()
        })
        .collect()
}

#[test]
fn only_the_knobs_of_the_sampler_are_shown() {
    let rest = Knobs::default();
    assert!(shown(&studio_with("dpmpp_2m", "simple", &rest)).is_empty());
    let euler = studio_with("euler", "polyexponential", &rest);
    assert_eq!(shown(&euler), ["Churn", "Rho"]);
    let churning = Knobs {
        s_churn: 4.0,
        ..Knobs::default()
    };
    let euler = studio_with("euler", "simple", &churning);
    assert_eq!(shown(&euler), ["Churn", "From sigma", "Noise factor"]);
    let sde = studio_with("dpmpp_sde", "karras", &rest);
    assert_eq!(shown(&sde), ["Eta", "Noise factor", "Rho"]);
    sde.window.get_by_label("Step noise: Path");
}

#[test]
fn a_job_takes_along_the_knobs_that_its_sampler_uses() {
    let turned = Knobs {
        eta: Some(0.5),
        s_churn: 4.0,
        ..Knobs::of_new_recipes()
    };
    for (sampler, wanted) in [
        (
            "dpmpp_sde",
            Knobs {
                eta: Some(0.5),
                step_noise: StepNoise::Brownian,
                ..Knobs::default()
            },
        ),
        (
            "euler",
            Knobs {
                s_churn: 4.0,
                ..Knobs::default()
            },
        ),
        ("dpmpp_2m", Knobs::default()),
    ] {
        let mut studio = studio_with(sampler, "simple", &turned);
        studio.generate();
        assert_eq!(studio.engine.script().submitted[0].recipe.knobs, wanted);
    }
}

#[test]
fn typed_levels_set_the_steps() {
    let mut studio = studio_with("euler", "simple", &Knobs::default());
    let role = egui::Role::TextInput;
    let field = studio.window.get_by_role_and_label(role, "Sigmas");
    field.focus();
    studio.run();
    let field = studio.window.get_by_role_and_label(role, "Sigmas");
    field.type_text("14.5, 3 0.5 0");
    studio.run();
    studio.generate();
    let script = studio.engine.script();
    let recipe = &script.submitted[0].recipe;
    assert_eq!(recipe.knobs.sigmas, [14.5, 3.0, 0.5, 0.0]);
    assert_eq!(recipe.steps, 3);
}
