//! The draft: the recipe's controls as they stand, before a seed is drawn and a job is made.

use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::prompt::Weighting;
use pentimento_engine::prompt::inspect::PromptQuery;
use pentimento_engine::recipe::{
    AddOnUse, AddOns, DecodeTiles, InpaintArea, Knobs, MaskedContent, ModelRef, NetworkOptions,
    NoiseKind, PROMPT_REVISION, Precision, Prompting, RECIPE_VERSION, Recipe, Refiner,
    SAMPLER_REVISION,
};
use pentimento_engine::samplers::{self, Uses};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most pictures of one click.
pub const MAX_COUNT: u32 = 64;
/// Sides a picture may have, in pixels.
pub const SIDE_RANGE_PX: std::ops::RangeInclusive<u32> = 16..=8192;

/// Every control of the recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Catalogue id; empty until a model is known.
    pub model: String,
    /// What to draw.
    pub prompt: String,
    /// What to avoid.
    pub negative_prompt: String,
    /// How both are read.
    pub prompting: Prompting,
    /// Width and height in pixels.
    pub size_px: [u32; 2],
    /// Steps, guidance, sampler and kin.
    pub sampling: Sampling,
    /// The seed and how the next is chosen.
    pub seed: Seed,
    /// Pictures a click, 1 to [`MAX_COUNT`].
    pub count: u32,
    /// LoRA and other add-ons.
    pub add_ons: AddOns,
    /// What to do with the picture on the canvas.
    pub start: StartDraft,
    /// The model that takes over for the last details.
    pub refiner: Option<Refiner>,
    /// Fields of a recalled recipe that this version does not know.
    pub unknown: Map<String, Value>,
}

/// How the network is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Sampling steps, 1 to 1000.
    pub steps: u32,
    /// Guidance scale, 0 to 100.
    pub guidance: f64,
    /// Guidance rescale, 0 to 1.
    pub guidance_rescale: f64,
    /// Image guidance scale of models that change pictures, 0 to 100.
    pub image_guidance: f64,
    /// Sampler id.
    pub sampler: String,
    /// Schedule id.
    pub schedule: String,
    /// Knobs of sampler and schedule; those that the sampler does not use wait for one that does.
    pub knobs: Knobs,
    /// How the networks are run.
    pub network: NetworkOptions,
    /// Which generator draws the noise.
    pub noise_source: NoiseKind,
    /// Arithmetic.
    pub precision: Precision,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            steps: 20,
            guidance: 7.0,
            guidance_rescale: 0.0,
            image_guidance: Recipe::IMAGE_GUIDANCE,
            sampler: String::new(),
            schedule: String::new(),
            knobs: Knobs::of_new_recipes(),
            network: NetworkOptions::of_new_recipes(),
            noise_source: NoiseKind::default(),
            precision: Precision::default(),
        }
    }
}

impl Sampling {
    /// The knobs that the chosen sampler uses.
    pub fn uses(&self) -> Uses {
        samplers::find(&self.sampler).map_or(Uses::NOTHING, |sampler| sampler.uses)
    }

    fn used_knobs(&self) -> Knobs {
        self.knobs.used_by(&self.uses())
    }

    /// Steps of a run: those set, or as many as levels are typed.
    pub fn run_steps(&self) -> u32 {
        let typed = self.knobs.typed_steps();
        typed.map_or(self.steps, |steps| u32::try_from(steps).unwrap_or(u32::MAX))
    }
}

/// The seed and how the next is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seed {
    /// What the field shows.
    pub value: u64,
    /// Keep it for every job; otherwise each job draws a new one.
    pub locked: bool,
    /// The seed of the latest picture.
    pub last: Option<u64>,
}

/// What the next job does with the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// Nothing: a new picture from the prompt.
    #[default]
    New,
    /// Image to image on the whole picture.
    Variation,
    /// Repaint what the mask covers.
    Repaint,
}

/// How a picture on the canvas is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartDraft {
    /// What to do with it.
    pub mode: StartMode,
    /// Share of the schedule that is run, above 0 to 1.
    pub strength: f64,
    /// Mask blur radius in pixels, 0 to 64.
    pub blur_px: u32,
    /// What the masked area holds at first.
    pub content: MaskedContent,
    /// Whether only a crop around the mask is shown to the model.
    pub only_masked: bool,
    /// Surroundings of that crop in pixels, 0 to 256.
    pub padding_px: u32,
    /// Show on the canvas how far the blur reaches.
    pub feather_preview: bool,
}

