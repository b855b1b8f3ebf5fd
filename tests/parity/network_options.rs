//! Whole pictures with options of the networks, against a loop written out over diffusers' layers: guidance in a part
//! of the run, DeepCache, the negative prompt's difference, EasyCache, CLIP skip. At least 45 dB.

use pentimento_engine::raster::decode_picture;
use pentimento_engine::recipe::{NetworkOptions, Recipe};
use serde::Deserialize;
use support::compare::psnr_db;
use support::places;
use support::running::{Running, built_in, recipe, request};

const LEAST_DB: f64 = 45.0;

/// A case of `fixtures/network_options/cases.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    model: String,
    prompt: String,
    negative_prompt: String,
    width: u32,
    height: u32,
    seed: u64,
    steps: u32,
    guidance: f64,
    sampler: String,
    schedule: String,
    network: NetworkOptions,
    /// Network calls that are left out.
    #[serde(default)]
    reused: u32,
}

fn recipe_of(case: &Case) -> Recipe {
    let model = if case.model == "starter" {
        built_in()
    } else {
        case.model.clone()
    };
    Recipe {
        prompt: case.prompt.clone(),
        negative_prompt: case.negative_prompt.clone(),
        width_px: case.width,
        height_px: case.height,
        seed: case.seed,
        steps: case.steps,
        guidance: case.guidance,
        sampler: case.sampler.clone(),
        schedule: case.schedule.clone(),
        network: case.network.clone(),
        ..recipe(&model)
    }
}

fn check(chosen: impl Fn(&NetworkOptions) -> bool) {
    let folder = places::fixture("network_options");
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let cases: Vec<&Case> = cases.iter().filter(|case| chosen(&case.network)).collect();
    assert!(!cases.is_empty());
    let running = Running::start();
    let mut wrong = Vec::new();
    for case in &cases {
        let file = folder.join(format!("{}.png", case.name));
        let reference = decode_picture(&std::fs::read(&file).unwrap(), &case.name).unwrap();
        let recipe = recipe_of(case);
        let ours = running.picture(recipe.clone());
        let record = running.records(request(recipe.clone())).unwrap().remove(0);
        assert_eq!(record.outcome.reused_calls, case.reused, "{}", case.name);
        let db = psnr_db(&ours.rgba, &reference.rgba);
        if db < LEAST_DB {
            wrong.push(format!("{}: {db:.1} dB", case.name));
        }
        // The option does something: without it the picture is another.
        if !case.network.is_at_rest() && case.name != "sd2_clip_skip_2" {
            let plain = running.picture(Recipe {
                network: NetworkOptions::default(),
                ..recipe
            });
            assert!(
                psnr_db(&plain.rgba, &reference.rgba) < LEAST_DB,
                "{}",
                case.name
            );
        }
    }
    let (count, of) = (wrong.len(), cases.len());
    assert!(
        wrong.is_empty(),
        "{count} of {of} differ:\n  {}",
        wrong.join("\n  ")
    );
}

#[test]
fn the_loop_of_the_reference_is_ours() {
    check(NetworkOptions::is_at_rest);
}

#[test]
fn guidance_in_a_part_of_the_run() {
    check(|network| {
        !network.guidance_interval.is_whole()
            && network.reuse.is_off()
            && network.easy_cache.is_off()
    });
}

#[test]
fn calls_that_easy_cache_leaves_out() {
    check(|network| !network.easy_cache.is_off());
}

#[test]
fn deep_features_and_the_negative_difference_again() {
    check(|network| !network.reuse.is_off());
}

#[test]
fn clip_skip() {
    check(|network| network.clip_skip > 1);
}
