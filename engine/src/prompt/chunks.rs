//! Chunks: a prompt of any length as several contexts of the text encoder, cut where it hurts least.

use super::attention::Piece;
use super::tokenizer::Tokenizer;
use super::{PromptSyntax, attention};
use crate::error::Result;

/// A comma this far back (as a share of the context) pulls the cut back to it: A1111's 20 of 75.
const BACK_OFF: (usize, usize) = (20, 75);

/// One context of the text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Start mark, text, end mark, padding: exactly the context's length.
    pub ids: Vec<u32>,
    /// The weight of each id, 1 for marks and padding.
    pub weights: Vec<f32>,
    /// Tokens of text in it.
    pub used: usize,
}

impl Chunk {
    /// Whether any token has a weight of its own.
    pub fn is_weighted(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 1.0)
    }
}

/// A text as chunks; at least one. The number beside them counts the tokens of the text.
///
/// # Errors
/// `Compute` when the tokenizer library fails.
pub fn read(
    tokenizer: &Tokenizer,
    text: &str,
    syntax: PromptSyntax,
) -> Result<(Vec<Chunk>, usize)> {
    if syntax == PromptSyntax::Plain {
        let tokens = tokenizer.encode(text)?;
        let chunk = Chunk {
            weights: vec![1.0; tokens.ids.len()],
            used: tokens.used.min(tokenizer.room()),
            ids: tokens.ids,
        };
        return Ok((vec![chunk], tokens.used));
    }
    let mut filler = Filler::new(tokenizer.room(), tokenizer.comma());
    for piece in attention::pieces(text) {
        match piece {
            Piece::Break => filler.end_chunk(),
            Piece::Text { text, weight } => {
                let ids = tokenizer.words(&text)?;
                let mut left = ids.as_slice();
                while let [id, rest @ ..] = left {
                    match tokenizer.learned().at(left) {
                        Some(word) => {
                            filler.push_word(*id, word.ids(), weight as f32);
                            left = &left[word.spelled()..];
                        }
                        None => {
                            filler.push(*id, weight as f32);
                            left = rest;
                        }
                    }
                }
            }
        }
    }
    let rows = filler.finish();
    let used = rows.iter().map(Vec::len).sum();
    let chunks = rows.into_iter().map(|row| framed(tokenizer, &row));
    Ok((chunks.collect(), used))
}

/// A chunk that says nothing.
pub fn empty(tokenizer: &Tokenizer) -> Chunk {
    framed(tokenizer, &[])
}

fn framed(tokenizer: &Tokenizer, row: &[(u32, f32)]) -> Chunk {
    let ids = tokenizer.framed(row.iter().map(|(id, _)| *id));
    let mut weights = vec![1.0];
    weights.extend(row.iter().map(|(_, weight)| *weight));
    weights.resize(ids.len(), 1.0);
    Chunk {
        ids,
        weights,
        used: row.len(),
    }
}

/// Tokens with weights, chunk by chunk.
struct Filler {
    room: usize,
    comma: Option<u32>,
    full: Vec<Vec<(u32, f32)>>,
    open: Vec<(u32, f32)>,
    last_comma: Option<usize>,
}

impl Filler {
    fn new(room: usize, comma: Option<u32>) -> Self {
        Self {
            room,
            comma,
            full: Vec::new(),
            open: Vec::new(),
            last_comma: None,
        }
    }

    fn push(&mut self, id: u32, weight: f32) {
        self.make_room(id);
        self.open.push((id, weight));
    }

    /// A learned word, whose name begins with token `id`: its tokens stay in one chunk.
    fn push_word(&mut self, id: u32, tokens: std::ops::Range<u32>, weight: f32) {
        self.make_room(id);
        if self.open.len() + tokens.len() > self.room {
            self.end_chunk();
        }
        let fitting = tokens.take(self.room);
        self.open.extend(fitting.map(|token| (token, weight)));
    }

    /// What comes before the token `id`: a chunk ends where it is full, or at a comma not far back.
    fn make_room(&mut self, id: u32) {
        let is_full = self.open.len() == self.room;
        let (share, of) = BACK_OFF;
        if Some(id) == self.comma {
            self.last_comma = Some(self.open.len());
        } else if is_full
            && let Some(comma) = self.last_comma
            && self.room - comma <= self.room * share / of
        {
            let moved = self.open.split_off((comma + 1).min(self.open.len()));
            self.end_chunk();
            self.open = moved;
        }
        if self.open.len() == self.room {
            self.end_chunk();
        }
    }

    fn end_chunk(&mut self) {
        self.full.push(std::mem::take(&mut self.open));
        self.last_comma = None;
    }

    fn finish(mut self) -> Vec<Vec<(u32, f32)>> {
        if !self.open.is_empty() || self.full.is_empty() {
            self.end_chunk();
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: u32 = 0;

    fn rows(ids: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut filler = Filler::new(75, Some(COMMA));
        ids.into_iter().for_each(|id| filler.push(id, 1.0));
        filler.finish().iter().map(Vec::len).collect()
    }

    #[test]
    fn a_near_comma_pulls_the_cut_back() {
        assert_eq!(rows([]), [0]);
        assert_eq!(rows(1..=75), [75]);
        assert_eq!(rows(1..=76), [75, 1]);
        let with_comma = |at: usize| {
            (1..=80_u32)
                .enumerate()
                .map(move |(index, id)| if index == at { COMMA } else { id })
        };
        assert_eq!(rows(with_comma(60)), [61, 19]);
        assert_eq!(rows(with_comma(55)), [56, 24]);
        assert_eq!(rows(with_comma(54)), [75, 5], "too far back");
        assert_eq!(rows(with_comma(74)), [75, 5]);
        assert_eq!(rows(with_comma(75)), [75, 5], "the comma opens the next");
    }

    #[test]
    fn a_learned_word_stays_whole() {
        let rows = |before: u32, vectors: u32| -> Vec<usize> {
            let mut filler = Filler::new(75, Some(COMMA));
            (1..=before).for_each(|id| filler.push(id, 1.0));
            filler.push_word(7, 1000..1000 + vectors, 1.5);
            filler.push(9, 1.0);
            filler.finish().iter().map(Vec::len).collect()
        };
        assert_eq!(rows(10, 4), [15]);
        assert_eq!(rows(72, 4), [72, 5]);
        assert_eq!(rows(71, 4), [75, 1]);
        assert_eq!(rows(75, 4), [75, 5]);
        assert_eq!(rows(0, 80), [0, 75, 1], "what no chunk holds is cut");
    }
}
