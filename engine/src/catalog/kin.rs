//! Kin of models that were distilled to draw in few steps: Turbo, Lightning, LCM, TCD and Hyper. Names
//! tell, and the settings that a folder's scheduler was published with; what they suggest is only what a
//! new recipe begins with.

use crate::families::model::ModelFacts;
use crate::schedules::{NoiseTable, Prediction};

/// A way of distilling, and what its makers recommend.
struct Kin {
    /// Name for people.
    label: &'static str,
    /// Whether a name is of it: its words in lower case, and all its letters and digits.
    is_named: fn(&[String], &str) -> bool,
    steps: u32,
    guidance: f64,
    sampler: &'static str,
    schedule: &'static str,
}

/// In order: a name may hold several, the last step of making it comes first.
const KINS: &[Kin] = &[
    Kin {
        label: "Hyper",
        is_named: |words, folded| {
            let alone = words.iter().any(|word| word == "hyper") && steps_in(words).is_some();
            folded.contains("hypersd") || alone
        },
        steps: 8,
        guidance: 1.0,
        sampler: "tcd",
        schedule: "model",
    },
    Kin {
        label: "Lightning",
        is_named: |_, folded| folded.contains("lightning"),
        steps: 4,
        guidance: 1.0,
        sampler: "euler",
        schedule: "sgm_uniform",
    },
    Kin {
        label: "Turbo",
        is_named: |_, folded| folded.contains("turbo"),
        steps: 4,
        guidance: 1.0,
        sampler: "euler_a",
        schedule: "sgm_uniform",
    },
    Kin {
        label: "TCD",
        is_named: |words, _| words.iter().any(|word| word == "tcd"),
        steps: 4,
        guidance: 1.0,
        sampler: "tcd",
        schedule: "model",
    },
    Kin {
        label: "LCM",
        is_named: |words, _| words.iter().any(|word| word == "lcm"),
        steps: 4,
        guidance: 1.5,
        sampler: "lcm",
        schedule: "model",
    },
];

/// Most steps that a name is believed.
const MOST_STEPS: u32 = 16;

/// Guidance that models with the scale as an input were published with.
const EMBEDDED_GUIDANCE: f64 = 8.0;

/// What a model suggests to begin with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Suggested {
    pub(super) steps: u32,
    pub(super) guidance: f64,
    pub(super) sampler: &'static str,
    pub(super) schedule: &'static str,
    /// Size it was distilled at, where its shapes say otherwise.
    pub(super) native_px: Option<[u32; 2]>,
    /// Says so.
    pub(super) note: String,
}

/// By a file's or folder's name without ending, or else by what is known of it; `None` for ordinary
/// models.
pub(super) fn suggest(name: &str, facts: &ModelFacts) -> Option<Suggested> {
    of_name(name, facts.guidance_channels.is_some()).or_else(|| of_facts(facts))
}

fn of_facts(facts: &ModelFacts) -> Option<Suggested> {
    let has_input = facts.guidance_channels.is_some();
    let named = |label: &str| KINS.iter().find(|kin| kin.label == label);
    let (kin, why) = match facts.noise.class_name() {
        "LCMScheduler" if has_input => {
            let why = "its network, which takes the guidance scale as an input";
            (named("LCM")?, why.to_owned())
        }
        class @ "LCMScheduler" => (named("LCM")?, format!("its scheduler, {class}")),
        class @ "TCDScheduler" => (named("TCD")?, format!("its scheduler, {class}")),
        class if steps_as_distilled(&facts.noise) => {
            let why = format!("its scheduler, {class} with trailing steps");
            (named("Turbo")?, why)
        }
        _ => return None,
    };
    let label = if kin.label == "Turbo" {
        "Turbo or Lightning"
    } else {
        kin.label
    };
    // Its makers' own, where a name tells nothing better.
    let sampler = facts.noise.default_sampler();
    Some(Suggested {
        sampler,
        schedule: "model",
        ..suggested(kin, label, &why, kin.steps, has_input)
    })
}

