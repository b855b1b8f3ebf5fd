//! Weights by key, as in A1111: the selection or the word at the cursor gets a weight, or its weight
//! is changed by a tenth.

use std::ops::Range;

/// Weights reach from here to here.
const RANGE: std::ops::RangeInclusive<f64> = -10.0..=10.0;

/// The text with the weight of `selection` (in letters; empty: the cursor) changed by `tenths`, and
/// the weighted words' place in it. `None` when there is no word to weigh.
///
/// Words that already stand in `(…:1.2)` are changed there; at weight 1 the brackets go.
pub fn step_weight(
    text: &str,
    selection: Range<usize>,
    tenths: i32,
) -> Option<(String, Range<usize>)> {
    let letters: Vec<char> = text.chars().collect();
    let end = selection.end.min(letters.len());
    let selection = selection.start.min(end)..end;
    let group = enclosing(&letters, &selection);
    let (words, whole, weight) = match group {
        Some(group) => (group.words, group.whole, group.weight),
        None => {
            let words = trimmed(&letters, selection)?;
            (words.clone(), words, 1.0)
        }
    };
    // Tenths, so that many small steps lead back to where they began.
    let weight = ((weight * 10.0).round() + f64::from(tenths)) / 10.0;
    let weight = weight.clamp(*RANGE.start(), *RANGE.end());
    let inside: String = letters[words.clone()].iter().collect();
    let (written, lead) = if weight == 1.0 {
        (inside, 0)
    } else {
        (format!("({inside}:{weight})"), 1)
    };
    let before: String = letters[..whole.start].iter().collect();
    let after: String = letters[whole.end..].iter().collect();
    let start = whole.start + lead;
    let place = start..start + words.len();
    Some((format!("{before}{written}{after}"), place))
}

/// `(words:1.2)` around a place.
struct Group {
    words: Range<usize>,
    whole: Range<usize>,
    weight: f64,
}

/// The innermost weighted group that holds all of `place`.
fn enclosing(letters: &[char], place: &Range<usize>) -> Option<Group> {
    let mut open = Vec::new();
    let mut escaped = false;
    for (at, letter) in letters.iter().enumerate() {
        match letter {
            _ if escaped => {}
            '(' => open.push(at),
            ')' => {
                let holds = |from: &usize| *from < place.start.max(1) && place.end <= at;
                if let Some(from) = open.pop().filter(holds)
                    && let Some(group) = weighted(letters, from, at, place)
                {
                    return Some(group);
                }
            }
            _ => {}
        }
        escaped = *letter == '\\' && !escaped;
    }
    None
}

fn weighted(letters: &[char], from: usize, end: usize, place: &Range<usize>) -> Option<Group> {
    let colon = (from..end).rev().find(|&at| letters[at] == ':')?;
    let number: String = letters[colon + 1..end].iter().collect();
    let weight = number.trim().parse().ok().filter(|n: &f64| n.is_finite())?;
    (place.start > from).then_some(Group {
        words: from + 1..colon,
        whole: from..end + 1,
        weight,
    })
}

/// The selection without white space at its ends, or the word around the cursor.
fn trimmed(letters: &[char], selection: Range<usize>) -> Option<Range<usize>> {
    let Range { mut start, mut end } = selection;
    if start == end {
        let of_word = |at: &usize| letters[*at].is_alphanumeric() || "_-'’".contains(letters[*at]);
        start = (0..start).rev().take_while(of_word).last().unwrap_or(start);
        end = (end..letters.len())
            .take_while(of_word)
            .last()
            .map_or(end, |at| at + 1);
    }
    while start < end && letters[start].is_whitespace() {
        start += 1;
    }
    while start < end && letters[end - 1].is_whitespace() {
        end -= 1;
    }
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` marks the selection's ends, one alone the cursor.
    fn step(marked: &str, tenths: i32) -> Option<String> {
        let ends: Vec<usize> = marked
            .chars()
            .enumerate()
            .filter(|(_, letter)| *letter == '|')
            .enumerate()
            .map(|(nth, (at, _))| at - nth)
            .collect();
        let text = marked.replace('|', "");
        let (start, end) = (ends[0], *ends.last().unwrap());
        let (text, place) = step_weight(&text, start..end, tenths)?;
        let mut letters: Vec<char> = text.chars().collect();
        letters.insert(place.end, '|');
        letters.insert(place.start, '|');
        Some(letters.into_iter().collect())
    }

    #[test]
    fn words_and_selections_get_a_weight() {
        let cases = [
            ("a r|ed cat", 1, "a (|red|:1.1) cat"),
            ("a |red cat| x", 1, "a (|red cat|:1.1) x"),
            ("a| red |cat", -1, "a (|red|:0.9) cat"),
            ("ünï| b", 1, "(|ünï|:1.1) b"),
            ("a (r|ed:1.2) cat", 1, "a (|red|:1.3) cat"),
            ("a (|red|:1.1) cat", -1, "a |red| cat"),
            ("(re|d:0.9)", 1, "|red|"),
            ("((b|:1.2) c:1.5)", 1, "((|b|:1.3) c:1.5)"),
            ("((b:1.2) c|:1.5)", 1, "(|(b:1.2) c|:1.6)"),
            ("(red) ca|t", 1, "(red) (|cat|:1.1)"),
        ];
        for (before, tenths, after) in cases {
            assert_eq!(step(before, tenths).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn where_no_word_is_nothing_happens() {
        for text in ["|", "a | b", "a |  | b", ", |,"] {
            assert_eq!(step(text, 1), None, "{text}");
        }
        assert!(step_weight("ab", 7..9, 1).is_some());
    }

    #[test]
    fn steps_lead_back_to_the_plain_word() {
        let mut now = ("a cat".to_owned(), 2..5);
        for _ in 0..7 {
            now = step_weight(&now.0, now.1, 1).unwrap();
        }
        assert_eq!(now.0, "a (cat:1.7)");
        for _ in 0..7 {
            now = step_weight(&now.0, now.1, -1).unwrap();
        }
        assert_eq!(now, ("a cat".to_owned(), 2..5));
    }
}