impl Default for StartDraft {
    fn default() -> Self {
        Self {
            mode: StartMode::New,
            strength: 0.75,
            blur_px: 4,
            content: MaskedContent::Original,
            only_masked: false,
            padding_px: 32,
            feather_preview: false,
        }
    }
}

impl StartDraft {
    /// The recipe's area.
    pub fn area(&self) -> InpaintArea {
        if self.only_masked {
            InpaintArea::OnlyMasked {
                padding_px: self.padding_px,
            }
        } else {
            InpaintArea::WholePicture
        }
    }
}

/// A change of the draft.
#[derive(Clone, Debug)]
pub enum DraftEdit {
    /// The prompt's text.
    Prompt(String),
    /// The negative prompt's text.
    NegativePrompt(String),
    /// What weights in the prompts do.
    Weighting(Weighting),
    /// Choose a model and take over its defaults.
    Model(String),
    /// Width and height in pixels.
    SizePx([u32; 2]),
    /// Steps, guidance, sampler and kin.
    Sampling(Box<Sampling>),
    /// Seed and lock.
    Seed(Seed),
    /// Pictures a click.
    Count(u32),
    /// The list of add-ons: other weights, fewer of them.
    AddOns(Vec<AddOnUse>),
    /// One more add-on, chosen from the catalogue.
    AddOn(AddOnUse),
    /// Use of the canvas.
    Start(StartDraft),
    /// The model that takes over, and when.
    Refiner(Option<Refiner>),
    /// Every control from a recipe.
    Recall(Box<Recipe>),
}

impl Draft {
    /// Applies a change, kept within ranges.
    pub fn apply(&mut self, edit: DraftEdit, catalog: &Catalog) {
        match edit {
            DraftEdit::Prompt(text) => {
                self.negative_prompt = self.prompting.as_typed(&self.negative_prompt);
                self.prompt = text;
                self.read_as_typed();
            }
            DraftEdit::NegativePrompt(text) => {
                self.prompt = self.prompting.as_typed(&self.prompt);
                self.negative_prompt = text;
                self.read_as_typed();
            }
            DraftEdit::Weighting(weighting) => self.prompting.weighting = weighting,
            DraftEdit::Model(id) => {
                self.model = id;
                self.take_defaults(catalog);
            }
            DraftEdit::SizePx(size_px) => {
                self.size_px = clamp_size_px(size_px);
            }
            DraftEdit::Sampling(sampling) => self.sampling = *sampling,
            DraftEdit::Seed(seed) => self.seed = seed,
            DraftEdit::Count(count) => self.count = count.clamp(1, MAX_COUNT),
            DraftEdit::AddOns(used) => self.add_ons.choose(used),
            DraftEdit::AddOn(one) => self.add_ons.add(one),
            DraftEdit::Start(start) => self.start = start,
            DraftEdit::Refiner(refiner) => self.refiner = refiner,
            DraftEdit::Recall(recipe) => self.recall(*recipe),
        }
    }

    /// A recalled prompt is read as its recipe says; once it is typed in, as everything that is typed.
    fn read_as_typed(&mut self) {
        self.prompting = Prompting {
            weighting: self.prompting.weighting,
            ..Prompting::default()
        };
    }

