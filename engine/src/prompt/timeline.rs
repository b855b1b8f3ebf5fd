//! The first half of reading: from the two prompts of a recipe to the texts that count at each step.

use super::schedule::Schedule;
use super::{PromptSyntax, comments, compose, extra_networks};

/// What to draw and what to avoid, over the steps of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The prompt's parts with their weights; one of weight 1 unless `AND` is used.
    pub parts: Vec<(f64, Schedule)>,
    /// The negative prompt, in which `AND` is a word like any other.
    pub negative: Schedule,
}

impl Script {
    /// Reads both prompts for a run of `steps` steps.
    pub fn read(prompt: &str, negative: &str, syntax: PromptSyntax, steps: usize) -> Self {
        Self {
            parts: parts(prompt, syntax, steps),
            negative: match syntax {
                PromptSyntax::Plain => Schedule::constant(negative.to_owned(), steps),
                PromptSyntax::A1111 => Schedule::read(&comments::strip(negative), steps),
            },
        }
    }
}

/// The weighted parts of one prompt.
pub fn parts(prompt: &str, syntax: PromptSyntax, steps: usize) -> Vec<(f64, Schedule)> {
    if syntax == PromptSyntax::Plain {
        return vec![(1.0, Schedule::constant(prompt.to_owned(), steps))];
    }
    let words = comments::strip(prompt);
    let (words, _tags) = extra_networks::take(&words);
    let parts = compose::parts(&words).into_iter();
    parts
        .map(|part| (part.weight, Schedule::read(&part.text, steps)))
        .collect()
}