/// Whether the settings are those of sd-turbo, sdxl-turbo and the Lightning models: Euler's steps,
/// trailing, of a model that predicts noise. (Trailing steps of one that predicts velocity, or that
/// was trained to zero terminal signal, are what any such model wants.)
fn steps_as_distilled(noise: &NoiseTable) -> bool {
    let euler = ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"];
    let plain = noise.prediction() == Prediction::Epsilon && !noise.has_zero_terminal_snr();
    plain && euler.contains(&noise.class_name()) && noise.is_trailing()
}

fn of_name(name: &str, has_input: bool) -> Option<Suggested> {
    let words = words(name);
    let folded = words.concat();
    let kin = KINS.iter().find(|kin| (kin.is_named)(&words, &folded))?;
    let steps = steps_in(&words).unwrap_or(kin.steps);
    Some(Suggested {
        // The first Turbo draws at half of XL's sides; what others made of it mostly does not.
        native_px: folded.starts_with("sdxlturbo").then_some([512, 512]),
        ..suggested(kin, kin.label, "its name", steps, has_input)
    })
}

/// `has_input`: the network takes the guidance scale as an input, so that it costs nothing.
fn suggested(kin: &Kin, label: &str, why: &str, steps: u32, has_input: bool) -> Suggested {
    let guidance = if has_input {
        EMBEDDED_GUIDANCE
    } else {
        kin.guidance
    };
    let scale = if guidance > 1.0 {
        format!("guidance {guidance}")
    } else {
        "guidance off".to_owned()
    };
    Suggested {
        steps,
        guidance,
        sampler: kin.sampler,
        schedule: kin.schedule,
        native_px: None,
        note: format!("a {label} model by {why}: it begins with {steps} steps and {scale}"),
    }
}

/// Runs of letters and of digits in lower case; a capital letter after a small one begins a word.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            let goes_on = before.is_some_and(|before| {
                before.is_alphanumeric()
                    && before.is_numeric() == letter.is_numeric()
                    && !(before.is_lowercase() && letter.is_uppercase())
            });
            if !goes_on {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        before = Some(letter);
    }
    words
}

/// The number before “step” or “steps”.
fn steps_in(words: &[String]) -> Option<u32> {
    let pair = words
        .windows(2)
        .find(|pair| matches!(pair[1].as_str(), "step" | "steps"))?;
    let steps = pair[0].parse().ok()?;
    (1..=MOST_STEPS).contains(&steps).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_kin_and_steps() {
        let told = |name| of_name(name, false).map(|kin| (kin.sampler, kin.steps));
        for (name, expected) in [
            ("sdxl_lightning_4step", Some(("euler", 4))),
            ("sdxl_lightning_8step", Some(("euler", 8))),
            ("DreamShaperXL_Lightning-SFW", Some(("euler", 4))),
            ("sd_xl_turbo_1.0_fp16", Some(("euler_a", 4))),
            ("sd_turbo", Some(("euler_a", 4))),
            ("Hyper-SDXL-8steps", Some(("tcd", 8))),
            ("Hyper-SD15-1step", Some(("tcd", 1))),
            ("juggernautXL_hyper_8step_sfw", Some(("tcd", 8))),
            ("LCM_Dreamshaper_v7", Some(("lcm", 4))),
            ("dreamshaper8LCM", Some(("lcm", 4))),
            ("sd_xl_base_1.0", None),
            ("hyperrealism_v3", None),
            ("HyperRealism_v3", None),
            ("v1-5-pruned-emaonly", None),
            ("lightning_99999999999steps", Some(("euler", 4))),
            ("", None),
        ] {
            assert_eq!(told(name), expected, "{name}");
        }
        let native = |name| of_name(name, false).and_then(|kin| kin.native_px);
        assert_eq!(native("sd_xl_turbo_1.0_fp16"), Some([512, 512]));
        assert_eq!(native("DreamShaperXL_Turbo"), None);
        let note = of_name("sd_turbo", false).expect("a kin").note;
        assert!(
            note.contains("Turbo") && note.contains("guidance off"),
            "{note}"
        );
        let embedded = of_name("LCM_Dreamshaper_v7", true);
        assert_eq!(embedded.map(|kin| kin.guidance), Some(8.0));
    }
}
