//! Stable Diffusion 1.x, 2.x and XL and their kin (Rombach et al. 2022; Podell et al. 2023): CLIP text
//! transformers, a UNet, an autoencoder, in the diffusers layout or in one file.

mod added;
pub mod autoencoder;
pub mod autoencoder_kl;
pub mod autoencoder_tiny;
mod blocks;
mod encoders;
mod learned;
mod prediction;
mod single;
mod single_xl;
mod stand_in;
pub mod text;
pub mod unet;
pub mod unet_config;

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::FamilySpec;
use super::model::{
    Autoencoder, Conditioning, Fit, LatentFacts, Model, ModelFacts, ModelPart, NetworkInput,
    StoredBytes, Word,
};
use super::replay::Replays;
use super::reuse::DeepReuse;
use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::latent::{LatentSpace, Latents};
use crate::nn::{Act, Compute, ops};
use crate::prompt::Reading;
use crate::prompt::tokenizer::Tokenizer;
use crate::schedules::{NoiseTable, PipelineRules};
use crate::weights::Weights;
use crate::weights::files::ModelFiles;
use crate::weights::lora::adapt::Adaptable;
use crate::weights::lora::{Adapted, Adapter, Misfits, Part};
use crate::weights::slot::Slots;
use added::{Additions, Numbers};
use autoencoder::AutoencoderConfig;
use blocks::Context;
use encoders::{Encoders, EncodersConfig};
use prediction::Version;
use unet::{Deep, Embeddings, Unet};
use unet_config::UnetConfig;

/// The family.
pub const SPEC: FamilySpec = FamilySpec {
    id: "stable_diffusion",
    label: "Stable Diffusion",
    pipelines: &[
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        "StableDiffusionInstructPix2PixPipeline",
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionXLInpaintPipeline",
        "StableDiffusionXLInstructPix2PixPipeline",
        "LatentConsistencyModelPipeline",
        "LatentConsistencyModelImg2ImgPipeline",
    ],
    single: single::make,
    inspect,
    tokenizer,
    load,
    stand_in: stand_in::load,
};

/// All configuration of a model, checked as a whole.
struct Parts {
    text: EncodersConfig,
    unet: UnetConfig,
    autoencoder: AutoencoderConfig,
    numbers: Option<Numbers>,
    facts: ModelFacts,
}

fn read_parts(files: &ModelFiles) -> Result<Parts> {
    let unet = UnetConfig::read(files)?;
    let is_xl = unet.added.is_some();
    let text = EncodersConfig::read(files, is_xl)?;
    let autoencoder = AutoencoderConfig::read(files)?;
    let noise = read_noise(files, is_xl)?;
    let latent_channels = autoencoder.latent_channels();
    let unfit = |found: String, remedy: &str| EngineError::UnsupportedModel {
        path: files.label("unet/config.json"),
        found,
        remedy: remedy.to_owned(),
    };
    let inpainting = unet.in_channels == 2 * latent_channels + 1;
    let edits = unet.in_channels == 2 * latent_channels;
    if unet.in_channels != latent_channels && !inpainting && !edits {
        return Err(unfit(
            format!("“in_channels” is {}", unet.in_channels),
            &format!(
                "with this autoencoder it must be {latent_channels}, {} for inpainting or {} for \
                 changing pictures",
                2 * latent_channels + 1,
                2 * latent_channels
            ),
        ));
    }
    if unet.out_channels != latent_channels {
        return Err(unfit(
            format!("“out_channels” is {}", unet.out_channels),
            &format!("with this autoencoder it must be {latent_channels}"),
        ));
    }
    if let Some(level) = unet
        .levels
        .iter()
        .find(|level| level.context_channels != text.channels())
    {
        return Err(unfit(
            format!("“cross_attention_dim” is {}", level.context_channels),
            &format!(
                "with this model's text encoders it must be {}",
                text.channels()
            ),
        ));
    }
    let numbers = unet
        .added
        .map(|added| {
            Numbers::of(added, text.pooled_channels()).ok_or_else(|| {
                let (vector, each) = (text.pooled_channels(), added.number_channels);
                unfit(
                    format!(
                        "“projection_class_embeddings_input_dim” is {}",
                        added.channels
                    ),
                    &format!(
                        "with this text encoder it must be {} (or {} for a refiner)",
                        vector + 6 * each,
                        vector + 5 * each
                    ),
                )
            })
        })
        .transpose()?;
    let factor = autoencoder.factor();
    let [height, width] = unet
        .sample_size
        .unwrap_or(if is_xl { [128, 128] } else { [64, 64] });
    let side = |latent: usize| {
        u32::try_from(latent * factor)
            .unwrap_or(512)
            .clamp(16, 4096)
    };
    let version = version(&unet, numbers);
    let facts = ModelFacts {
        variant: format!("{version}{}", kind(&unet, [inpainting, edits])),
        native_px: [side(width), side(height)],
        factor,
        latent_channels,
        latents: LatentFacts {
            channels: latent_channels,
            space: LatentSpace::of_model(latent_channels, autoencoder.scaling_factor()),
            tiny: autoencoder.is_tiny(),
        },
        inpainting,
        edits,
        guidance_channels: unet.guidance_channels,
        context: text.context(),
        noise,
        stored: StoredBytes::default(),
        fit: Fit {
            version: match (is_xl, unet.linear_projection) {
                (true, _) => Version::Xl,
                (false, true) => Version::Second,
                (false, false) => Version::First,
            }
            .id(),
            text_channels: text.channels(),
            latent_channels,
        },
    };
    Ok(Parts {
        text,
        unet,
        autoencoder,
        numbers,
        facts,
    })
}

