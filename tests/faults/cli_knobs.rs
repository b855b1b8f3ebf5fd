//! The knobs of sampler and schedule on the command line.

use std::path::Path;

use pentimento_engine::recipe::{Knobs, read_record_file};

use crate::machine::{Machine, quick};

#[test]
fn a_bend_is_for_schedules_that_have_one() {
    let machine = Machine::new();
    let words = ["--rho: the schedule model has no bend"];
    machine.refuses(2, &quick(&["--rho", "5"]), &words);
    let words = ["--rho: 0 is outside of 0.1 to 100"];
    let karras = quick(&["--schedule", "karras", "--rho", "0"]);
    machine.refuses(1, &karras, &words);
    machine.makes(&quick(&["--schedule", "karras", "--rho", "5"]));
}

#[test]
fn knobs_are_taken_by_those_samplers_that_have_them() {
    let machine = Machine::new();
    let refused = ["--sampler", "uni_pc", "--eta", "0.5"];
    let words = "--eta has no effect with uni_pc, only with dpmpp_2m_sde";
    machine.refuses(2, &quick(&refused), &[words]);
    let out = machine.text("typed.png");
    let sigmas = ["--sigmas", "14,2,0.4,0", "--out", out.as_str()];
    let knobs = [
        "--sampler",
        "dpmpp_sde",
        "--eta",
        "0.5",
        "--s-noise",
        "1.02",
    ];
    let prompt = ["render", "--prompt", "a red apple, 3d"];
    machine.makes(&[&prompt[..], &knobs[..], &sigmas[..]].concat());
    machine.refuses(
        2,
        &[&quick(&knobs)[..], &sigmas[..]].concat(),
        &["leave those out"],
    );
    let found = read_record_file(Path::new(&out))
        .expect("readable")
        .expect("a recipe");
    let recipe = found.record.recipe;
    assert_eq!((recipe.steps, recipe.knobs.eta), (3, Some(0.5)));
    let printed = machine.run(&["recipe", out.as_str()]).out;
    for words in [
        "sigmas 14 2 0.4 0",
        "eta 0.5, s_noise 1.02, step_noise brownian",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    // The same recipe with another sampler leaves behind what that one does not use.
    let folder = machine.text("again");
    let other = [
        "--sampler",
        "euler",
        "--steps",
        "2",
        "--out",
        folder.as_str(),
    ];
    let again = machine.makes(&[&["render", "--recipe", out.as_str()][..], &other[..]].concat());
    let found = read_record_file(&again[0])
        .expect("readable")
        .expect("a recipe");
    assert_eq!(found.record.recipe.knobs, Knobs::default());
}
