//! What a job will take, before it runs: memory, and time as far as earlier runs on this machine tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::ModelInfo;
use crate::library::files::write_replacing;
use crate::recipe::{EasyCacheOptions, InpaintArea, Precision, Recipe, Refiner};
use crate::residency::{Models, Residency, available_bytes, estimate_bytes};

/// What a job will take, roughly. Nothing is refused by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Memory of the whole program at its peak, in bytes.
    pub memory_bytes: u64,
    /// Whether that was measured in an earlier run of this kind, not estimated from the weights.
    pub measured: bool,
    /// Memory that the machine could give the program in all, in bytes; `None` where it does not say.
    pub available_bytes: Option<u64>,
    /// Seconds for all pictures, without loading the model; `None` until a picture of this model, size
    /// and precision was made on this machine.
    pub secs: Option<f64>,
    /// Seconds that loading the model took, where it is known.
    pub load_secs: Option<f64>,
    /// What stays in memory so that the job fits, as far as it can.
    pub residency: Residency,
}

impl Forecast {
    /// Whether the job needs more memory than there is.
    pub fn exceeds_memory(&self) -> bool {
        self.available_bytes
            .is_some_and(|available| self.memory_bytes > available)
    }
}

/// What the machine computes with: other figures hold for another device or number of threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Device and kernels.
    pub(crate) device: String,
    /// Compute threads.
    pub(crate) threads: Option<usize>,
    /// What `Precision::Auto` is here.
    pub(crate) automatic: Precision,
    /// The most memory that the program may take, in bytes, where somebody said so.
    pub(crate) memory_bytes: Option<u64>,
}

/// What one run showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Observed {
    /// Seconds of sampling per unit of [`work`].
    pub(crate) secs_per_unit: f64,
    /// Seconds of everything else.
    pub(crate) rest_secs: f64,
    /// Seconds of loading; 0 where the model was in memory.
    pub(crate) load_secs: f64,
    /// Peak of resident memory in bytes; 0 where the system does not say.
    pub(crate) peak_bytes: u64,
}

/// What earlier runs showed, kept in the data folder.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    known: BTreeMap<String, Observed>,
}

/// Kinds of runs that are remembered.
const MOST_KNOWN: usize = 1000;
/// Weight of the newest run; the first one warms caches up.
const NEWEST: f64 = 0.5;

impl History {
    /// Reads `timings.json`; a missing or broken one is an empty history.
    pub(crate) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("timings.json");
        let known = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            known: known.unwrap_or_default(),
        }
    }

    /// Takes a run into account. That it could not be written costs a forecast, nothing else.
    pub(crate) fn learn(
        &mut self,
        recipe: &Recipe,
        model: &ModelInfo,
        (machine, residency): (&Machine, Residency),
        seen: Observed,
    ) {
        if !is_usual(recipe) || !seen.secs_per_unit.is_finite() {
            return;
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let blend = |old: f64, new: f64| old + NEWEST * (new - old);
        let known = self
            .known
            .entry(key(recipe, model, machine, residency))
            .or_insert(seen);
        *known = Observed {
            secs_per_unit: blend(known.secs_per_unit, seen.secs_per_unit),
            rest_secs: blend(known.rest_secs, seen.rest_secs),
            load_secs: if seen.load_secs > 0.0 {
                seen.load_secs
            } else {
                known.load_secs
            },
            peak_bytes: known.peak_bytes.max(seen.peak_bytes),
        };
        if let Ok(bytes) = serde_json::to_vec(&self.known) {
            let _unsaved = write_replacing(&self.path, &bytes).is_err();
        }
    }

    /// What a job will take.
    pub(crate) fn forecast(
        &self,
        recipe: &Recipe,
        count: u32,
        models: Models<'_>,
        machine: &Machine,
    ) -> Forecast {
        let residency = self.residency(recipe, models, machine);
        let known = self.known(recipe, models, machine, residency);
        let edits = models.first.edits;
        let one = known.map(|seen| seen.secs_per_unit * work(recipe, edits) + seen.rest_secs);
        let (memory_bytes, measured) = self.memory(recipe, models, machine, residency);
        Forecast {
            memory_bytes,
            measured,
            available_bytes: available_bytes(machine.memory_bytes),
            secs: one.map(|secs| secs * f64::from(count)),
            load_secs: known.map(|seen| seen.load_secs).filter(|secs| *secs > 0.0),
            residency,
        }
    }

    /// What stays in memory while a job runs.
    pub(crate) fn residency(
        &self,
        recipe: &Recipe,
        models: Models<'_>,
        machine: &Machine,
    ) -> Residency {
        Residency::fitting(available_bytes(machine.memory_bytes), |residency| {
            self.memory(recipe, models, machine, residency).0
        })
    }

    fn known(
        &self,
        recipe: &Recipe,
        models: Models<'_>,
        machine: &Machine,
        residency: Residency,
    ) -> Option<&Observed> {
        let key = is_usual(recipe).then(|| key(recipe, models.first, machine, residency))?;
        self.known.get(&key)
    }

    /// Bytes at the peak, and whether that was measured.
    fn memory(
        &self,
        recipe: &Recipe,
        models: Models<'_>,
        machine: &Machine,
        residency: Residency,
    ) -> (u64, bool) {
        let known = self.known(recipe, models, machine, residency);
        match known.map(|seen| seen.peak_bytes).filter(|peak| *peak > 0) {
            Some(peak) => (peak, true),
            None => {
                let precision = machine.resolved(recipe.precision);
                let size_px = [recipe.width_px, recipe.height_px];
                (estimate_bytes(models, precision, size_px, residency), false)
            }
        }
    }
}

