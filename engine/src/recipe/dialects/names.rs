//! Names of samplers, schedules and models in other programs. Most are spelled alike but for case,
//! signs and prefixes; only those that are not stand in tables.

use crate::recipe::{ModelRef, VaeChoice};
use crate::samplers::SAMPLERS;
use crate::schedules::SCHEDULES;

/// Folded names of samplers that are not ours under another spelling.
const OTHER_SAMPLERS: &[(&str, &str)] = &[
    ("dpmpp2mv2", "dpmpp_2m"),
    ("ddimcfgpp", "ddim"),
    ("plms", "pndm"),
];

/// Folded names of schedules that walk the model's own timesteps, and of other spellings.
const OTHER_SCHEDULES: &[(&str, &str)] = &[
    ("automatic", "model"),
    ("uniform", "model"),
    ("default", "model"),
    ("discrete", "model"),
    ("native", "model"),
    ("ddimuniform", "model"),
    ("sgm", "sgm_uniform"),
];

/// Endings of file names.
const EXTENSIONS: [&str; 6] = [".safetensors", ".ckpt", ".gguf", ".pt", ".pth", ".sft"];

/// Our id of a sampler.
pub(super) fn sampler(name: &str) -> Option<&'static str> {
    let wanted = folded_sampler(name);
    let id = |wanted: &str| {
        let known = SAMPLERS
            .iter()
            .find(|spec| folded_sampler(spec.id) == wanted);
        known.map(|spec| spec.id)
    };
    id(&wanted).or_else(|| {
        let (_, ours) = OTHER_SAMPLERS.iter().find(|(name, _)| *name == wanted)?;
        id(&folded_sampler(ours))
    })
}

/// Our id of a schedule.
pub(super) fn schedule(name: &str) -> Option<&'static str> {
    let wanted = folded(name);
    let id = |wanted: &str| {
        let known = SCHEDULES.iter().find(|spec| folded(spec.id) == wanted);
        known.map(|spec| spec.id)
    };
    id(&wanted).or_else(|| {
        let (_, ours) = OTHER_SCHEDULES.iter().find(|(name, _)| *name == wanted)?;
        id(&folded(ours))
    })
}

/// A sampler's name with a schedule at its end (“DPM++ 2M Karras”, “dpmpp_2m_k”), taken apart.
pub(super) fn with_schedule(name: &str) -> (&str, Option<&str>) {
    let endings = [
        ("_k", "karras"),
        (" Karras", "karras"),
        ("_karras", "karras"),
    ];
    let longer = [(" Exponential", "exponential"), (" karras", "karras")];
    for (ending, schedule) in endings.into_iter().chain(longer) {
        if let Some(stem) = name.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
            return (stem, Some(schedule));
        }
    }
    (name, None)
}

/// A model's file name without folders and ending.
pub(crate) fn stem(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).trim();
    let ending = EXTENSIONS.iter().find_map(|ending| {
        let cut = name.len().checked_sub(ending.len())?;
        let is_one = name.get(cut..)?.eq_ignore_ascii_case(ending);
        is_one.then_some(cut)
    });
    ending.map_or(name, |cut| &name[..cut])
}

/// The VAE of that name; what programs write for the model's own is no name.
pub(super) fn vae(name: &str) -> VaeChoice {
    let own = ["", "none", "automatic", "default (model)", "baked vae"];
    let name = name.trim();
    if own.contains(&name.to_lowercase().as_str()) {
        return VaeChoice::Model;
    }
    VaeChoice::File(ModelRef {
        id: stem(name).to_owned(),
        ..ModelRef::default()
    })
}

/// Letters and digits alone, in lower case; `++` counts as `pp`.
fn folded(name: &str) -> String {
    let name = name.to_lowercase().replace("++", "pp");
    name.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// As [`folded`], without what programs put around a sampler's name.
fn folded_sampler(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.strip_prefix("sample_").unwrap_or(&name);
    let name = name.strip_prefix("k_").unwrap_or(name);
    let name = name.strip_suffix("_gpu").unwrap_or(name);
    // diffusers' “kdpm_2” is everybody else's “dpm_2”.
    let name = match name.strip_prefix('k') {
        Some(rest) if rest.starts_with("dpm") => rest,
        _ => name,
    };
    folded(name).replace("ancestral", "a")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_sampler() {
        for (name, id) in [
            ("Euler a", "euler_a"),
            ("euler_ancestral", "euler_a"),
            ("k_euler_ancestral", "euler_a"),
            ("DPM++ 2M SDE", "dpmpp_2m_sde"),
            ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde"),
            ("DDIM", "ddim"),
            ("dpm++2m", "dpmpp_2m"),
        ] {
            assert_eq!(sampler(name), Some(id), "{name}");
        }
        assert_eq!(sampler("nothing like it"), None);
        assert_eq!(schedule("SGM Uniform"), Some("sgm_uniform"));
        assert_eq!(schedule("normal"), Some("normal"));
        assert_eq!(with_schedule("dpmpp_2m_k"), ("dpmpp_2m", Some("karras")));
        assert_eq!(
            with_schedule("DPM++ 2M Karras"),
            ("DPM++ 2M", Some("karras"))
        );
        assert_eq!(stem("SD1/real\\Dream v1.5.SafeTensors"), "Dream v1.5");
        assert_eq!(stem("v1.5"), "v1.5");
    }
}
