//! From a text to conditioning tokens, for any family whose text encoder reads fixed contexts.

use candle_core::Tensor;

use super::chunks::{self, Chunk};
use super::tokenizer::Tokenizer;
use super::{Reading, weighting};
use crate::error::Result;
use crate::nn::Act;

/// An encoded text.
pub struct Encoded {
    /// Tokens of all chunks in a row, (1, chunks * context, C).
    pub tokens: Act,
    /// Tokens of the text without marks.
    pub used: usize,
    /// Tokens of text that its chunks hold in all.
    pub room: usize,
}

/// Encodes a text chunk by chunk; `encoder` gives the hidden states (1, context, C) of one context.
/// A single chunk without weights comes back untouched.
///
/// # Errors
/// Those of `encoder`, or `Compute` when the tokenizer library or the device fails.
pub fn encode(
    tokenizer: &Tokenizer,
    text: &str,
    reading: Reading,
    encoder: &mut dyn FnMut(&[u32]) -> Result<Act>,
) -> Result<Encoded> {
    let (chunks, used) = chunks::read(tokenizer, text, reading.syntax)?;
    let room = chunks.len() * tokenizer.room();
    let mut encoded = Vec::with_capacity(chunks.len());
    let mut empty: Option<Vec<f32>> = None;
    for chunk in &chunks {
        let hidden = encoder(&chunk.ids)?;
        if !chunk.is_weighted() {
            encoded.push(hidden);
            continue;
        }
        let empty = match &mut empty {
            Some(empty) => empty,
            none if reading.weighting == super::Weighting::ComfyUi => {
                none.insert(values(&encoder(&chunks::empty(tokenizer).ids)?)?)
            }
            none => none.insert(Vec::new()),
        };
        encoded.push(weighted(&hidden, chunk, reading, empty)?);
    }
    let tokens = match encoded.as_slice() {
        [one] => one.clone(),
        many => joined(many)?,
    };
    Ok(Encoded { tokens, used, room })
}

fn weighted(hidden: &Act, chunk: &Chunk, reading: Reading, empty: &[f32]) -> Result<Act> {
    let tensor = hidden.to_tensor()?;
    let mut values = tensor.flatten_all()?.to_vec1()?;
    weighting::apply(reading.weighting, &mut values, &chunk.weights, empty);
    Act::from_values(values, tensor.dims(), tensor.device())
}

fn values(act: &Act) -> Result<Vec<f32>> {
    Ok(act.to_tensor()?.flatten_all()?.to_vec1()?)
}

fn joined(chunks: &[Act]) -> Result<Act> {
    let tensors: Result<Vec<Tensor>> = chunks.iter().map(Act::to_tensor).collect();
    Ok(Act::from_tensor(Tensor::cat(&tensors?, 1)?))
}
