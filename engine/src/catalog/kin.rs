//! Kin of models that were distilled to draw in few steps: Turbo, Lightning, LCM, TCD and Hyper. Files
//! rarely say so, but their names do; what a name suggests is only what a new recipe begins with.

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

/// What a model's name suggests to begin with.
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

/// Reads a file's or folder's name without ending; `None` for ordinary models.
pub(super) fn of_name(name: &str) -> Option<Suggested> {
    let words = words(name);
    let folded = words.concat();
    let kin = KINS.iter().find(|kin| (kin.is_named)(&words, &folded))?;
    let steps = steps_in(&words).unwrap_or(kin.steps);
    let guidance = if kin.guidance > 1.0 {
        format!("guidance {}", kin.guidance)
    } else {
        "guidance off".to_owned()
    };
    let note = format!(
        "a {} model by its name: it begins with {steps} steps, {guidance} and the sampler {}",
        kin.label, kin.sampler
    );
    Some(Suggested {
        steps,
        guidance: kin.guidance,
        sampler: kin.sampler,
        schedule: kin.schedule,
        // The first Turbo draws at half of XL's sides; what others made of it mostly does not.
        native_px: folded.starts_with("sdxlturbo").then_some([512, 512]),
        note,
    })
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
        let told = |name| of_name(name).map(|kin| (kin.sampler, kin.steps));
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
        let native = |name| of_name(name).and_then(|kin| kin.native_px);
        assert_eq!(native("sd_xl_turbo_1.0_fp16"), Some([512, 512]));
        assert_eq!(native("DreamShaperXL_Turbo"), None);
        let note = of_name("sd_turbo").expect("a kin").note;
        assert!(
            note.contains("Turbo") && note.contains("guidance off"),
            "{note}"
        );
    }
}
