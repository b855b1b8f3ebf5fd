//! A model's text encoders with their tokenizers. Stable Diffusion 1 and 2 have one and read its last
//! states; XL has two and reads what both give before their last layer, side by side, and the
//! second's vector for the whole text; XL's refiner has that second one alone.

use candle_core::Tensor;
use serde_json::Value;

use super::learned;
use super::text::{TextConfig, TextEncoder};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::config::Config;
use crate::families::model::Conditioning;
use crate::nn::{Act, Compute};
use crate::prompt::encode::{Encoded, encode};
use crate::prompt::tokenizer::Tokenizer;
use crate::prompt::{Reading, Role};
use crate::weights::Weights;
use crate::weights::files::ModelFiles;

/// Layers that XL leaves out of what it reads of each token, whatever the clip skip, as in A1111.
const LEFT_OUT: usize = 1;

/// Where an encoder lies in the model's folder.
#[derive(Clone, Copy, Debug)]
struct Place {
    encoder: &'static str,
    tokenizer: &'static str,
}

const FIRST: Place = Place {
    encoder: "text_encoder",
    tokenizer: "tokenizer",
};
const SECOND: Place = Place {
    encoder: "text_encoder_2",
    tokenizer: "tokenizer_2",
};

/// Sizes of all text encoders of a model, of which there is at least one.
#[derive(Clone, Debug)]
pub(super) struct EncodersConfig {
    encoders: Vec<(Place, TextConfig)>,
    inner: bool,
    zeros_without_negative: bool,
}

impl EncodersConfig {
    /// Reads each encoder's `config.json`. `inner`: read as XL does.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub(super) fn read(files: &ModelFiles, inner: bool) -> Result<Self> {
        let places: &[Place] = match (inner, inner && has_first(files)?) {
            (false, _) => &[FIRST],
            (true, true) => &[FIRST, SECOND],
            (true, false) => &[SECOND],
        };
        let encoders = places
            .iter()
            .map(|&place| Ok((place, TextConfig::read(files, place.encoder)?)));
        let mut index = Config::read(files, "model_index.json")?;
        Ok(Self {
            encoders: encoders.collect::<Result<_>>()?,
            inner,
            zeros_without_negative: inner && index.flag("force_zeros_for_empty_prompt", true)?,
        })
    }

    /// Tokens that all of them read, marks included.
    pub(super) fn context(&self) -> usize {
        let contexts = self.encoders.iter().map(|(_, config)| config.context);
        contexts.min().unwrap_or(0)
    }

    /// Channels of a token, of all encoders together.
    pub(super) fn channels(&self) -> usize {
        self.encoders
            .iter()
            .map(|(_, config)| config.channels)
            .sum()
    }

    /// Channels of the whole text's vector.
    pub(super) fn pooled_channels(&self) -> usize {
        let last = self.encoders.last().filter(|_| self.inner);
        last.map_or(0, |(_, config)| config.projection)
    }

    /// The tokenizer that counts what a prompt is long.
    ///
    /// # Errors
    /// As [`Tokenizer::read`].
    pub(super) fn tokenizer(&self, files: &ModelFiles) -> Result<Tokenizer> {
        self.tokenizer_of(files, self.encoders[0].0)
    }

    fn tokenizer_of(&self, files: &ModelFiles, place: Place) -> Result<Tokenizer> {
        Tokenizer::read(files, place.tokenizer, self.context())
    }

    /// Opens every file that [`Self::load`] will read, and says how many bytes the weights have.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub(super) fn check(&self, files: &ModelFiles, cancel: &CancelToken) -> Result<u64> {
        let mut bytes = 0;
        for (place, config) in &self.encoders {
            bytes += Weights::open(files, place.encoder, cancel)?.bytes();
            self.tokenizer_of(files, *place)?
                .check_rows(config.vocabulary)?;
        }
        Ok(bytes)
    }

    /// Loads all of them; `loaded` hears of each part's folder and weights.
    ///
    /// # Errors
    /// As [`crate::weights::Scope::tensor`] and [`Tokenizer::read`].
    pub(super) fn load(
        self,
        files: &ModelFiles,
        compute: &Compute,
        cancel: &CancelToken,
        loaded: &mut dyn FnMut(&str, &Weights),
    ) -> Result<Encoders> {
        let last = self.encoders.len() - 1;
        let mut readers = Vec::with_capacity(self.encoders.len());
        for (index, (place, config)) in self.encoders.iter().enumerate() {
            let tokenizer = self.tokenizer_of(files, *place)?;
            tokenizer.check_rows(config.vocabulary)?;
            let weights = Weights::open(files, place.encoder, cancel)?;
            let root = weights.root(compute);
            let encoder = if self.inner && index == last {
                TextEncoder::load_projected(config.clone(), &root)?
            } else {
                TextEncoder::load(config.clone(), &root)?
            };
            loaded(place.encoder, &weights);
            readers.push(Reader {
                folder: place.encoder,
                tokenizer,
                encoder,
            });
        }
        Ok(Encoders {
            readers,
            inner: self.inner,
            zeros_without_negative: self.zeros_without_negative,
        })
    }
}