/// Crops have sizes of their own, and prompts of several parts ask the network more often.
fn is_usual(recipe: &Recipe) -> bool {
    let inpaint = recipe
        .start
        .as_ref()
        .and_then(|start| start.inpaint.as_ref());
    let cropped = inpaint.is_some_and(|inpaint| inpaint.area != InpaintArea::WholePicture);
    !cropped && !recipe.prompt.contains("AND")
}

fn key(recipe: &Recipe, model: &ModelInfo, machine: &Machine, residency: Residency) -> String {
    let precision = machine.resolved(recipe.precision);
    let threads = machine.threads.unwrap_or_default();
    let refiner = recipe.refiner.as_ref().map(|refiner| {
        let Refiner {
            model, switch_at, ..
        } = refiner;
        format!(" {} from {switch_at:.2}", model.id)
    });
    let sparing = residency.is_sparing().then(|| format!(" {residency:?}"));
    format!(
        "{} {} {precision:?} {}x{} {} {threads} {}{}{}",
        model.id,
        model.size_bytes,
        recipe.width_px,
        recipe.height_px,
        machine.device,
        u8::from(recipe.network.decoder.is_full()),
        refiner.unwrap_or_default(),
        sparing.unwrap_or_default(),
    )
}

impl Machine {
    /// The precision that a recipe's comes to here.
    pub(crate) fn resolved(&self, precision: Precision) -> Precision {
        match precision {
            Precision::Auto => self.automatic,
            other => other,
        }
    }
}

/// Share of a network call that is left where deep features are taken over, roughly: it depends on
/// network and branch.
const SHALLOW: f64 = 0.3;

/// Samplers that ask the network twice a step.
const TWICE: &[&str] = &[
    "heun",
    "dpm_2",
    "dpm_2_ancestral",
    "dpmpp_2s_ancestral",
    "dpmpp_sde",
    "restart",
];

/// Share of the calls that are left out at ComfyUI's usual threshold, roughly: it depends on model,
/// sampler and steps.
const LEFT_OUT: f64 = 0.4;

/// The work of sampling, in network calls with one prompt, without those that will probably be left out.
fn work(recipe: &Recipe, edits: bool) -> f64 {
    let easy = recipe.network.easy_cache;
    let part = (easy.until - easy.from).clamp(0.0, 1.0);
    let strength = (easy.threshold / EasyCacheOptions::USUAL_THRESHOLD).clamp(0.0, 2.0);
    work_of_all_calls(recipe, edits) * (1.0 - LEFT_OUT * strength * part)
}

/// The work of sampling, in network calls with one prompt, were each of them made. A model that `edits` is asked a third time in
/// guided steps, without its picture; where it is not guided by that, it is not guided at all.
pub(crate) fn work_of_all_calls(recipe: &Recipe, edits: bool) -> f64 {
    let strength = recipe.start.as_ref().map_or(1.0, |start| start.strength);
    let steps = ((f64::from(recipe.steps) * strength) as usize).max(1);
    let network = &recipe.network;
    let every = |every: u32, done: usize| done.is_multiple_of(every.max(1) as usize);
    let image_guidance = recipe.image_guidance.unwrap_or(Recipe::IMAGE_GUIDANCE);
    let is_guided = recipe.guidance > 1.0 && (!edits || image_guidance >= 1.0);
    let of_step = |done: usize| {
        let guided = is_guided && network.guidance_interval.holds(done, steps);
        let asks = guided && every(network.reuse.negative_every, done);
        let share = if every(network.reuse.deep_every, done) {
            1.0
        } else {
            SHALLOW
        };
        let blind = if edits && guided { 1.0 } else { 0.0 };
        share * if asks { 2.0 } else { 1.0 } + blind
    };
    let calls = if TWICE.contains(&recipe.sampler.as_str()) {
        2.0
    } else {
        1.0
    };
    calls * (0..steps).map(of_step).sum::<f64>()
}

