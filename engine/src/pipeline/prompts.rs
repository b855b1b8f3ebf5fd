//! The prompts of one picture, encoded: which conditionings guide which step.

use candle_core::Tensor;

use crate::error::Result;
use crate::families::model::Conditioning;
use crate::nn::Act;
use crate::prompt::Role;
use crate::prompt::schedule::Schedule;
use crate::prompt::timeline::Script;
use crate::recipe::Recipe;

/// Tokens up to which conditionings are brought to one length by repeating them whole, which
/// changes nothing in a softmax over them; beyond, their last token is repeated, as in A1111.
const MOST_REPEATED: usize = 8192;

/// Everything that guides a run.
pub struct Prompts {
    parts: Vec<(f64, Timeline)>,
    negative: Timeline,
}

/// What guides one step.
pub(super) struct Now<'a> {
    /// Weights and conditionings of the prompt's parts; at least one.
    pub(super) parts: Vec<(f64, &'a Conditioning)>,
    /// The negative prompt.
    pub(super) negative: &'a Conditioning,
}

impl Now<'_> {
    /// Whether there is one part of weight 1: an ordinary prompt.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.parts.as_slice(), [(1.0, _)])
    }
}

impl Prompts {
    /// Reads both prompts of a recipe and encodes each distinct text once. All conditionings come
    /// out with one length, so that they can go through the network together.
    ///
    /// # Errors
    /// Those of `encode`, or `Compute` when the device fails.
    pub fn encode(
        recipe: &Recipe,
        encode: &mut dyn FnMut(&str, Role) -> Result<Conditioning>,
    ) -> Result<Self> {
        let script = Script::read(
            &recipe.prompt,
            &recipe.negative_prompt,
            recipe.prompting.syntax,
            recipe.steps as usize,
        );
        let mut timeline = |schedule: Schedule, role| -> Result<Timeline> {
            let texts = schedule.texts.iter().map(|text| encode(text, role));
            Ok(Timeline {
                conditions: texts.collect::<Result<_>>()?,
                schedule,
            })
        };
        let mut parts = Vec::with_capacity(script.parts.len());
        for (weight, schedule) in script.parts {
            parts.push((weight, timeline(schedule, Role::Prompt)?));
        }
        // Empty over all steps, as A1111 sees it; diffusers knows no steps.
        let avoids = script.negative.texts.iter().any(|text| !text.is_empty());
        let role = if avoids {
            Role::Negative
        } else {
            Role::NoNegative
        };
        let mut prompts = Self {
            parts,
            negative: timeline(script.negative, role)?,
        };
        prompts.equalise()?;
        Ok(prompts)
    }

    /// Tokens that the longest text of the prompt, and of the negative prompt, has beyond what the
    /// model reads: number of tokens, and how many are read.
    pub fn cut(&self) -> [Option<(usize, usize)>; 2] {
        let prompt = self.parts.iter().map(|(_, timeline)| timeline);
        [longest_cut(prompt), longest_cut([&self.negative])]
    }

    /// What guides the step after `done` steps.
    pub(super) fn at(&self, done: usize) -> Now<'_> {
        let parts = self.parts.iter();
        Now {
            parts: parts
                .map(|(weight, timeline)| (*weight, timeline.at(done)))
                .collect(),
            negative: self.negative.at(done),
        }
    }

    fn equalise(&mut self) -> Result<()> {
        let timelines = self.parts.iter_mut().map(|(_, timeline)| timeline);
        let all: Vec<&mut Conditioning> = timelines
            .chain([&mut self.negative])
            .flat_map(|timeline| &mut timeline.conditions)
            .collect();
        let lengths = || all.iter().map(|condition| condition.tokens.size().1);
        let common = lengths().fold(1, least_common_multiple);
        let longest = lengths().max().unwrap_or(0);
        for condition in all {
            condition.tokens = if common <= MOST_REPEATED {
                repeated(&condition.tokens, common)?
            } else {
                padded(&condition.tokens, longest)?
            };
        }
        Ok(())
    }
}

/// A text that changes from step to step.
struct Timeline {
    schedule: Schedule,
    /// Of each distinct text.
    conditions: Vec<Conditioning>,
}

impl Timeline {
    fn at(&self, done: usize) -> &Conditioning {
        &self.conditions[self.schedule.at(done)]
    }
}

fn longest_cut<'a>(timelines: impl IntoIterator<Item = &'a Timeline>) -> Option<(usize, usize)> {
    let conditions = timelines.into_iter().flat_map(|one| &one.conditions);
    let counts = conditions.map(|condition| condition.count);
    counts.filter(|(used, limit)| used > limit).max()
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

/// Tokens (1, N, C) to (1, length, C), all of them again and again.
fn repeated(tokens: &Act, length: usize) -> Result<Act> {
    let times = length / tokens.size().1.max(1);
    if times <= 1 {
        return Ok(tokens.clone());
    }
    Ok(Act::from_tensor(tokens.to_tensor()?.repeat((1, times, 1))?))
}

/// Tokens (1, N, C) to (1, length, C), the last of them again and again.
fn padded(tokens: &Act, length: usize) -> Result<Act> {
    let count = tokens.size().1;
    if count >= length {
        return Ok(tokens.clone());
    }
    let tensor = tokens.to_tensor()?;
    let last = tensor.narrow(1, count - 1, 1)?;
    let more = last.repeat((1, length - count, 1))?;
    Ok(Act::from_tensor(Tensor::cat(&[tensor, more], 1)?))
}