/// Whether the model has the first encoder: its index may say there is none.
fn has_first(files: &ModelFiles) -> Result<bool> {
    let index = files.config("model_index.json")?;
    let none = match index.get(FIRST.encoder) {
        Some(Value::Array(items)) => items.iter().all(Value::is_null),
        Some(value) => value.is_null(),
        None => false,
    };
    Ok(!none && files.exists(&format!("{}/config.json", FIRST.encoder)))
}

struct Reader {
    /// The encoder's folder.
    folder: &'static str,
    tokenizer: Tokenizer,
    encoder: TextEncoder,
}

impl Reader {
    /// Inner states, and the first chunk's vector, as A1111, ComfyUI and diffusers have it.
    fn encode_inner(
        &self,
        text: &str,
        reading: Reading,
        cancel: &CancelToken,
    ) -> Result<(Encoded, Option<Act>)> {
        let end_mark = self.tokenizer.end_mark();
        let mut pooled = None;
        let encoded = encode(&self.tokenizer, text, reading, &mut |ids| {
            let end = ids.iter().position(|id| *id == end_mark).unwrap_or(0);
            let inner = self.encoder.encode_inner(ids, LEFT_OUT, end, cancel)?;
            pooled = pooled.take().or(inner.pooled);
            Ok(inner.hidden)
        })?;
        Ok((encoded, pooled))
    }
}

/// The loaded encoders.
pub(super) struct Encoders {
    readers: Vec<Reader>,
    inner: bool,
    zeros_without_negative: bool,
}

impl Encoders {
    /// Folder, tokenizer and network of each, to take words in.
    pub(super) fn readers(&mut self) -> Vec<learned::Reader<'_>> {
        let readers = self.readers.iter_mut();
        readers
            .map(|reader| (reader.folder, &mut reader.tokenizer, &mut reader.encoder))
            .collect()
    }

    /// Their folders and widths.
    pub(super) fn widths(&self) -> Vec<(&'static str, usize)> {
        let readers = self.readers.iter();
        readers
            .map(|reader| (reader.folder, reader.encoder.config().channels))
            .collect()
    }

    /// The tokenizer that counts what a prompt is long.
    pub(super) fn first_tokenizer(&self) -> &Tokenizer {
        &self.readers[0].tokenizer
    }

    /// As [`crate::families::model::Model::encode_prompt`].
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub(super) fn encode(
        &self,
        text: &str,
        reading: Reading,
        cancel: &CancelToken,
    ) -> Result<Conditioning> {
        let mut tokens = Vec::with_capacity(self.readers.len());
        let mut pooled = None;
        let mut count = (0, 0);
        for reader in &self.readers {
            let encoded = if self.inner {
                let (encoded, vector) = reader.encode_inner(text, reading, cancel)?;
                pooled = vector;
                encoded
            } else {
                let left_out = reader.encoder.layers_left_out(reading.clip_skip)?;
                encode(&reader.tokenizer, text, reading, &mut |ids| {
                    reader.encoder.encode(ids, left_out, cancel)
                })?
            };
            if tokens.is_empty() {
                count = (encoded.used, encoded.room);
            }
            tokens.push(encoded.tokens);
        }
        let conditioning = Conditioning {
            tokens: side_by_side(&tokens)?,
            pooled,
            role: reading.role,
            count,
        };
        if self.zeros_without_negative && reading.role == Role::NoNegative {
            return blank(conditioning);
        }
        Ok(conditioning)
    }
}

/// What stands for no negative prompt where the model was trained so.
fn blank(conditioning: Conditioning) -> Result<Conditioning> {
    let zeros = |act: &Act| -> Result<Act> { Ok(Act::from_tensor(act.to_tensor()?.zeros_like()?)) };
    Ok(Conditioning {
        tokens: zeros(&conditioning.tokens)?,
        pooled: conditioning.pooled.as_ref().map(zeros).transpose()?,
        ..conditioning
    })
}

/// Tokens (1, N, C) each as (1, N, sum of C). Vocabularies of one model give one N; where a file
/// brings two, the shorter one ends in zeros.
fn side_by_side(all: &[Act]) -> Result<Act> {
    if let [one] = all {
        return Ok(one.clone());
    }
    let longest = all.iter().map(|tokens| tokens.size().1).max().unwrap_or(0);
    let padded = all.iter().map(|tokens| -> Result<Tensor> {
        let missing = longest - tokens.size().1;
        Ok(tokens.to_tensor()?.pad_with_zeros(1, 0, missing)?)
    });
    let tensors = padded.collect::<Result<Vec<_>>>()?;
    Ok(Act::from_tensor(Tensor::cat(&tensors, 2)?))
}
