//! What a recipe may hold: every problem of every field, so that a form can mark them all at once.

use std::ops::RangeInclusive;

use super::{
    DecodeTiles, EasyCacheOptions, GuidanceInterval, InpaintArea, Knobs, NetworkOptions,
    RECIPE_VERSION, Recipe, Refiner, Start, VaeChoice,
};
use crate::catalog::Catalog;
use crate::client::Request;
use crate::error::{EngineError, Result};
use crate::hash::is_sha256_hex;
use crate::samplers::SAMPLERS;
use crate::schedules::SCHEDULES;

/// Sides of a picture, in pixels.
pub const SIDE_PX: RangeInclusive<u32> = 16..=8192;
/// Sampling steps.
pub const STEPS: RangeInclusive<u32> = 1..=1000;
/// Guidance scale.
pub const GUIDANCE: RangeInclusive<f64> = 0.0..=100.0;
/// Guidance rescale.
pub const GUIDANCE_RESCALE: RangeInclusive<f64> = 0.0..=1.0;
/// Share of fresh noise.
pub const ETA: RangeInclusive<f64> = 0.0..=1.0;
/// Churn.
pub const S_CHURN: RangeInclusive<f64> = 0.0..=100.0;
/// Ends of the churned range, as sigma / alpha.
pub const S_SIGMA: RangeInclusive<f64> = 0.0..=100_000.0;
/// Factor on fresh noise.
pub const S_NOISE: RangeInclusive<f64> = 0.0..=2.0;
/// Bend of the Karras and polyexponential schedules.
pub const RHO: RangeInclusive<f64> = 0.1..=100.0;
/// Shares of a run.
pub const SHARE: RangeInclusive<f64> = 0.0..=1.0;
/// Steps among which one computes everything.
pub const EVERY: RangeInclusive<u32> = 1..=20;
/// Side of a decoder's tiles.
pub const TILE_PX: RangeInclusive<u32> = 128..=4096;
/// EasyCache's threshold.
pub const EASY: RangeInclusive<f64> = 0.0..=3.0;
/// Skip connections of a network.
pub const BRANCH: RangeInclusive<u32> = 0..=63;
/// Layers of a text encoder.
pub const CLIP_SKIP: RangeInclusive<u32> = 1..=24;
/// Weight of an add-on.
pub const ADD_ON_WEIGHT: RangeInclusive<f64> = -100.0..=100.0;
/// Add-ons of one recipe.
pub const MAX_ADD_ONS: usize = 64;
/// Share of the noise levels before a refiner takes over.
pub const SWITCH_AT: RangeInclusive<f64> = 0.0..=1.0;
/// Gaussian blur of a mask, in pixels.
pub const MASK_BLUR_PX: RangeInclusive<u32> = 0..=64;
/// Surroundings of a masked area, in pixels.
pub const PADDING_PX: RangeInclusive<u32> = 0..=256;
/// Pictures of one request.
pub const COUNT: RangeInclusive<u32> = 1..=1000;
/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 100_000;

impl Recipe {
    /// Checks every field against its range and the catalogue.
    ///
    /// # Errors
    /// The first of [`Self::problems`].
    pub fn validate(&self, catalog: &Catalog) -> Result<()> {
        first(self.problems(catalog))
    }

