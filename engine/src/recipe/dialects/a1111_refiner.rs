//! A1111's refiner: `Refiner: name [hash], Refiner switch at: 0.8`.

use super::names;
use crate::recipe::validate::SWITCH_AT;
use crate::recipe::{ModelRef, Recipe, Refiner};

/// Keys of the text.
pub(super) const MODEL: &str = "Refiner";
pub(super) const SWITCH: &str = "Refiner switch at";

pub(super) fn write(recipe: &Recipe, pairs: &mut Vec<(&'static str, String)>) {
    let Some(Refiner {
        model, switch_at, ..
    }) = &recipe.refiner
    else {
        return;
    };
    let hash = model.sha256.as_deref().and_then(|hash| hash.get(..10));
    let name = match hash {
        Some(hash) => format!("{} [{hash}]", model.id),
        None => model.id.clone(),
    };
    pairs.push((MODEL, name));
    pairs.push((SWITCH, switch_at.to_string()));
}

pub(super) fn read<'a>(
    recipe: &mut Recipe,
    value: &impl Fn(&str) -> Option<&'a str>,
    notes: &mut Vec<String>,
) {
    let Some(named) = value(MODEL).filter(|name| !matches!(*name, "" | "None")) else {
        return;
    };
    let (name, short_hash) = match named.strip_suffix(']').and_then(|n| n.rsplit_once('[')) {
        Some((name, hash)) => (name.trim_end(), Some(hash.to_ascii_lowercase())),
        None => (named, None),
    };
    let switch_at = match value(SWITCH).map(str::parse) {
        Some(Ok(at)) if SWITCH_AT.contains(&at) => at,
        _ => {
            let usual = Refiner::USUAL_SWITCH;
            notes.push(format!("{SWITCH}: not understood, {usual} is taken"));
            usual
        }
    };
    let model = ModelRef {
        id: names::stem(name).to_owned(),
        sha256: None,
        short_hash,
    };
    recipe.refiner = Some(Refiner {
        model,
        switch_at,
        parts_from: None,
    });
}
