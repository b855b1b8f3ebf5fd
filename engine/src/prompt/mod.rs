//! The prompt language: from what the artist typed to weighted chunks of tokens.
//!
//! The grammar is that of A1111's web UI, which most prompts that people bring along are written
//! in. A text goes through these stages; none of them ever fails on malformed text, which stays as
//! it is and is read as words:
//!
//! - [`dynamic`] makes the choices of `{a|b}` and `__file__`, once for each picture;
//! - [`comments`] takes out `# …`, [`extra_networks`] the tags `<lora:…>`;
//! - [`compose`] splits at `AND` into parts with weights of their own;
//! - [`schedule`] reads step editing and alternation: which text counts at which step;
//! - [`attention`] reads brackets: pieces of text with weights, and `BREAK`;
//! - [`chunks`] fills the text encoder's context with tokens, as often as it takes, those of
//!   [`learned`] words among them;
//! - [`weighting`] scales the encoded tokens by the weights.
//!
//! [`encode`] is the second half for a family's text encoder, [`timeline`] the first half for the
//! pipeline.

pub mod attention;
pub mod chunks;
pub mod clip_vocabulary;
pub mod comments;
pub mod compose;
pub mod dynamic;
pub mod encode;
pub mod extra_networks;
pub mod inspect;
pub mod learned;
pub mod schedule;
pub mod timeline;
pub mod tokenizer;
mod variant;
pub mod weighting;
pub mod wildcards;
mod yaml_lists;

use serde::{Deserialize, Serialize};

/// Which grammar a prompt is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptSyntax {
    /// The whole language of this module; text beyond the context continues in further chunks.
    #[default]
    A1111,
    /// Every character is text; what lies beyond the model's context is cut, as in diffusers.
    Plain,
}

/// What a weight does to an encoded token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// A1111's “Original”: multiplied, then the chunk brought back to its former mean.
    #[default]
    A1111,
    /// A1111's “No norm”: multiplied.
    NoNorm,
    /// ComfyUI's: moved away from (or towards) the empty prompt's token at the same place.
    ComfyUi,
}

/// What a text is for. Most models read all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// What to draw.
    #[default]
    Prompt,
    /// What to avoid.
    Negative,
    /// Nothing is to be avoided: the negative prompt is empty.
    NoNegative,
}

/// How a text is read by the text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The grammar.
    pub syntax: PromptSyntax,
    /// The maths of weights.
    pub weighting: Weighting,
    /// Which layer of the text encoder is read, from its last, 1 (see
    /// [`crate::recipe::NetworkOptions::clip_skip`]).
    pub clip_skip: u32,
    /// What the text is for.
    pub role: Role,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            syntax: PromptSyntax::default(),
            weighting: Weighting::default(),
            clip_skip: 1,
            role: Role::default(),
        }
    }
}

impl Reading {
    /// Every character is text.
    pub const PLAIN: Self = Self {
        syntax: PromptSyntax::Plain,
        weighting: Weighting::A1111,
        clip_skip: 1,
        role: Role::Prompt,
    };

    /// The same, for a text of another role.
    #[must_use]
    pub const fn of(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// A letter, digit or underscore: what `\w` matches in the reference's patterns.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Places of a word that stands alone (no letter, digit or underscore beside it), in bytes.
pub(crate) fn lone_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}
