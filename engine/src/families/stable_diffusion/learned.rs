//! Embeddings in a model's vocabulary: the words into the tokenizers, their vectors into the text encoders.

use std::collections::BTreeMap;

use super::text::TextEncoder;
use crate::error::Result;
use crate::families::model::Word;
use crate::nn::FIRST_LEARNED;
use crate::prompt::tokenizer::Tokenizer;
use crate::prompt::{PromptSyntax, chunks};
use crate::weights::embedding::Vectors;

/// A text encoder: its folder, its tokenizer, itself.
pub(super) type Reader<'a> = (&'a str, &'a mut Tokenizer, &'a mut TextEncoder);

/// Takes words into the vocabulary of all text encoders of a model, in the place of those before. Returns
/// the names of those that were made for other encoders.
///
/// # Errors
/// `BadFile` or `Io` when a word's file cannot be read.
pub(super) fn teach(readers: &mut [Reader<'_>], words: &[Word]) -> Result<Vec<String>> {
    let mut misfits = Vec::new();
    let mut fitting: Vec<(&str, BTreeMap<String, Vectors>)> = Vec::new();
    let encoders: Vec<(&str, usize)> = readers
        .iter()
        .map(|(folder, _, encoder)| (*folder, encoder.config().channels))
        .collect();
    for word in words {
        match word.file.read_for(&encoders)? {
            Some(vectors) => fitting.push((word.name.as_str(), vectors)),
            None => misfits.push(word.name.clone()),
        }
    }
    for (folder, tokenizer, encoder) in readers {
        let of = |vectors: &'_ BTreeMap<String, Vectors>| vectors.get(*folder).map(|v| v.count);
        let names = fitting
            .iter()
            .filter_map(|(name, vectors)| Some((*name, of(vectors)?)));
        tokenizer.learn(names)?;
        let channels = encoder.config().channels;
        let mut rows = Vec::new();
        for (name, vectors) in &fitting {
            let (Some(word), Some(vectors)) =
                (tokenizer.learned().named(name), vectors.get(*folder))
            else {
                continue;
            };
            let from = (word.ids().start - FIRST_LEARNED) as usize * channels;
            rows.resize(rows.len().max(from + vectors.values.len()), 0.0);
            rows[from..from + vectors.values.len()].copy_from_slice(&vectors.values);
        }
        encoder.learn(rows);
    }
    Ok(misfits)
}

/// Names of the learned words that a text holds, each once.
///
/// # Errors
/// `Compute` when the tokenizer library fails.
pub(super) fn words_in(tokenizer: &Tokenizer, text: &str) -> Result<Vec<String>> {
    let (chunks, _) = chunks::read(tokenizer, text, PromptSyntax::A1111)?;
    let mut names: Vec<String> = Vec::new();
    for id in chunks.iter().flat_map(|chunk| &chunk.ids) {
        if let Some(word) = tokenizer.learned().of(*id)
            && !names.contains(&word.name)
        {
            names.push(word.name.clone());
        }
    }
    Ok(names)
}