/// Which generation of the family it is, for people.
fn version(unet: &UnetConfig, numbers: Option<Numbers>) -> &'static str {
    match numbers {
        Some(Numbers::Sizes) => "XL",
        Some(Numbers::Score) => "XL refiner",
        None if unet.linear_projection => "2.x",
        None => "1.x",
    }
}

/// What it was made for, to stand after its generation.
fn kind(unet: &UnetConfig, [inpainting, edits]: [bool; 2]) -> &'static str {
    match (inpainting, unet.guidance_channels) {
        (true, _) => " inpainting",
        _ if edits => " InstructPix2Pix",
        (false, Some(_)) => " LCM",
        (false, None) => "",
    }
}

fn read_noise(files: &ModelFiles, is_xl: bool) -> Result<NoiseTable> {
    const FILE: &str = "scheduler/scheduler_config.json";
    let path = files.label(FILE);
    let text = String::from_utf8(files.open(FILE)?.read_all(1 << 20)?).map_err(|_not_utf8| {
        EngineError::bad_file(&path, "not UTF-8 text", "copy the model folder again")
    })?;
    let rules = if is_xl {
        PipelineRules::AsWritten
    } else {
        PipelineRules::StableDiffusion
    };
    NoiseTable::parse(&path, &text, rules)
}

fn inspect(files: &ModelFiles) -> Result<ModelFacts> {
    let parts = read_parts(files)?;
    let cancel = CancelToken::default();
    let stored = StoredBytes {
        text: parts.text.check(files, &cancel)?,
        network: Weights::open(files, "unet", &cancel)?.bytes(),
    };
    Weights::open(files, "vae", &cancel)?;
    Ok(ModelFacts {
        stored,
        ..parts.facts
    })
}

fn tokenizer(files: &ModelFiles) -> Result<Tokenizer> {
    let is_xl = UnetConfig::read(files)?.added.is_some();
    EncodersConfig::read(files, is_xl)?.tokenizer(files)
}

fn load(files: &ModelFiles, compute: &Compute, cancel: &CancelToken) -> Result<Box<dyn Model>> {
    let parts = read_parts(files)?;
    let mut warnings = Vec::new();
    let mut note_unused = |folder: &str, unused: Vec<String>| {
        // The pooled output's projection belongs to the format and is of no use here.
        let unused: Vec<_> = unused
            .iter()
            .filter(|name| !name.contains("text_projection"))
            .collect();
        if let Some(first) = unused.first() {
            let count = unused.len();
            warnings.push(format!(
                "{folder}: {count} tensors are not used, the first is “{first}”"
            ));
        }
    };
    let mut places = Vec::new();
    let mut note_places = |folder: &str, slots: Slots| {
        places.push(Part {
            folder: folder.to_owned(),
            slots,
        });
    };
    let mut stored = StoredBytes::default();
    let beside = &compute.beside_the_network();
    let text = parts
        .text
        .load(files, beside, cancel, &mut |folder, weights| {
            note_unused(folder, weights.unused());
            note_places(folder, weights.slots());
            stored.text += weights.bytes();
        })?;
    let unet = {
        let weights = Weights::open(files, "unet", cancel)?;
        let unet = Unet::load(parts.unet, &weights.root(compute))?;
        note_unused("unet", weights.unused());
        note_places("unet", weights.slots());
        stored.network = weights.bytes();
        unet
    };
    let (autoencoder, unused) = parts.autoencoder.load(files, beside, cancel)?;
    note_unused("vae", unused);
    Ok(Box::new(StableDiffusion {
        text,
        unet,
        autoencoder,
        additions: parts.numbers.map(Additions::new),
        facts: ModelFacts {
            stored,
            ..parts.facts
        },
        warnings,
        contexts: Mutex::default(),
        adaptable: Adaptable::new(places),
    }))
}