/// Begins a measurement of [`peak_bytes`] anew.
pub(crate) fn reset_peak() {
    // Where the system knows no such thing, the figure is that of the whole process.
    #[cfg(target_os = "linux")]
    let _unchanged = std::fs::write("/proc/self/clear_refs", "5").is_err();
}

/// The peak of resident memory since [`reset_peak`], in bytes; 0 where the system does not say.
pub(crate) fn peak_bytes() -> u64 {
    kib_in("/proc/self/status", "VmHWM:").unwrap_or(0)
}

/// A line `name  number kB` of one of Linux's own files, in bytes.
pub(crate) fn kib_in(file: &str, name: &str) -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{GuidanceInterval, ModelRef, Reuse, sample_record};

    fn plain() -> Recipe {
        let mut recipe = sample_record().recipe;
        (recipe.start, recipe.sampler, recipe.steps) = (None, "euler".to_owned(), 10);
        recipe
    }

    fn model() -> ModelInfo {
        crate::catalog::matching::test_model("m")
    }

    fn alone(model: &ModelInfo) -> Models<'_> {
        Models {
            first: model,
            refiner: None,
        }
    }

    #[test]
    fn work_is_counted_in_network_calls() {
        let recipe = plain();
        assert_eq!(work(&recipe, false), 20.0);
        let with = |change: fn(&mut Recipe)| {
            let mut recipe = plain();
            change(&mut recipe);
            work(&recipe, false)
        };
        assert_eq!(with(|r| r.guidance = 1.0), 10.0);
        assert_eq!(with(|r| r.sampler = "heun".to_owned()), 40.0);
        assert_eq!(with(|r| r.sampler = "restart".to_owned()), 40.0);
        // Shown a picture: with it and the prompt, with it alone, with neither.
        let mut shown = plain();
        assert_eq!(work(&shown, true), 30.0);
        shown.image_guidance = Some(0.5);
        assert_eq!(work(&shown, true), 10.0);
        let half = |r: &mut Recipe| {
            r.network.guidance_interval = GuidanceInterval {
                from: 0.0,
                until: 0.5,
            };
        };
        assert_eq!(with(half), 15.0);
        let negative = |r: &mut Recipe| {
            r.network.reuse = Reuse {
                negative_every: 2,
                ..Reuse::default()
            };
        };
        assert_eq!(with(negative), 15.0);
        let easy = |r: &mut Recipe| r.network.easy_cache.threshold = 0.2;
        assert!((with(easy) - 20.0 * (1.0 - LEFT_OUT * 0.8)).abs() < 1e-9);
        let deep = |r: &mut Recipe| r.network.reuse.deep_every = 2;
        assert!((with(deep) - (10.0 + 10.0 * SHALLOW)).abs() < 1e-9);
    }

    #[test]
    fn what_a_run_showed_is_foretold_for_its_like_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = Machine::default();
        let (recipe, model) = (plain(), model());
        let mut history = History::open(folder.path());
        let before = history.forecast(&recipe, 1, alone(&model), &machine);
        assert_eq!((before.secs, before.measured), (None, false));
        let seen = Observed {
            secs_per_unit: 0.5,
            rest_secs: 2.0,
            load_secs: 3.0,
            peak_bytes: 7_000,
        };
        history.learn(&recipe, &model, (&machine, Residency::Everything), seen);
        let history = History::open(folder.path());
        let after = history.forecast(&recipe, 2, alone(&model), &machine);
        assert_eq!((after.secs, after.load_secs), (Some(24.0), Some(3.0)));
        assert_eq!((after.memory_bytes, after.measured), (7_000, true));
        let mut larger = recipe.clone();
        larger.width_px *= 2;
        assert_eq!(
            history.forecast(&larger, 1, alone(&model), &machine).secs,
            None
        );
        let mut refined = recipe.clone();
        refined.refiner = Some(Refiner {
            model: ModelRef::default(),
            switch_at: 0.8,
            parts_from: None,
        });
        let slow = Observed {
            secs_per_unit: 5.0,
            ..seen
        };
        let mut history = history;
        history.learn(&refined, &model, (&machine, Residency::Everything), slow);
        let plainly = history.forecast(&recipe, 2, alone(&model), &machine);
        assert_eq!(plainly.secs, after.secs, "another kind of run");
        let other = Machine {
            threads: Some(7),
            ..Machine::default()
        };
        assert_eq!(
            history.forecast(&recipe, 1, alone(&model), &other).secs,
            None
        );
    }
}