    /// Values from a hand-edited file brought back into their ranges.
    #[must_use]
    pub fn repaired(mut self) -> Self {
        if self.size_px.contains(&0) {
            self.size_px = [512, 512];
        }
        self.size_px = clamp_size_px(self.size_px);
        self.count = self.count.clamp(1, MAX_COUNT);
        self.sampling.steps = self.sampling.steps.clamp(1, 1000);
        self.sampling.guidance = clamp(self.sampling.guidance, 0.0, 100.0, 7.0);
        self.sampling.guidance_rescale = clamp(self.sampling.guidance_rescale, 0.0, 1.0, 0.0);
        let image_guidance = &mut self.sampling.image_guidance;
        *image_guidance = clamp(*image_guidance, 0.0, 100.0, Recipe::IMAGE_GUIDANCE);
        let knobs = &mut self.sampling.knobs;
        knobs.eta = knobs.eta.map(|eta| clamp(eta, 0.0, 1.0, 0.0));
        knobs.s_churn = clamp(knobs.s_churn, 0.0, 100.0, 0.0);
        knobs.s_tmin = clamp(knobs.s_tmin, 0.0, 1000.0, 0.0);
        knobs.s_tmax = knobs.s_tmax.map(|most| clamp(most, 0.0, 1000.0, 1000.0));
        knobs.s_noise = clamp(knobs.s_noise, 0.0, 2.0, 1.0);
        knobs.rho = knobs.rho.map(|rho| clamp(rho, 0.1, 100.0, 7.0));
        let network = &mut self.sampling.network;
        let interval = &mut network.guidance_interval;
        interval.from = clamp(interval.from, 0.0, 1.0, 0.0);
        interval.until = clamp(interval.until, interval.from, 1.0, 1.0);
        network.reuse.deep_every = network.reuse.deep_every.clamp(1, 20);
        network.reuse.deep_branch = network.reuse.deep_branch.min(63);
        network.reuse.negative_every = network.reuse.negative_every.clamp(1, 20);
        if let DecodeTiles::Tiled { side_px } = &mut network.tiles {
            *side_px = (*side_px).clamp(128, 4096);
        }
        let easy = &mut network.easy_cache;
        easy.threshold = clamp(easy.threshold, 0.0, 3.0, 0.0);
        easy.from = clamp(easy.from, 0.0, 1.0, 0.15);
        easy.until = clamp(easy.until, easy.from, 1.0, 0.95_f64.max(easy.from));
        network.clip_skip = network.clip_skip.clamp(1, 24);
        if let Some(refiner) = &mut self.refiner {
            refiner.switch_at = clamp(refiner.switch_at, 0.0, 1.0, Refiner::USUAL_SWITCH);
        }
        self.start.strength = clamp(self.start.strength, 0.01, 1.0, 0.75);
        self.start.blur_px = self.start.blur_px.min(64);
        self.start.padding_px = self.start.padding_px.min(256);
        self
    }