/// A loaded model.
struct StableDiffusion {
    text: Encoders,
    unet: Unet,
    autoencoder: Box<dyn Autoencoder>,
    /// What joins the time embedding, in XL.
    additions: Option<Additions>,
    facts: ModelFacts,
    warnings: Vec<String>,
    /// Prompts as the UNet has read them, by their tokens, oldest first: a run asks for the same ones
    /// at each step.
    contexts: Mutex<Vec<(Vec<Act>, Arc<Context>)>>,
    /// What add-ons change.
    adaptable: Adaptable,
}

/// Text tokens whose readings are kept, the newest in any case: prompts may alternate from step to
/// step. A thousand take about 100 MB in bf16 with the network of Stable Diffusion 1.
const CONTEXT_TOKENS_LIMIT: usize = 1024;

impl StableDiffusion {
    fn places(&self, wanted: ModelPart) -> impl Iterator<Item = &Slots> {
        let is_text = wanted == ModelPart::TextEncoders;
        let parts = self.adaptable.parts().iter();
        parts
            .filter(move |part| part.is_text() == is_text)
            .map(|part| &part.slots)
    }

    /// Text tokens (1, M, C) each, as one batch, read by the UNet; kept from the last time.
    fn context(&self, tokens: &[&Act]) -> Result<Arc<Context>> {
        let is_same = |kept: &[Act]| {
            kept.len() == tokens.len() && kept.iter().zip(tokens).all(|(a, b)| a.is(b))
        };
        let lock = || self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock()
            .iter()
            .find(|(kept, _)| is_same(kept))
            .map(|(_, context)| Arc::clone(context));
        if let Some(context) = known {
            return Ok(context);
        }
        // Not under the lock: the work runs on the pool.
        let context = Arc::new(self.unet.read(&ops::stack(tokens)?)?);
        let mut contexts = lock();
        let length = |tokens: &Act| tokens.size().1;
        let mut kept_tokens: usize = tokens.iter().map(|tokens| length(tokens)).sum();
        kept_tokens += contexts
            .iter()
            .flat_map(|(kept, _)| kept)
            .map(length)
            .sum::<usize>();
        while kept_tokens > CONTEXT_TOKENS_LIMIT && !contexts.is_empty() {
            let (gone, _) = contexts.remove(0);
            kept_tokens -= gone.iter().map(length).sum::<usize>();
        }
        let key = tokens.iter().map(|&tokens| tokens.clone()).collect();
        contexts.push((key, Arc::clone(&context)));
        Ok(context)
    }

    /// The network's call, recorded where the device can. What differs from step to step, and what is made anew for
    /// each, goes in as its input; weights and `context` stay where they are.
    fn replayed(
        &self,
        replays: &Replays,
        [x, time]: [&Act; 2],
        context: &Arc<Context>,
        more: Embeddings<'_>,
        cancel: &CancelToken,
    ) -> Result<Tensor> {
        let parts = [Some(x), Some(time), more.guidance, more.added];
        let inputs: Result<Vec<Tensor>> = parts.into_iter().flatten().map(Act::to_tensor).collect();
        let reads: Arc<dyn Any> = Arc::<Context>::clone(context);
        replays.call(&reads, &inputs?, cancel, |inputs, cancel| {
            let [x, time, rest @ ..] = inputs else {
                return Err(EngineError::Compute {
                    op: "recorded call".to_owned(),
                    reason: "its inputs are missing".to_owned(),
                });
            };
            let act = |tensor: &Tensor| Act::from_tensor(tensor.clone());
            let (x, time, mut rest) = (act(x), act(time), rest.iter().map(act));
            let guidance = more.guidance.and_then(|_| rest.next());
            let added = more.added.and_then(|_| rest.next());
            let more = Embeddings {
                guidance: guidance.as_ref(),
                added: added.as_ref(),
            };
            self.unet
                .forward(&x, &time, context, more, cancel)?
                .to_tensor()
        })
    }
}

impl Model for StableDiffusion {
    fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn fetch(&self, part: ModelPart, cancel: &CancelToken) -> Result<()> {
        self.places(part).try_for_each(|slots| slots.fill(cancel))
    }

    fn has(&self, part: ModelPart) -> bool {
        self.places(part).all(Slots::are_filled)
    }

    fn keep(&self, keeps: bool) {
        for part in ModelPart::ALL {
            self.places(part).for_each(|slots| slots.keep(keeps));
            if !keeps {
                self.set_aside(part);
            }
        }
    }

