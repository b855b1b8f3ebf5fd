//! The inside of `{…}`: how many options, joined by what, each with a weight.

use std::collections::HashMap;

/// Options chosen at most by one variant.
const MOST: usize = 100;

/// A choice between options.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variant {
    /// Fewest and most options to take.
    pub(super) count: (usize, usize),
    /// What joins them.
    pub(super) separator: String,
    /// Weights and texts; at least one.
    pub(super) options: Vec<(f64, String)>,
}

impl Variant {
    /// Reads what stands between the braces.
    pub(super) fn read(inside: &str) -> Self {
        let head = inside.split_once("$$").and_then(|(count, rest)| {
            let (least, most) = bounds(count)?;
            Some((least, most, rest))
        });
        let Some((least, most, rest)) = head else {
            return Self {
                count: (1, 1),
                separator: String::new(),
                options: options(inside),
            };
        };
        // A second `$$` before the first option ends the separator.
        let plain = &rest[..rest.find(['|', '{']).unwrap_or(rest.len())];
        let (separator, rest) = match plain.find("$$") {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (", ", rest),
        };
        let options = options(rest);
        let most = most.unwrap_or(options.len()).min(MOST);
        let least = least.min(MOST);
        Self {
            count: (least.min(most), least.max(most)),
            separator: separator.to_owned(),
            options,
        }
    }
}

/// `2`, `1-3`, `-3` (one to three) or `2-` (two to all).
fn bounds(text: &str) -> Option<(usize, Option<usize>)> {
    match text.split_once('-') {
        None => text.parse().ok().map(|count| (count, Some(count))),
        Some(("", most)) => Some((1, Some(most.parse().ok()?))),
        Some((least, "")) => Some((least.parse().ok()?, None)),
        Some((least, most)) => Some((least.parse().ok()?, Some(most.parse().ok()?))),
    }
}

/// Texts between the `|` that stand in no inner braces.
fn options(text: &str) -> Vec<(f64, String)> {
    let mut found = Vec::new();
    let (mut depth, mut from, mut escaped) = (0_usize, 0, false);
    let mut take = |option: &str| {
        let (weight, text) = weight(option);
        found.push((weight, text.to_owned()));
    };
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => {}
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                take(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    take(&text[from..]);
    found
}

/// `0.5::text`: its weight and the text; 1 where none is written.
pub(super) fn weight(option: &str) -> (f64, &str) {
    let weighted = option.split_once("::").and_then(|(weight, text)| {
        let weight = weight.trim();
        let plain = weight
            .chars()
            .all(|digit| digit.is_ascii_digit() || digit == '.');
        let weight: f64 = plain.then(|| weight.parse().ok())??;
        Some((weight, text))
    });
    weighted.unwrap_or((1.0, option))
}

/// Where each `{` that is closed ends, in bytes.
pub(super) fn closing_braces(text: &str) -> HashMap<usize, usize> {
    let mut ends = HashMap::new();
    let mut open = Vec::new();
    let mut escaped = false;
    for (at, letter) in text.bytes().enumerate() {
        match letter {
            _ if escaped => {}
            b'{' => open.push(at),
            b'}' => {
                if let Some(from) = open.pop() {
                    ends.insert(from, at);
                }
            }
            _ => {}
        }
        escaped = letter == b'\\' && !escaped;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_separators_and_weights() {
        let read = |text| {
            let Variant {
                count,
                separator,
                options,
            } = Variant::read(text);
            (count, separator, options.len())
        };
        let none = String::new;
        assert_eq!(read("a|b"), ((1, 1), none(), 2));
        assert_eq!(read("2$$a|b|c"), ((2, 2), ", ".to_owned(), 3));
        assert_eq!(read("1-2$$ and $$a|b"), ((1, 2), " and ".to_owned(), 2));
        assert_eq!(read("2-$$a|b|c"), ((2, 3), ", ".to_owned(), 3));
        assert_eq!(read("-2$$a|b|c"), ((1, 2), ", ".to_owned(), 3));
        assert_eq!(read("3-1$$a"), ((1, 3), ", ".to_owned(), 1));
        assert_eq!(read("x$$a|b"), ((1, 1), none(), 2));
        assert_eq!(read("2$${1$$a|b}|c"), ((2, 2), ", ".to_owned(), 2));
        assert_eq!(read("99999999$$a"), ((100, 100), ", ".to_owned(), 1));
        assert_eq!(read("{a|b}|c\\|d"), ((1, 1), none(), 2));
        assert_eq!(weight("0.5::red"), (0.5, "red"));
        assert_eq!(weight("a::red"), (1.0, "a::red"));
    }
}
