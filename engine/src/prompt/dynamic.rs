//! Dynamic prompts: choices that the picture's seed makes, in the grammar of sd-dynamic-prompts.
//!
//! - `{a|b}` takes one, `{0.5::a|2::b}` by weight, `{2$$a|b|c}` two of them, `{1-2$$ and $$a|b|c}` one
//!   or two joined by “ and ”;
//! - `__name__` takes a value of a wildcard file, `__animals/*__` of several;
//! - `${v=text}` names a text that is chosen anew at each `${v}`, `${v=!text}` one chosen once;
//!   `${v:other}` has a fallback;
//! - all of it nests, also inside wildcard files; `\{` and `\}` are the characters themselves.
//!
//! What is not well formed stays as it is.

use std::collections::HashMap;

use super::comments;
use super::variant::{self, Variant};

/// Deepest nesting of choices within choices; deeper text stays as it is.
const DEEPEST: usize = 16;
/// Choices made for one prompt, at most: files may name each other in circles.
const MOST_CHOICES: usize = 10_000;
/// Longest text that choices may grow to, in bytes.
const LONGEST: usize = 50_000;

/// Where `__name__` finds its values.
pub trait Wildcards {
    /// All values of the files that a name or pattern (`*`, `?`) stands for; empty when there are
    /// none.
    fn values(&self, pattern: &str) -> Vec<String>;
}

/// A text with its choices made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The text.
    pub text: String,
    /// Wildcards that no file was found for; they stay in the text.
    pub missing: Vec<String>,
}

/// Whether a text may hold choices.
pub fn is_dynamic(text: &str) -> bool {
    text.contains('{') || text.contains("__")
}

/// Makes a text's choices: the same seed, text and files give the same ones. Comments go first.
pub fn choose(text: &str, seed: u64, wildcards: &dyn Wildcards) -> Chosen {
    let mut chooser = Chooser {
        dice: Dice(seed),
        wildcards,
        variables: HashMap::new(),
        left: MOST_CHOICES,
        missing: Vec::new(),
    };
    let mut chosen = String::new();
    chooser.write(&comments::strip(text), 0, &mut chosen);
    Chosen {
        text: chosen,
        missing: chooser.missing,
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): any two seeds give unrelated streams.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to 1, exclusive.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An index into these weights.
    fn index(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let share = self.share();
        if !(total > 0.0 && total.is_finite()) {
            return (share * weights.len() as f64) as usize;
        }
        let mut rest = share * total;
        let found = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        found.unwrap_or(weights.len().saturating_sub(1))
    }
}

struct Chooser<'a> {
    dice: Dice,
    wildcards: &'a dyn Wildcards,
    /// Templates by name.
    variables: HashMap<String, String>,
    left: usize,
    missing: Vec<String>,
}

