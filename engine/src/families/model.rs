//! What every family gives: a loaded model behind one trait, and facts that can be read from its
//! headers alone.

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::replay::Replays;
use super::reuse::DeepReuse;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::latent::{LatentSpace, Latents};
use crate::nn::Act;
use crate::prompt::{Reading, Role};
use crate::schedules::NoiseTable;
use crate::weights::embedding::EmbeddingFile;
use crate::weights::lora::adapt::Adaptable;
use crate::weights::lora::{Adapted, Adapter, Misfits};

/// What a model is, from its configuration files and headers.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// Which of its family's models it is, for people; may be empty.
    pub variant: String,
    /// Native picture size, width and height in pixels.
    pub native_px: [u32; 2],
    /// Picture pixels per latent pixel: sizes are padded to a multiple of it.
    pub factor: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// What other autoencoders may stand in for its own.
    pub latents: LatentFacts,
    /// Whether the network takes mask and masked picture beside the latents.
    pub inpainting: bool,
    /// Whether the network takes a picture to change beside the latents (InstructPix2Pix).
    pub edits: bool,
    /// Channels of the guidance embedding of distilled models, if any: they take the scale as an
    /// input, so that one network call does.
    pub guidance_channels: Option<usize>,
    /// Tokens of text it reads, start and end marks included.
    pub context: usize,
    /// Noise levels, prediction type, sampling rules.
    pub noise: NoiseTable,
    /// Bytes of its parts.
    pub stored: StoredBytes,
    /// Which models it can lend parts to.
    pub fit: Fit,
}

/// What tells whether one model's text encoders and autoencoder serve another: those of equal fit do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Generation of the family: `1.x`, `2.x`, `XL`.
    pub version: &'static str,
    /// Channels of a text token, of all text encoders together.
    pub text_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
}

/// What parts of a model take in its files, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredBytes {
    /// All text encoders.
    pub text: u64,
    /// The denoising network.
    pub network: u64,
}

/// What tells whether another autoencoder may stand in for a model's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentFacts {
    /// Channels of the latents.
    pub channels: usize,
    /// Their space, where it is one that tiny decoders were published for.
    pub space: Option<LatentSpace>,
    /// Whether the model's own autoencoder is a tiny one.
    pub tiny: bool,
}

/// An autoencoder in a file of its own, for a model whose latents are such.
#[derive(Clone, Copy, Debug)]
pub struct StandIn<'a> {
    /// The file.
    pub path: &'a Path,
    /// Whether it is the decoder of a tiny autoencoder; else encoder and decoder of a full one.
    pub tiny: bool,
    /// Channels of the model's latents.
    pub latent_channels: usize,
    /// Picture pixels per latent pixel.
    pub factor: usize,
    /// Of the model's own autoencoder: the network's latents times this have unit variance.
    pub scaling_factor: f64,
}

/// A learned word.
#[derive(Clone, Debug)]
pub struct Word {
    /// What prompts call it.
    pub name: String,
    /// Where its vectors lie.
    pub file: Arc<EmbeddingFile>,
}

/// An encoded text.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Text tokens (1, N, C); N is a multiple of the context.
    pub tokens: Act,
    /// The whole text as one vector (1, 1, C), for models that take one.
    pub pooled: Option<Act>,
    /// What the text is for.
    pub role: Role,
    /// Tokens of the text without marks, and how many the model reads.
    pub count: (usize, usize),
}

/// What of a model's weights comes into memory and leaves it as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPart {
    /// What reads the prompts.
    TextEncoders,
    /// What predicts.
    Network,
}

impl ModelPart {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TextEncoders, Self::Network];
}

