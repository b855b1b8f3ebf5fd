//! How a recipe's prompts are read.

use serde::{Deserialize, Serialize};

use super::{PROMPT_REVISION, Recipe};
use crate::prompt::dynamic::{Wildcards, choose, is_dynamic};
use crate::prompt::extra_networks::take;
use crate::prompt::{PromptSyntax, Reading, Role, Weighting, lone_words};

/// Last revision whose only grammar was [`PromptSyntax::Plain`].
const LAST_PLAIN_REVISION: u32 = 1;
/// Last revision in which `<lora:…>` was text.
const LAST_WITHOUT_TAGS: u32 = 2;

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
}

impl Prompting {
    /// A text that is read so, written to say the same where it is read as what is typed: the other
    /// prompt of a recalled recipe, while one is edited. A `#`, which the grammar has no other word
    /// for, and text beyond the model's context are read as in any typed prompt.
    pub fn as_typed(&self, text: &str) -> String {
        let plain = self.syntax == PromptSyntax::Plain;
        if self.dynamic || !(plain || is_dynamic(text)) {
            return text.to_owned();
        }
        let mut typed = String::with_capacity(text.len());
        let mut escaped = false;
        for letter in text.chars() {
            let sign = match letter {
                '{' | '}' => !escaped,
                '(' | ')' | '[' | ']' | '\\' => plain,
                _ => false,
            };
            if sign {
                typed.push('\\');
            }
            escaped = letter == '\\' && !escaped && !plain;
            typed.push(letter);
        }
        if plain {
            // Words are read in lower case anyway.
            for word in ["AND", "BREAK"] {
                typed = lone_words_lower(&typed, word);
            }
        }
        typed
    }
}

/// The text with a word that stands alone in lower case.
fn lone_words_lower(text: &str, word: &str) -> String {
    let mut lowered = text.to_owned();
    for at in lone_words(text, word) {
        lowered.replace_range(at..at + word.len(), &word.to_lowercase());
    }
    lowered
}

/// Keeps the negative prompt's choices apart from the prompt's: editing one leaves the other alone.
const NEGATIVE_STREAM: u64 = 0x6e65_6761_7469_7665;

impl Recipe {
    /// How the text encoder reads its prompts.
    pub fn reading(&self) -> Reading {
        Reading {
            syntax: self.prompting.syntax,
            weighting: self.prompting.weighting,
            clip_skip: self.network.clip_skip,
            role: Role::Prompt,
        }
    }

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
        // What revision 2 read as text and revision 3 does not.
        if self.prompt_revision == LAST_WITHOUT_TAGS && take(&self.prompt).1.is_empty() {
            self.prompt_revision = PROMPT_REVISION;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::timeline::Script;

    #[test]
    fn plain_text_says_the_same_as_typed_text() {
        for (text, typed) in [
            ("a cat", "a cat"),
            (
                "a (cat) [dog] {x|y} \\",
                "a \\(cat\\) \\[dog\\] \\{x|y\\} \\\\",
            ),
            ("this AND that BREAK SAND", "this and that break SAND"),
        ] {
            assert_eq!(Prompting::plain().as_typed(text), typed);
            // One part, one text for all steps.
            let script = Script::read(typed, "", PromptSyntax::A1111, 10);
            let texts: Vec<usize> = script
                .parts
                .iter()
                .map(|(_, one)| one.texts.len())
                .collect();
            assert_eq!(texts, [1], "{typed}");
        }
        // What is typed stays; choices that were made already are not made again.
        assert_eq!(
            Prompting::default().as_typed("(a:1.2) {b|c}"),
            "(a:1.2) {b|c}"
        );
        let chosen = Prompting {
            dynamic: false,
            ..Prompting::default()
        };
        assert_eq!(
            chosen.as_typed("(a:1.2) {b|c} \\{"),
            "(a:1.2) \\{b|c\\} \\{"
        );
    }
}