    /// Everything that keeps this recipe from being run, each naming its field as in the JSON
    /// (`width_px`, `start.strength`…). Empty when it can run. What only the files can tell (a mask of
    /// another size than its picture) is found when the job reads them.
    pub fn problems(&self, catalog: &Catalog) -> Vec<EngineError> {
        let mut problems = Problems::default();
        if self.version.major > RECIPE_VERSION.major {
            problems.add(
                "version",
                "written by a newer version of the program: update to open it",
            );
        }
        if catalog.find(&self.model.id).is_none() {
            problems.0.push(EngineError::ModelNotFound {
                wanted: self.model.id.clone(),
                known: catalog.models.iter().map(|m| m.id.clone()).collect(),
            });
        }
        for (field, text) in [
            ("prompt", &self.prompt),
            ("negative_prompt", &self.negative_prompt),
        ] {
            if text.len() > MAX_PROMPT_BYTES {
                problems.add(
                    field,
                    format!("{} bytes; at most {MAX_PROMPT_BYTES}", text.len()),
                );
            }
        }
        problems.range("width_px", self.width_px, &SIDE_PX);
        problems.range("height_px", self.height_px, &SIDE_PX);
        problems.range("steps", self.steps, &STEPS);
        problems.range("guidance", self.guidance, &GUIDANCE);
        let image_guidance = self.image_guidance.unwrap_or(Self::IMAGE_GUIDANCE);
        problems.range("image_guidance", image_guidance, &GUIDANCE);
        problems.range("guidance_rescale", self.guidance_rescale, &GUIDANCE_RESCALE);
        problems.choice("sampler", &self.sampler, SAMPLERS.iter().map(|s| s.id));
        problems.choice("schedule", &self.schedule, SCHEDULES.iter().map(|s| s.id));
        problems.knobs(&self.knobs, self.steps);
        problems.network(&self.network);
        if let VaeChoice::File(wanted) = &self.network.vae {
            problems.0.extend(catalog.vae(wanted).err());
        }
        let model = catalog.find(&self.model.id);
        let borrowed = model.and_then(|model| model.storage.borrowed.as_ref());
        if let (Some(borrowed), Some(wanted)) = (borrowed, &self.network.parts_from) {
            problems.0.extend(catalog.lender(borrowed, wanted).err());
        }
        if self.add_ons.used.len() > MAX_ADD_ONS {
            let count = self.add_ons.used.len();
            problems.add("add_ons.used", format!("{count}; at most {MAX_ADD_ONS}"));
        }
        for add_on in &self.add_ons.used {
            problems.range("add_ons.used.unet", add_on.unet, &ADD_ON_WEIGHT);
            problems.range("add_ons.used.text", add_on.text, &ADD_ON_WEIGHT);
        }
        if let Some(start) = &self.start {
            problems.start(start, self.steps);
        }
        if let Some(refiner) = &self.refiner {
            problems.refiner(refiner, &self.model.id, catalog);
        }
        problems.0
    }
}

impl Request {
    /// Checks the recipe, the count, and that every picture's seed exists.
    ///
    /// # Errors
    /// The first of [`Self::problems`].
    pub fn validate(&self, catalog: &Catalog) -> Result<()> {
        first(self.problems(catalog))
    }

    /// As [`Recipe::problems`], with those of the request itself (`count`, `seed`).
    pub fn problems(&self, catalog: &Catalog) -> Vec<EngineError> {
        let mut problems = Problems(self.recipe.problems(catalog));
        problems.range("count", self.count, &COUNT);
        if self
            .recipe
            .seed
            .checked_add(u64::from(self.count.saturating_sub(1)))
            .is_none()
        {
            problems.add(
                "seed",
                format!(
                    "{} is too large for {} pictures with seeds one apart",
                    self.recipe.seed, self.count
                ),
            );
        }
        problems.0
    }
}

/// What is wrong with levels typed by hand.
fn typed_problem(sigmas: &[f64]) -> Option<String> {
    let levels = match sigmas {
        [levels @ .., 0.0] => levels,
        levels => levels,
    };
    let most = *STEPS.end() as usize;
    if levels.is_empty() || levels.len() > most {
        return Some(format!("{} levels; 1 to {most} are needed", levels.len()));
    }
    let outside = levels
        .iter()
        .find(|sigma| !(**sigma > 0.0 && S_SIGMA.contains(*sigma)));
    if let Some(sigma) = outside {
        return Some(format!(
            "{sigma} is outside of 0 (only as the last) to {}",
            S_SIGMA.end()
        ));
    }
    let rise = levels.windows(2).find(|pair| pair[0] <= pair[1])?;
    Some(format!(
        "{} is followed by {}: they must fall",
        rise[0], rise[1]
    ))
}

fn first(problems: Vec<EngineError>) -> Result<()> {
    problems.into_iter().next().map_or(Ok(()), Err)
}

#[derive(Default)]
struct Problems(Vec<EngineError>);

impl Problems {
    fn add(&mut self, field: &str, why: impl Into<String>) {
        self.0.push(EngineError::invalid(field, why));
    }

