//! The knobs of sampler and schedule in A1111's text, under its keys; two keys of our own for what it
//! does not have.

use super::super::{Knobs, Recipe, StepNoise};
use crate::samplers::{self, Uses};

/// Says that an SDE sampler drew its noise step by step, which A1111 never does.
const STEP_NOISE: &str = "Step noise";
const FRESH: &str = "fresh";
/// Levels typed by hand, with spaces between.
const SIGMAS: &str = "Sigmas";

/// A1111's key for eta; DDIM's is another.
fn eta_key(sampler: &str) -> &'static str {
    match sampler {
        "ddim" => "Eta DDIM",
        _ => "Eta",
    }
}

/// What the recipe's sampler uses; nothing for one that is not known.
fn uses(recipe: &Recipe) -> Uses {
    samplers::find(&recipe.sampler).map_or(Uses::NOTHING, |sampler| sampler.uses)
}

/// The knobs that are in use and away from their rest, as A1111 leaves out the others.
pub(super) fn write(recipe: &Recipe, pairs: &mut Vec<(&'static str, String)>) {
    let uses = uses(recipe);
    let knobs = recipe.knobs.used_by(&uses);
    let rest = Knobs::default();
    let own_eta = uses.eta;
    if let Some(eta) = knobs.eta.filter(|_| knobs.eta != own_eta) {
        pairs.push((eta_key(&recipe.sampler), eta.to_string()));
    }
    for (key, value, at_rest) in [
        ("Sigma churn", knobs.s_churn, rest.s_churn),
        ("Sigma tmin", knobs.s_tmin, rest.s_tmin),
        ("Sigma tmax", knobs.s_tmax.unwrap_or(0.0), 0.0),
        ("Sigma noise", knobs.s_noise, rest.s_noise),
    ] {
        if value != at_rest {
            pairs.push((key, value.to_string()));
        }
    }
    if let Some(rho) = knobs.rho {
        pairs.push(("Schedule rho", rho.to_string()));
    }
    if uses.brownian && knobs.step_noise == StepNoise::Fresh {
        pairs.push((STEP_NOISE, FRESH.to_owned()));
    }
    if !knobs.sigmas.is_empty() {
        let sigmas: Vec<String> = knobs.sigmas.iter().map(f64::to_string).collect();
        pairs.push((SIGMAS, sigmas.join(" ")));
    }
}

/// Reads the knobs into a recipe whose sampler is read already. SDE samplers follow a Brownian path
/// in A1111.
pub(super) fn read(recipe: &mut Recipe, pairs: &[(String, String)], notes: &mut Vec<String>) {
    let uses = uses(recipe);
    if uses.brownian {
        recipe.knobs.step_noise = StepNoise::Brownian;
    }
    let eta_key = eta_key(&recipe.sampler);
    let knobs = &mut recipe.knobs;
    for (key, value) in pairs {
        let number = || value.parse::<f64>().ok();
        let understood = match key.as_str() {
            key if key == eta_key => number().map(|eta| knobs.eta = Some(eta)),
            "Sigma churn" => number().map(|churn| knobs.s_churn = churn),
            "Sigma tmin" => number().map(|least| knobs.s_tmin = least),
            // 0 stands for no limit.
            "Sigma tmax" => number().map(|most| knobs.s_tmax = Some(most).filter(|m| *m > 0.0)),
            "Sigma noise" => number().map(|factor| knobs.s_noise = factor),
            "Schedule rho" => number().map(|rho| knobs.rho = Some(rho)),
            STEP_NOISE => (value == FRESH).then(|| knobs.step_noise = StepNoise::Fresh),
            SIGMAS => {
                let sigmas = value.split_whitespace().map(str::parse);
                let sigmas: Result<Vec<f64>, _> = sigmas.collect();
                sigmas.ok().map(|sigmas| knobs.sigmas = sigmas)
            }
            _ => Some(()),
        };
        if understood.is_none() {
            notes.push(format!("{key}: “{value}” is not understood"));
        }
    }
    *knobs = knobs.used_by(&uses);
}

/// Whether a key is read here.
pub(super) fn is_known(key: &str) -> bool {
    matches!(
        key,
        "Eta"
            | "Eta DDIM"
            | "Sigma churn"
            | "Sigma tmin"
            | "Sigma tmax"
            | "Sigma noise"
            | "Schedule rho"
            | STEP_NOISE
            | SIGMAS
    )
}
