//! `AND`: several prompts in one picture (composable diffusion, Liu et al. 2022), each with an
//! optional weight at its end.

use super::attention::MOST_WEIGHT;
use super::lone_words;

const AND: &str = "AND";

/// One prompt of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its text, without the weight.
    pub text: String,
    /// How strongly guidance follows it; 1 where none is written. May be negative.
    pub weight: f64,
}

/// Splits at each upper-case `AND` that stands alone. `a cat :1.2 AND a dog` gives two parts.
///
/// Without an `AND` the whole text is one part of weight 1, its end is left alone: A1111 reads
/// “poster, 16:9” as a prompt nine times as strong, which nobody has ever meant.
pub fn parts(text: &str) -> Vec<Part> {
    let mut ends: Vec<usize> = lone_words(text, AND).collect();
    if ends.is_empty() {
        return vec![Part {
            text: text.to_owned(),
            weight: 1.0,
        }];
    }
    ends.push(text.len());
    let mut from = 0;
    let mut found = Vec::with_capacity(ends.len());
    for end in ends {
        found.push(part(&text[from..end]));
        from = (end + AND.len()).min(text.len());
    }
    found
}

/// A text with `: weight` at its end.
fn part(text: &str) -> Part {
    let text = text.trim_end();
    let weighted = text.rsplit_once(':').and_then(|(words, weight)| {
        let weight = weight.trim();
        let digits = weight.trim_start_matches(['+', '-']);
        let plain = weight.len() - digits.len() <= 1
            && digits.chars().any(|digit| digit.is_ascii_digit())
            && digits
                .chars()
                .all(|digit| digit.is_ascii_digit() || digit == '.');
        let weight = plain.then(|| weight.parse::<f64>().ok())??;
        Some((words.trim_end(), weight.clamp(-MOST_WEIGHT, MOST_WEIGHT)))
    });
    let (text, weight) = weighted.unwrap_or((text, 1.0));
    Part {
        text: text.to_owned(),
        weight,
    }
}