    /// A NaN lies in no range.
    fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        field: &str,
        value: T,
        range: &RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            self.add(
                field,
                format!("{value} is outside of {} to {}", range.start(), range.end()),
            );
        }
    }

    fn choice(&mut self, field: &str, id: &str, known: impl Iterator<Item = &'static str>) {
        let known: Vec<&str> = known.collect();
        if !known.contains(&id) {
            self.add(
                field,
                format!("“{id}” is not known; choose one of {}", known.join(", ")),
            );
        }
    }

    fn hash(&mut self, field: &str, hash: &str) {
        if !is_sha256_hex(hash) {
            self.add(field, format!("“{hash}” is no SHA-256 in hex"));
        }
    }

    fn knobs(&mut self, knobs: &Knobs, steps: u32) {
        self.range("knobs.eta", knobs.eta.unwrap_or(0.0), &ETA);
        self.range("knobs.s_churn", knobs.s_churn, &S_CHURN);
        self.range("knobs.s_tmin", knobs.s_tmin, &S_SIGMA);
        self.range("knobs.s_tmax", knobs.s_tmax.unwrap_or(0.0), &S_SIGMA);
        self.range("knobs.s_noise", knobs.s_noise, &S_NOISE);
        self.range("knobs.rho", knobs.rho.unwrap_or(1.0), &RHO);
        if let Some(typed) = knobs.typed_steps() {
            match typed_problem(&knobs.sigmas) {
                Some(why) => self.add("knobs.sigmas", why),
                None if typed != steps as usize => {
                    self.add(
                        "steps",
                        format!("{steps}, but the typed sigmas make {typed}"),
                    );
                }
                None => {}
            }
        }
    }

    fn network(&mut self, options: &NetworkOptions) {
        let GuidanceInterval { from, until } = options.guidance_interval;
        self.range("network.guidance_interval.from", from, &SHARE);
        self.range("network.guidance_interval.until", until, &SHARE);
        if from > until {
            let why = format!("{until} comes before the beginning, {from}");
            self.add("network.guidance_interval.until", why);
        }
        let reuse = options.reuse;
        self.range("network.reuse.deep_every", reuse.deep_every, &EVERY);
        self.range("network.reuse.deep_branch", reuse.deep_branch, &BRANCH);
        self.range("network.reuse.negative_every", reuse.negative_every, &EVERY);
        if let DecodeTiles::Tiled { side_px } = options.tiles {
            self.range("network.tiles", side_px, &TILE_PX);
        }
        let EasyCacheOptions {
            threshold,
            from,
            until,
        } = options.easy_cache;
        self.range("network.easy_cache.threshold", threshold, &EASY);
        self.range("network.easy_cache.from", from, &SHARE);
        self.range("network.easy_cache.until", until, &SHARE);
        if from > until {
            let why = format!("{until} comes before the beginning, {from}");
            self.add("network.easy_cache.until", why);
        }
        self.range("network.clip_skip", options.clip_skip, &CLIP_SKIP);
    }

    fn refiner(&mut self, refiner: &Refiner, model: &str, catalog: &Catalog) {
        self.range("refiner.switch_at", refiner.switch_at, &SWITCH_AT);
        let wanted = &refiner.model.id;
        let Some(found) = catalog.find(wanted) else {
            let known: Vec<&str> = catalog.models.iter().map(|m| m.id.as_str()).collect();
            let why = format!("no model called “{wanted}” (known: {})", known.join(", "));
            return self.add("refiner.model", why);
        };
        let first = catalog.find(model);
        if let Some(why) = first.and_then(|first| found.check_refines(first).err()) {
            self.add("refiner.model", why);
        }
    }

    fn start(&mut self, start: &Start, steps: u32) {
        self.hash("start.picture", &start.picture);
        let strength = start.strength;
        if !(strength > 0.0 && strength <= 1.0) {
            self.add(
                "start.strength",
                format!("{strength} is outside of 0 (exclusive) to 1"),
            );
        } else if STEPS.contains(&steps) && f64::from(steps) * strength < 1.0 {
            self.add(
                "start.strength",
                format!(
                    "{strength} of {steps} steps is less than one step; raise strength or steps"
                ),
            );
        }
        if let Some(inpaint) = &start.inpaint {
            self.hash("start.inpaint.mask", &inpaint.mask);
            self.range("start.inpaint.blur_px", inpaint.blur_px, &MASK_BLUR_PX);
            if let InpaintArea::OnlyMasked { padding_px } = inpaint.area {
                self.range("start.inpaint.area.padding_px", padding_px, &PADDING_PX);
            }
        }
    }
}
