//! Loads what the reference's schedulers did: `fixtures/samplers`, and beside it `fixtures/k_diffusion`,
//! shared by the tests of schedules and samplers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pentimento_engine::schedules::{NoiseTable, PipelineRules};
use safetensors::SafeTensors;
use serde::Deserialize;

/// `configs.json`.
#[derive(Deserialize)]
pub(crate) struct About {
    /// Step counts behind each tensor of levels, in order.
    pub(crate) level_steps: Vec<usize>,
    /// Step counts behind each tensor of runs, in order.
    pub(crate) steps: Vec<usize>,
    /// Ways of running behind each tensor of runs, in order.
    pub(crate) modes: Vec<Mode>,
    /// Scheduler configs as text, by name.
    configs: BTreeMap<String, String>,
}

/// A way of running.
#[derive(Deserialize)]
pub(crate) struct Mode {
    /// `text`, `image` or `inpaint`.
    pub(crate) name: String,
    /// 1 for `text`.
    pub(crate) strength: f64,
}

/// Samplers of the fixtures.
pub(crate) const SAMPLERS: [&str; 7] = [
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "euler",
    "euler_a",
    "heun",
    "ddim",
    "lcm",
];

/// Schedules of the fixtures.
pub(crate) const SCHEDULES: [&str; 5] = ["model", "karras", "exponential", "simple", "sgm_uniform"];

/// A file of a fixture's folder.
pub(crate) fn file(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder)
        .join(name)
}

/// `configs.json`, read.
pub(crate) fn about() -> About {
    let text = std::fs::read_to_string(file("samplers", "configs.json")).expect("fixture");
    serde_json::from_str(&text).expect("valid fixture")
}

/// The f32 tensors of a fixture file, by name.
pub(crate) fn tensors(folder: &str, name: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(file(folder, name)).expect("fixture");
    let tensors = SafeTensors::deserialize(&bytes).expect("valid fixture");
    let values = |data: &[u8]| -> Vec<f32> {
        let words = data.chunks_exact(4);
        words
            .map(|word| f32::from_le_bytes(word.try_into().expect("four bytes")))
            .collect()
    };
    tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), values(view.data())))
        .collect()
}

impl About {
    /// The noise tables of all configs, by name.
    pub(crate) fn tables(&self) -> Vec<(&str, NoiseTable)> {
        let parse = |(name, text): (&'_ String, &String)| {
            let rules = if name.starts_with("pipeline") {
                PipelineRules::StableDiffusion
            } else {
                PipelineRules::AsWritten
            };
            table(name, text, rules)
        };
        let named = self.configs.iter();
        named
            .map(|entry| (entry.0.as_str(), parse(entry)))
            .collect()
    }
}

/// The noise table of a config that is called `name`.
pub(crate) fn table(name: &str, text: &str, rules: PipelineRules) -> NoiseTable {
    let path = PathBuf::from(format!("{name}/scheduler_config.json"));
    NoiseTable::parse(&path, text, rules).expect("supported")
}