/// A model whose files were opened and checked. Its weights are read when they are first needed, or by
/// [`Model::fetch`].
pub trait Model: Send + Sync {
    /// What it is.
    fn facts(&self) -> &ModelFacts;
    /// Things the user should know: unused tensors…
    fn warnings(&self) -> &[String];
    /// Reads those weights of a part that are not in memory.
    ///
    /// # Errors
    /// `Cancelled`, `BadFile` or `Io` when they cannot be read, `Compute` when the device fails.
    fn fetch(&self, part: ModelPart, cancel: &CancelToken) -> Result<()>;
    /// Reads all weights that are not in memory, but those of the autoencoder.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn fetch_all(&self, cancel: &CancelToken) -> Result<()> {
        let mut parts = ModelPart::ALL.into_iter();
        parts.try_for_each(|part| self.fetch(part, cancel))
    }
    /// Gives the memory of a part's weights back, until they are needed again.
    fn set_aside(&self, part: ModelPart);
    /// Whether weights that are read stay in memory for their next use, as they do at first. Where they
    /// do not, those that are there go, and each is read from the file for every use of its layer.
    fn keep(&self, keeps: bool);
    /// Whether all weights of a part are in memory.
    fn has(&self, part: ModelPart) -> bool;
    /// Encodes a text that holds for a whole step: [`crate::prompt::timeline`] comes before. What
    /// lies beyond the model's context continues in further chunks, or is cut, as `reading` says.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    fn encode_prompt(
        &self,
        text: &str,
        reading: Reading,
        cancel: &CancelToken,
    ) -> Result<Conditioning>;
    /// Raw predictions (1, C, h, w), one for each conditioning, in one network call. `extra`:
    /// further input channels (1, E, h, w) of inpainting models. `guidance`: the scale, for models
    /// distilled to take it.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    fn predict(&self, input: &NetworkInput<'_>, cancel: &CancelToken) -> Result<Vec<Latents>>;
    /// Skip connections that [`DeepReuse::branch`] may name; 0 where the network has no deep features
    /// to keep.
    fn deep_branches(&self) -> usize {
        0
    }
    /// Its text encoders: their folders and the widths of their token vectors.
    fn text_encoders(&self) -> Vec<(&'static str, usize)>;
    /// Takes words into the vocabulary, in the place of all learned before; those that are not here any
    /// more are text again. Returns the names of those that were made for other text encoders. What was
    /// encoded before is of no use after it.
    ///
    /// # Errors
    /// `BadFile` or `Io` when a word's file cannot be read.
    fn teach(&mut self, words: &[Word]) -> Result<Vec<String>>;
    /// Names of the learned words that a text holds, each once.
    ///
    /// # Errors
    /// `Compute` when the tokenizer library fails.
    fn words_in(&self, text: &str) -> Result<Vec<String>>;
    /// Pictures to latents and back.
    fn autoencoder(&self) -> &dyn Autoencoder;
    /// Brings the networks to exactly these add-ons, and away from all others. What was encoded
    /// before a change is of no use after it.
    ///
    /// # Errors
    /// As [`Adaptable::bring_to`].
    fn adapt(&mut self, add_ons: &[Adapter], cancel: &CancelToken) -> Result<Adapted> {
        self.adapt_by(add_ons, Misfits::Refused, cancel)
    }
    /// As [`Self::adapt`], with a choice of what becomes of what does not fit.
    ///
    /// # Errors
    /// As [`Adaptable::bring_to`].
    fn adapt_by(
        &mut self,
        add_ons: &[Adapter],
        misfits: Misfits,
        cancel: &CancelToken,
    ) -> Result<Adapted>;
    /// The places of its tensors, for those who want to see what add-ons make of them.
    fn adaptable(&self) -> &Adaptable;
}

/// One network call.
pub struct NetworkInput<'a> {
    /// Latents (1, C, h, w).
    pub latents: &'a Latents,
    /// Mask (1 channel, 1 = repaint) and masked picture's latents, (1, 1 + C, h, w); or the latents of
    /// the picture to change, without scaling factor, (1, C, h, w).
    pub extra: Option<&'a Tensor>,
    /// The network's time input.
    pub timestep: f64,
    /// Width and height of the picture in pixels, for models that are told.
    pub size_px: [u32; 2],
    /// The prompts, of equal length, one prediction each.
    pub conditions: &'a [&'a Conditioning],
    /// Guidance scale for models that take it as an input.
    pub guidance: Option<f64>,
    /// Deep features to keep, or to take from an earlier call; `None`: all is computed.
    pub deep: Option<DeepReuse<'a>>,
    /// Calls of this run that the device recorded; `None`: each is asked for anew.
    pub replays: Option<&'a Replays>,
}

/// What an encoder says of a picture: a normal distribution, or a point.
pub struct Moments {
    /// (1, C, H/f, W/f), before the scaling factor.
    pub mean: Tensor,
    /// Standard deviation of the same shape; `None` where the encoder gives the latents themselves.
    pub std: Option<Tensor>,
}

/// An autoencoder between pictures (B, 3, H, W), -1 to 1, and latents.
pub trait Autoencoder: Send + Sync {
    /// Channels of the latents.
    fn latent_channels(&self) -> usize;
    /// Picture pixels per latent pixel, a power of two.
    fn factor(&self) -> usize;
    /// The network's latents times this have unit variance.
    fn scaling_factor(&self) -> f64;
    /// Whether decoding is cheap enough for previews.
    fn is_tiny(&self) -> bool;
    /// Whether encoding draws no random numbers ([`Moments::std`] is `None`).
    fn is_deterministic(&self) -> bool;
    /// Encodes a picture whose sides are multiples of [`Self::factor`].
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    fn encode(&self, picture: &Act, cancel: &CancelToken) -> Result<Moments>;
    /// Decodes latents (already divided by the scaling factor).
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    fn decode(&self, latents: &Act, cancel: &CancelToken) -> Result<Act>;
}