impl Chooser<'_> {
    /// Appends `text` with its choices made.
    fn write(&mut self, text: &str, depth: usize, out: &mut String) {
        let ends = variant::closing_braces(text);
        let mut at = 0;
        while at < text.len() && out.len() < LONGEST {
            let rest = &text[at..];
            let taken = if rest.starts_with("\\{") || rest.starts_with("\\}") {
                out.push_str(&rest[1..2]);
                Some(2)
            } else if depth >= DEEPEST || self.left == 0 {
                None
            } else if rest.starts_with("${") {
                let end = ends.get(&(at + 1)).copied();
                let read = end.and_then(|end| self.variable(&text[at..=end], depth, out));
                // One without a value stays: its braces are no variant.
                read.or_else(|| {
                    out.push_str("${");
                    Some(2)
                })
            } else if rest.starts_with('{') {
                let end = ends.get(&at).copied();
                end.map(|end| self.variant(&text[at..=end], depth, out))
            } else if rest.starts_with("__") {
                wildcard(rest).map(|name| self.wildcard(name, depth, out))
            } else {
                None
            };
            at += taken.unwrap_or_else(|| {
                let letter = rest.chars().next().unwrap_or_default();
                out.push(letter);
                letter.len_utf8()
            });
        }
    }

    /// `{…}`; returns its length.
    fn variant(&mut self, whole: &str, depth: usize, out: &mut String) -> usize {
        let mut variant = Variant::read(&whole[1..whole.len() - 1]);
        // Several values of one file: each at most once.
        if let [(_, only)] = variant.options.as_slice()
            && variant.count.1 > 1
            && let Some(name) = wildcard(only).filter(|name| name.len() + 4 == only.len())
        {
            let values = self.wildcards.values(name);
            if !values.is_empty() {
                variant.options = values.iter().map(|value| weighed(value)).collect();
            }
        }
        let (least, most) = variant.count;
        let more = (self.dice.share() * (most - least + 1) as f64) as usize;
        let mut left: Vec<usize> = Vec::new();
        for turn in 0..least + more {
            if self.left == 0 || out.len() >= LONGEST {
                break;
            }
            if left.is_empty() {
                left = (0..variant.options.len()).collect();
            }
            let weights: Vec<f64> = left.iter().map(|&at| variant.options[at].0).collect();
            let at = left.remove(self.dice.index(&weights));
            self.left -= 1;
            if turn > 0 {
                out.push_str(&variant.separator);
            }
            self.write(&variant.options[at].1, depth + 1, out);
        }
        whole.len()
    }

    /// `__name__`; returns its length.
    fn wildcard(&mut self, name: &str, depth: usize, out: &mut String) -> usize {
        let values = self.wildcards.values(name);
        self.left -= 1;
        if values.is_empty() {
            if !self.missing.iter().any(|known| known == name) {
                self.missing.push(name.to_owned());
            }
            out.push_str(&format!("__{name}__"));
        } else {
            let values: Vec<(f64, String)> = values.iter().map(|value| weighed(value)).collect();
            let weights: Vec<f64> = values.iter().map(|(weight, _)| *weight).collect();
            let at = self.dice.index(&weights);
            self.write(&values[at].1, depth + 1, out);
        }
        name.len() + 4
    }

    /// `${…}`; returns its length, or `None` when it is not one or has no value.
    fn variable(&mut self, whole: &str, depth: usize, out: &mut String) -> Option<usize> {
        let inside = &whole[2..whole.len() - 1];
        let end = inside.find(|letter: char| !super::is_word(letter) && letter != '-');
        let (name, rest) = inside.split_at(end.unwrap_or(inside.len()));
        if name.is_empty() {
            return None;
        }
        self.left -= 1;
        if let Some(value) = rest.strip_prefix('=') {
            let value = match value.strip_prefix('!') {
                Some(now) => {
                    let mut chosen = String::new();
                    self.write(now, depth + 1, &mut chosen);
                    // It is chosen: braces that are left in it are meant.
                    chosen.replace('{', "\\{").replace('}', "\\}")
                }
                None => value.to_owned(),
            };
            self.variables.insert(name.to_owned(), value);
            return Some(whole.len());
        }
        let fallback = rest.strip_prefix(':').map(str::to_owned);
        if fallback.is_none() && !rest.is_empty() {
            return None;
        }
        let value = self.variables.get(name).cloned().or(fallback)?;
        self.write(&value, depth + 1, out);
        Some(whole.len())
    }
}

/// A value of a file, which may have a weight before it.
fn weighed(value: &str) -> (f64, String) {
    let (weight, text) = variant::weight(value);
    (weight, text.to_owned())
}

/// The name in `__name__` at the start of a text.
fn wildcard(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("__")?;
    let end = inside
        .match_indices("__")
        .map(|(at, _)| at)
        .find(|&at| at > 0)?;
    let name = &inside[..end];
    let fits = |letter: char| super::is_word(letter) || "-/*?. ".contains(letter);
    let whole = !name.starts_with(' ') && !name.ends_with(' ');
    (whole && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod tests;
