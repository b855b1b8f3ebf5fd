//! A prompt as it will be read, as plain data for the interface: parts, steps, chunks, weights.

use serde::{Deserialize, Serialize};

use super::chunks;
use super::dynamic::{Wildcards, choose, is_dynamic};
use super::schedule::Schedule;
use super::timeline::parts;
use super::tokenizer::Tokenizer;
use super::{PromptSyntax, comments};
use crate::error::Result;
use crate::event::TokenCount;

/// Stretches of steps shown of one part: alternation may have one a step.
const MOST_SPANS: usize = 12;

/// What to read, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptQuery {
    /// Model id.
    pub model: String,
    /// Prompt and negative prompt.
    pub texts: [String; 2],
    /// The grammar.
    pub syntax: PromptSyntax,
    /// Steps of the run.
    pub steps: u32,
    /// The seed that makes the choices of dynamic prompts; `None`: they are made already.
    pub seed: Option<u64>,
}

/// How a prompt is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Tokens of its longest text, and how many its chunks hold.
    pub count: TokenCount,
    /// The text after the seed's choices, where there were any.
    pub chosen: Option<String>,
    /// Its parts: one unless `AND` is used.
    pub parts: Vec<PartView>,
}

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartView {
    /// How strongly it counts.
    pub weight: f64,
    /// Its texts in order of steps, at most twelve.
    pub spans: Vec<SpanView>,
    /// Further stretches of steps that are not listed.
    pub more_spans: u32,
}

/// A text and the steps it counts at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanView {
    /// First and last step, from 1.
    pub steps: [u32; 2],
    /// What the text encoder reads, chunk by chunk.
    pub chunks: Vec<ChunkView>,
}

/// One context of the text encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkView {
    /// Tokens in it.
    pub used: u32,
    /// Words as the model reads them (lower case), with their weights.
    pub words: Vec<(String, f32)>,
}

impl Inspection {
    /// Whether there is more to show than a length: weights, several chunks, texts or parts.
    pub fn is_interesting(&self) -> bool {
        // A plain chunk is one run of words; a learned word is one of its own.
        let plain = |chunk: &ChunkView| {
            chunk.words.len() < 2 && chunk.words.iter().all(|(_, weight)| *weight == 1.0)
        };
        let [part] = self.parts.as_slice() else {
            return true;
        };
        let [span] = part.spans.as_slice() else {
            return true;
        };
        self.chosen.is_some() || span.chunks.len() > 1 || !span.chunks.iter().all(plain)
    }
}

/// Reads both prompts of a query.
///
/// # Errors
/// `Compute` when the tokenizer library fails.
pub fn inspect(
    tokenizer: &Tokenizer,
    query: &PromptQuery,
    wildcards: &dyn Wildcards,
) -> Result<[Inspection; 2]> {
    let steps = query.steps as usize;
    let [prompt, negative] = &query.texts;
    let (prompt, chosen) = settled(prompt, query, wildcards);
    let mut first = read(tokenizer, parts(&prompt, query.syntax, steps), query)?;
    first.chosen = chosen.then_some(prompt);
    let (negative, chosen) = settled(negative, query, wildcards);
    // In a negative prompt AND is a word.
    let schedule = match query.syntax {
        PromptSyntax::Plain => Schedule::constant(negative.clone(), steps),
        PromptSyntax::A1111 => Schedule::read(&comments::strip(&negative), steps),
    };
    let mut second = read(tokenizer, vec![(1.0, schedule)], query)?;
    second.chosen = chosen.then_some(negative);
    Ok([first, second])
}

/// The text after its choices, and whether there were any.
fn settled(text: &str, query: &PromptQuery, wildcards: &dyn Wildcards) -> (String, bool) {
    let seed = query.seed.filter(|_| query.syntax != PromptSyntax::Plain);
    match seed {
        Some(seed) if is_dynamic(text) => {
            let chosen = choose(text, seed, wildcards).text;
            let differs = chosen != text;
            (chosen, differs)
        }
        _ => (text.to_owned(), false),
    }
}

fn read(
    tokenizer: &Tokenizer,
    parts: Vec<(f64, Schedule)>,
    query: &PromptQuery,
) -> Result<Inspection> {
    let mut inspection = Inspection::default();
    for (weight, schedule) in parts {
        let mut view = PartView {
            weight,
            spans: Vec::new(),
            more_spans: 0,
        };
        let mut first = 1;
        for (end, index) in &schedule.spans {
            // Ends are counted from 0, and the last may lie behind the last step.
            let last = (*end as u32 + 1).min(query.steps);
            if last < first {
                continue;
            }
            if view.spans.len() == MOST_SPANS {
                view.more_spans += 1;
                continue;
            }
            let (chunks, used) = chunks::read(tokenizer, &schedule.texts[*index], query.syntax)?;
            let limit = (chunks.len() * tokenizer.room()) as u32;
            if inspection.count.limit == 0 || used as u32 > inspection.count.used {
                inspection.count = TokenCount {
                    used: used as u32,
                    limit,
                };
            }
            view.spans.push(SpanView {
                steps: [first, last],
                chunks: chunks
                    .iter()
                    .map(|chunk| chunk_view(tokenizer, chunk))
                    .collect(),
            });
            first = last + 1;
        }
        inspection.parts.push(view);
    }
    Ok(inspection)
}

fn chunk_view(tokenizer: &Tokenizer, chunk: &chunks::Chunk) -> ChunkView {
    let learned = tokenizer.learned();
    let mut runs: Vec<(Vec<u32>, f32)> = Vec::new();
    let tokens = chunk.ids.iter().zip(&chunk.weights);
    for (id, weight) in tokens.skip(1).take(chunk.used) {
        let word = learned.of(*id);
        let together = |last: u32| word == learned.of(last);
        match runs.last_mut() {
            Some((ids, same))
                if same == weight && ids.last().is_some_and(|last| together(*last)) =>
            {
                ids.push(*id);
            }
            _ => runs.push((vec![*id], *weight)),
        }
    }
    let words = runs.into_iter().map(|(ids, weight)| {
        let word = ids.first().and_then(|id| learned.of(*id));
        let text = match word {
            Some(word) => format!("[{}: {}]", word.name, ids.len()),
            None => tokenizer.text(&ids),
        };
        (text, weight)
    });
    ChunkView {
        used: chunk.used as u32,
        words: words.collect(),
    }
}
