//! The one loop: encode, denoise, decode, for every family, sampler and way of starting. Text to
//! image, image to image and inpainting differ only in how the latents start (`start`) and in what
//! the observer blends in after each step.

mod crop;
mod denoise;
mod easy_cache;
pub mod fill;
pub mod mask;
pub mod paste;
pub mod pixels;
mod prompts;
mod start;
mod tiles;

use std::cell::Cell;
use std::time::{Duration, Instant};

use candle_core::Device;

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::event::Stage;
use crate::families::model::{Autoencoder, Model, ModelPart};
use crate::families::replay::Replays;
use crate::families::reuse::DeepFeatures;
use crate::guidance::Guidance;
use crate::latent::Latents;
use crate::nn::{Act, release};
use crate::noise::{self, NoiseSource};
use crate::pace::Pace;
use crate::preview::{PreviewMeans, Previewer};
use crate::raster::{Mask, Picture};
use crate::recipe::{DecodeTiles, Recipe, StepNoise};
use crate::residency::Residency;
use crate::samplers::{self, SamplerSpec, Trajectory, trajectory};
use crate::schedules;
use denoise::{GuidedDenoiser, RunObserver};
use easy_cache::EasyCache;
pub use prompts::Prompts;
use start::Start;

/// Hears what a run does, while it does it.
pub trait Listener {
    /// A stage begins.
    fn on_stage(&mut self, stage: Stage);
    /// `step` of `steps` is done; sampling began `elapsed` ago.
    fn on_step(&mut self, step: usize, steps: usize, elapsed: Duration);
    /// A preview of what `bounds_px` (`[x, y, width, height]`) will hold; `decoded`: by the tiny
    /// decoder.
    fn on_preview(&mut self, step: usize, bounds_px: [u32; 4], picture: Picture, decoded: bool);
}

/// What a run needs besides its recipe.
pub struct Inputs<'a> {
    /// The loaded model.
    pub model: &'a dyn Model,
    /// Its device.
    pub device: &'a Device,
    /// What to draw and what to avoid, encoded.
    pub prompts: &'a Prompts,
    /// Who takes over, where the recipe says so.
    pub refiner: Option<Relief<'a>>,
    /// Start picture, and mask of its size.
    pub start: Option<(&'a Picture, Option<&'a Mask>)>,
    /// Pictures to latents, and back where `decoder` does not do it.
    pub autoencoder: &'a dyn Autoencoder,
    /// The last latents to the picture.
    pub decoder: &'a dyn Autoencoder,
    /// How previews are drawn; `None`: there are none.
    pub preview: Option<PreviewMeans<'a>>,
    /// How much of the models stays in memory.
    pub residency: Residency,
    /// The job's stop flag.
    pub cancel: &'a CancelToken,
}

/// A second model with the prompts as it reads them, for timesteps below `cutoff`.
#[derive(Clone, Copy)]
pub struct Relief<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Encoded by it.
    pub prompts: &'a Prompts,
    /// Timesteps of the first model's that are its.
    pub cutoff: f64,
}

impl<'a> Relief<'a> {
    /// Checks that its latents mean what the first model's do.
    ///
    /// # Errors
    /// `InvalidRequest` when they do not.
    pub fn new(
        first: &dyn Model,
        model: &'a dyn Model,
        prompts: &'a Prompts,
        cutoff: f64,
    ) -> Result<Self> {
        let kind = |model: &dyn Model| {
            let facts = model.facts();
            let scale = model.autoencoder().scaling_factor();
            (facts.latent_channels, facts.factor, scale.to_bits())
        };
        if kind(first) != kind(model) {
            return Err(EngineError::invalid(
                "refiner",
                "its latents are of another kind than the model's: choose one of the same family",
            ));
        }
        if model.facts().inpainting || model.facts().edits {
            return Err(EngineError::invalid(
                "refiner",
                "a model for inpainting or for changing pictures cannot refine: choose another",
            ));
        }
        Ok(Self {
            model,
            prompts,
            cutoff,
        })
    }
}

/// A finished picture.
pub struct Rendered {
    /// The pixels, of the recipe's size.
    pub picture: Picture,
    /// Share of the sampling time that went into previews, 0 to 1.
    pub preview_share: f64,
    /// Time of the sampling loop, previews included.
    pub sampling_time: Duration,
    /// Time of the last decode.
    pub decode_time: Duration,
    /// Whether the device answered network calls from recordings.
    pub recorded: bool,
    /// Network calls that were left out ([`crate::recipe::EasyCacheOptions`]), and all of them.
    pub reused_calls: [u32; 2],
    /// Cost of decoding one preview, where that was done.
    pub preview_cost: Option<Duration>,
    /// Of inpainting: whether all unpainted pixels were found unchanged.
    pub unmasked_pixels_verified: Option<bool>,
}

/// Plans a recipe's run without a model in memory: the cheap half of the checks.
///
/// # Errors
/// `InvalidRequest` for unknown ids, step counts or strengths that cannot be run.
pub fn plan(recipe: &Recipe, table: &schedules::NoiseTable) -> Result<Trajectory> {
    let sampler = samplers::find(&recipe.sampler)?;
    let schedule = schedules::find(&recipe.schedule)?;
    let strength = recipe.start.as_ref().map_or(1.0, |start| start.strength);
    trajectory(
        sampler,
        schedule,
        table,
        recipe.steps as usize,
        strength,
        &recipe.knobs,
    )
}