    /// The chosen model, if the catalogue has it.
    pub fn model_info<'a>(&self, catalog: &'a Catalog) -> Option<&'a ModelInfo> {
        catalog.models.iter().find(|model| model.id == self.model)
    }

    /// Steps, guidance, sampler, schedule and size as the chosen model wants them, without a refiner
    /// that cannot take over from it.
    pub fn take_defaults(&mut self, catalog: &Catalog) {
        let Some(model) = self.model_info(catalog) else {
            return;
        };
        let (defaults, native_px) = (model.defaults.clone(), model.native_px);
        let refines = |refiner: &Refiner| {
            let found = catalog.find(&refiner.model.id);
            found.is_none_or(|found| found.check_refines(model).is_ok())
        };
        self.refiner = self.refiner.take().filter(refines);
        self.sampling.steps = defaults.steps;
        self.sampling.guidance = defaults.guidance;
        self.sampling.guidance_rescale = 0.0;
        self.sampling.image_guidance = Recipe::IMAGE_GUIDANCE;
        self.sampling.sampler = defaults.sampler;
        self.sampling.schedule = defaults.schedule;
        self.sampling.knobs = Knobs::of_new_recipes();
        self.sampling.network = NetworkOptions::of_new_recipes();
        self.size_px = native_px;
    }

    /// Chooses a model when none is chosen yet. Returns whether one was chosen.
    pub fn adopt_first_model(&mut self, catalog: &Catalog) -> bool {
        if !self.model.is_empty() {
            return false;
        }
        let Some(first) = catalog.models.first() else {
            return false;
        };
        self.model.clone_from(&first.id);
        self.count = self.count.max(1);
        self.take_defaults(catalog);
        true
    }

    /// The prompts as they are to be read for showing: with the choices of the seed in the field.
    pub fn prompt_query(&self) -> PromptQuery {
        PromptQuery {
            model: self.model.clone(),
            texts: [self.prompt.clone(), self.negative_prompt.clone()],
            syntax: self.prompting.syntax,
            steps: self.sampling.run_steps(),
            seed: self.prompting.dynamic.then_some(self.seed.value),
        }
    }

    /// The recipe of a job with this seed, without a start picture.
    pub fn recipe(&self, seed: u64, catalog: &Catalog) -> Recipe {
        Recipe {
            version: RECIPE_VERSION,
            model: ModelRef {
                id: self.model.clone(),
                sha256: self
                    .model_info(catalog)
                    .and_then(|model| model.sha256.clone()),
                ..ModelRef::default()
            },
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            prompting: self.prompting.clone(),
            width_px: self.size_px[0],
            height_px: self.size_px[1],
            seed,
            steps: self.sampling.run_steps(),
            guidance: self.sampling.guidance,
            guidance_rescale: self.sampling.guidance_rescale,
            image_guidance: self
                .model_info(catalog)
                .is_some_and(|model| model.edits)
                .then_some(self.sampling.image_guidance),
            sampler: self.sampling.sampler.clone(),
            schedule: self.sampling.schedule.clone(),
            knobs: self.sampling.used_knobs(),
            network: self.sampling.network.clone(),
            noise_source: self.sampling.noise_source,
            precision: self.sampling.precision,
            add_ons: self.add_ons.clone(),
            refiner: self.refiner_of(catalog),
            start: None,
            sampler_revision: SAMPLER_REVISION,
            prompt_revision: PROMPT_REVISION,
            unknown: self.unknown.clone(),
        }
    }

    /// The refiner with its files' hash: a recalled recipe's, so that the engine says when the files
    /// are others, else the catalogue's where it knows it.
    fn refiner_of(&self, catalog: &Catalog) -> Option<Refiner> {
        let mut refiner = self.refiner.clone()?;
        let known = catalog.find(&refiner.model.id);
        let pinned = &mut refiner.model.sha256;
        if pinned.is_none() {
            *pinned = known.and_then(|model| model.sha256.clone());
        }
        Some(refiner)
    }

    /// Every control as the recipe has it, its seed locked.
    fn recall(&mut self, mut recipe: Recipe) {
        // What the recipe's sampler does not use says nothing: the next sampler finds it as new.
        if samplers::find(&recipe.sampler).is_ok_and(|sampler| !sampler.uses.brownian) {
            recipe.knobs.step_noise = Knobs::of_new_recipes().step_noise;
        }
        // A choice that the size made is made anew for another size.
        let size_px = [recipe.width_px, recipe.height_px];
        let is_bf16 = recipe.precision.has_bf16_activations();
        recipe.network.tiles = recipe.network.tiles.loosened(size_px, is_bf16);
        self.model = recipe.model.id;
        self.prompt = recipe.prompt;
        self.negative_prompt = recipe.negative_prompt;
        self.prompting = recipe.prompting;
        self.size_px = size_px;
        self.sampling = Sampling {
            steps: recipe.steps,
            guidance: recipe.guidance,
            guidance_rescale: recipe.guidance_rescale,
            image_guidance: recipe.image_guidance.unwrap_or(Recipe::IMAGE_GUIDANCE),
            sampler: recipe.sampler,
            schedule: recipe.schedule,
            knobs: recipe.knobs,
            network: recipe.network,
            noise_source: recipe.noise_source,
            precision: recipe.precision,
        };
        self.add_ons = recipe.add_ons;
        self.seed.value = recipe.seed;
        self.seed.locked = true;
        self.refiner = recipe.refiner;
        self.unknown = recipe.unknown;
        self.start.mode = StartMode::New;
        if let Some(start) = recipe.start {
            self.start.mode = StartMode::Variation;
            self.start.strength = start.strength;
            if let Some(inpaint) = start.inpaint {
                self.start.mode = StartMode::Repaint;
                self.start.blur_px = inpaint.blur_px;
                self.start.content = inpaint.content;
                self.start.only_masked = false;
                if let InpaintArea::OnlyMasked { padding_px } = inpaint.area {
                    self.start.only_masked = true;
                    self.start.padding_px = padding_px;
                }
            }
        }
    }
}

impl Seed {
    /// The seed of the next job: the locked one, or `drawn`, which the field then shows.
    pub fn next(&mut self, drawn: u64) -> u64 {
        if !self.locked {
            self.value = drawn;
        }
        self.last = Some(self.value);
        self.value
    }
}

fn clamp_size_px(size_px: [u32; 2]) -> [u32; 2] {
    size_px.map(|side| side.clamp(*SIDE_RANGE_PX.start(), *SIDE_RANGE_PX.end()))
}

fn clamp(value: f64, least: f64, most: f64, otherwise: f64) -> f64 {
    if value.is_finite() {
        value.clamp(least, most)
    } else {
        otherwise
    }
}

/// A fresh seed below 2^32 (a range that every tool accepts), from the process's random hash keys
/// and the clock.
pub fn draw_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.finish() >> 32
}
