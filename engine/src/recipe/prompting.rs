//! How a recipe's prompts are read.

use serde::{Deserialize, Serialize};

use super::{PROMPT_REVISION, Recipe};
use crate::prompt::dynamic::{Wildcards, choose, is_dynamic};
use crate::prompt::{PromptSyntax, Reading, Role, Weighting};

/// Last revision whose only grammar was [`PromptSyntax::Plain`].
const LAST_PLAIN_REVISION: u32 = 1;

/// How both prompts of a recipe are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompting {
    /// The grammar.
    pub syntax: PromptSyntax,
    /// What weights do.
    pub weighting: Weighting,
    /// Whether `{a|b}` and `__file__` are choices that the picture's seed still has to make.
    pub dynamic: bool,
    /// What the prompts were chosen from, once that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PromptTemplate>,
}

/// Prompts before their choices were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTemplate {
    /// What to draw.
    pub prompt: String,
    /// What to avoid.
    #[serde(default)]
    pub negative_prompt: String,
}

impl Default for Prompting {
    fn default() -> Self {
        Self {
            syntax: PromptSyntax::default(),
            weighting: Weighting::default(),
            dynamic: true,
            template: None,
        }
    }
}

impl Prompting {
    /// Every character is text.
    pub fn plain() -> Self {
        Self {
            syntax: PromptSyntax::Plain,
            dynamic: false,
            ..Self::default()
        }
    }

    /// How the text encoder reads a text.
    pub fn reading(&self) -> Reading {
        Reading {
            syntax: self.syntax,
            weighting: self.weighting,
            role: Role::Prompt,
        }
    }
}

/// Keeps the negative prompt's choices apart from the prompt's: editing one leaves the other alone.
const NEGATIVE_STREAM: u64 = 0x6e65_6761_7469_7665;

impl Recipe {
    /// Makes the choices of dynamic prompts by the recipe's seed, and keeps what was typed as the
    /// template. Returns a note for each wildcard that no file was found for.
    pub fn choose_prompts(&mut self, wildcards: &dyn Wildcards) -> Vec<String> {
        let open = self.prompting.dynamic && self.prompting.syntax != PromptSyntax::Plain;
        if !open || !(is_dynamic(&self.prompt) || is_dynamic(&self.negative_prompt)) {
            return Vec::new();
        }
        let prompt = choose(&self.prompt, self.seed, wildcards);
        let negative = choose(
            &self.negative_prompt,
            self.seed ^ NEGATIVE_STREAM,
            wildcards,
        );
        self.prompting.template = Some(PromptTemplate {
            prompt: std::mem::replace(&mut self.prompt, prompt.text),
            negative_prompt: std::mem::replace(&mut self.negative_prompt, negative.text),
        });
        self.prompting.dynamic = false;
        let mut missing = prompt.missing;
        missing.extend(negative.missing);
        missing.sort();
        missing.dedup();
        let note = |name: &String| format!("no wildcard file is called “{name}”: it stays as text");
        missing.iter().map(note).collect()
    }

    /// Brings a recipe from before the grammar to this revision: the same pixels, said in today's
    /// words.
    pub(super) fn lift_plain_prompts(&mut self) {
        if self.prompt_revision <= LAST_PLAIN_REVISION {
            self.prompting = Prompting::plain();
            self.prompt_revision = PROMPT_REVISION;
        }
    }
}