/// The recipe's noise: one stream, with a Brownian path beside it where recipe and sampler want one.
fn noise_source(
    recipe: &Recipe,
    sampler: &SamplerSpec,
    trajectory: &Trajectory,
) -> Box<dyn NoiseSource + Send> {
    let (kind, seed) = (recipe.noise_source, recipe.seed);
    match recipe.knobs.step_noise {
        StepNoise::Brownian if sampler.uses.brownian => {
            let (smallest, largest) = trajectory.sigma_range();
            noise::brownian(kind, seed, smallest, largest)
        }
        StepNoise::Brownian | StepNoise::Fresh => noise::source(kind, seed),
    }
}

/// Whether a model, called `who`, has what the recipe wants to use again.
fn check_reuse(recipe: &Recipe, model: &dyn Model, who: &str) -> Result<()> {
    let reuse = recipe.network.reuse;
    let branches = model.deep_branches();
    if reuse.deep_every <= 1 || (reuse.deep_branch as usize) < branches {
        return Ok(());
    }
    let why = match branches.checked_sub(1) {
        Some(most) => format!(
            "{} is outside of 0 to {most}, which {who} has",
            reuse.deep_branch
        ),
        None => format!("{who} has no deep features to keep"),
    };
    Err(EngineError::invalid("network.reuse.deep_branch", why))
}

/// Makes one picture.
///
/// # Errors
/// `Cancelled`, `InvalidRequest` for what only shows now (an empty mask), or `Compute`.
pub fn render(
    recipe: &Recipe,
    inputs: &Inputs<'_>,
    listener: &mut dyn Listener,
) -> Result<Rendered> {
    let facts = inputs.model.facts();
    let trajectory = plan(recipe, &facts.noise)?;
    let sampler = samplers::find(&recipe.sampler)?;
    check_reuse(recipe, inputs.model, "this model")?;
    if let Some(refiner) = inputs.refiner {
        check_reuse(recipe, refiner.model, "the refiner")?;
    }
    let mut noise = noise_source(recipe, sampler, &trajectory);

    if inputs.start.is_some() {
        listener.on_stage(Stage::EncodingPicture);
    }
    let start = Start::prepare(recipe, inputs, &trajectory, noise.as_mut())?;
    listener.on_stage(Stage::Denoising);
    let began = Instant::now();
    let step = Cell::new(0);
    let mut denoiser = GuidedDenoiser {
        model: inputs.model,
        extra: start.extra.as_ref(),
        size_px: start.made_px,
        prompts: inputs.prompts,
        refiner: inputs.refiner,
        step: &step,
        steps: trajectory.len(),
        guidance: Guidance {
            scale: recipe.guidance,
            rescale: recipe.guidance_rescale,
        },
        options: &recipe.network,
        residency: inputs.residency,
        deep: DeepFeatures::default(),
        replays: Replays::of(inputs.device, inputs.residency),
        easy: EasyCache::new(recipe.network.easy_cache),
        pull: None,
        image_guidance: recipe.image_guidance.unwrap_or(Recipe::IMAGE_GUIDANCE),
        cancel: inputs.cancel,
    };
    let bounds = start.bounds_px();
    let pace = Pace::of(inputs.device);
    let size_px = [bounds[2], bounds[3]];
    let mut observer = RunObserver {
        blend: start.blend.as_ref(),
        previewer: inputs
            .preview
            .map(|means| Previewer::new(means, size_px, &pace)),
        pace: &pace,
        under_way: None,
        bounds,
        began,
        step: &step,
        cancel: inputs.cancel,
        listener,
    };
    let latents = start.latents.clone();
    let latents = (sampler.sample)(
        &mut denoiser,
        latents,
        &trajectory,
        noise.as_mut(),
        &mut observer,
    )?;
    let recorded = denoiser.replays.as_ref().is_some_and(Replays::were_used);
    let reused_calls = [denoiser.easy.reused, denoiser.easy.calls];
    // With it go the network's recordings, and their memory.
    drop(denoiser);
    let previewer = observer.previewer;
    let preview_cost = previewer.as_ref().and_then(Previewer::decode_cost);
    let spent = previewer.map_or(Duration::ZERO, |previewer| previewer.spent());
    let sampling_time = began.elapsed();
    let preview_share = spent.as_secs_f64() / sampling_time.as_secs_f64().max(1e-9);

    listener.on_stage(Stage::Decoding);
    // The decoder's maps are of other sizes, and its largest ones are the run's peak of memory.
    release();
    if inputs.residency == Residency::OneAtATime {
        inputs.model.set_aside(ModelPart::Network);
        if let Some(refiner) = inputs.refiner {
            refiner.model.set_aside(ModelPart::Network);
        }
    }
    let began = Instant::now();
    let tiles = recipe.network.tiles;
    let made = decode(&latents, inputs, tiles, start.made_px)?;
    let decode_time = began.elapsed();
    let (picture, unmasked_pixels_verified) = start.finish(made);
    Ok(Rendered {
        picture,
        preview_share,
        sampling_time,
        decode_time,
        recorded,
        reused_calls,
        preview_cost,
        unmasked_pixels_verified,
    })
}

/// Latents to a picture of `size_px`.
fn decode(
    latents: &Latents,
    inputs: &Inputs<'_>,
    tiles: DecodeTiles,
    size_px: [u32; 2],
) -> Result<Picture> {
    inputs.cancel.check()?;
    let decoder = inputs.decoder;
    let latents = latents.scaled(1.0 / decoder.scaling_factor())?;
    if let DecodeTiles::Tiled { side_px } = tiles
        && size_px.iter().any(|side| *side > side_px)
    {
        let y = tiles::decode(decoder, &latents, side_px, inputs.cancel)?;
        return pixels::picture_from_tensor(&y, size_px);
    }
    let y = decoder.decode(&Act::from_tensor(latents.tensor().clone()), inputs.cancel)?;
    pixels::picture_from_tensor(&y.to_tensor()?, size_px)
}