    fn set_aside(&self, part: ModelPart) {
        self.places(part).for_each(Slots::empty);
        if part == ModelPart::Network {
            let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
            contexts.clear();
        }
    }

    fn encode_prompt(
        &self,
        text: &str,
        reading: Reading,
        cancel: &CancelToken,
    ) -> Result<Conditioning> {
        self.text.encode(text, reading, cancel)
    }

    fn predict(&self, input: &NetworkInput<'_>, cancel: &CancelToken) -> Result<Vec<Latents>> {
        let latents = input.latents.tensor();
        let one = match input.extra {
            Some(extra) => Tensor::cat(&[latents, extra], 1)?,
            None => latents.clone(),
        };
        let count = input.conditions.len();
        let x = Act::from_tensor(Tensor::cat(&vec![&one; count], 0)?);
        let contexts: Vec<&Act> = input
            .conditions
            .iter()
            .map(|condition| &condition.tokens)
            .collect();
        let context = self.context(&contexts)?;
        let guidance = match (self.facts.guidance_channels, input.guidance) {
            (Some(channels), Some(scale)) => {
                let row = embed_guidance(scale, channels).repeat(count);
                Some(Act::from_values(row, &[count, 1, channels], &x.device())?)
            }
            _ => None,
        };
        let added = match &self.additions {
            Some(additions) => additions.of(&self.unet, input)?,
            None => None,
        };
        let more = Embeddings {
            guidance: guidance.as_ref(),
            added: added.as_ref(),
        };
        let time = self.unet.time(input.timestep, count, &x.device())?;
        let y = match (input.replays, input.deep) {
            (Some(replays), None) => self.replayed(replays, [&x, &time], &context, more, cancel)?,
            (_, reuse) => {
                let mut deep = reuse.map(|reuse| recalled(reuse, &contexts)).transpose()?;
                let unet = &self.unet;
                let y = unet.forward_deep(&x, &time, &context, more, deep.as_mut(), cancel)?;
                if let (Some(reuse), Some(map)) = (reuse, deep.and_then(|deep| deep.features)) {
                    reuse.features.keep(&contexts, ops::unstack(&map)?);
                }
                y.to_tensor()?
            }
        };
        (0..count)
            .map(|index| Ok(Latents::new(y.narrow(0, index, 1)?.contiguous()?)))
            .collect()
    }

    fn deep_branches(&self) -> usize {
        self.unet.skips()
    }

    fn autoencoder(&self) -> &dyn Autoencoder {
        self.autoencoder.as_ref()
    }

    fn text_encoders(&self) -> Vec<(&'static str, usize)> {
        self.text.widths()
    }

    fn teach(&mut self, words: &[Word]) -> Result<Vec<String>> {
        learned::teach(&mut self.text.readers(), words)
    }

    fn words_in(&self, text: &str) -> Result<Vec<String>> {
        learned::words_in(self.text.first_tokenizer(), text)
    }

    fn adapt_by(
        &mut self,
        add_ons: &[Adapter],
        misfits: Misfits,
        cancel: &CancelToken,
    ) -> Result<Adapted> {
        let adapted = self.adaptable.bring_to(add_ons, misfits, cancel);
        if !matches!(&adapted, Ok(adapted) if !adapted.has_changed()) {
            // What the network has read of the prompts would outlive its weights.
            let contexts = self.contexts.get_mut();
            contexts.unwrap_or_else(PoisonError::into_inner).clear();
            if let Some(additions) = &mut self.additions {
                additions.clear();
            }
        }
        adapted
    }

    fn adaptable(&self) -> &Adaptable {
        &self.adaptable
    }
}

/// The features that an earlier call kept for these texts, as one batch; a place for them where
/// there are none.
fn recalled(reuse: DeepReuse<'_>, texts: &[&Act]) -> Result<Deep> {
    let known = reuse.features.recall(texts);
    let maps = known.map(|maps| ops::stack(&maps.iter().collect::<Vec<_>>()));
    Ok(Deep {
        branch: reuse.branch,
        features: maps.transpose()?,
    })
}

/// Sinusoidal embedding of `scale - 1` times 1000 (Meng et al. 2023; Luo et al. 2023).
fn embed_guidance(scale: f64, channels: usize) -> Vec<f32> {
    let half = channels / 2;
    let rate = 10000_f64.ln() as f32 / (half.max(2) - 1) as f32;
    let w = (scale as f32 - 1.0) * 1000.0;
    let angles: Vec<f32> = (0..half)
        .map(|index| w * (index as f32 * -rate).exp())
        .collect();
    let mut row: Vec<f32> = angles
        .iter()
        .map(|a| a.sin())
        .chain(angles.iter().map(|a| a.cos()))
        .collect();
    row.resize(channels, 0.0);
    row
}
