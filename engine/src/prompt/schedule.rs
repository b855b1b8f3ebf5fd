//! Step editing and alternation: which text counts at which sampling step.
//!
//! - `[from:to:when]`, `[to:when]` (adds), `[from::when]` (removes): `when` is a step, or with a
//!   point a share of all steps;
//! - `[a|b|c]` takes the next one at each step; items may be empty.
//!
//! Both nest, also inside weights. Brackets that are neither stay in the text, where
//! [`super::attention`] weighs them. What is not well formed is kept as plain text; a lone `|` outside
//! of brackets or a backslash at the very end makes the whole text plain, as in A1111.

use std::collections::BTreeSet;

/// Deepest nesting that is read; deeper text is plain.
const DEEPEST: usize = 64;

/// Which text counts when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The distinct texts.
    pub texts: Vec<String>,
    /// Last step (counted from 0, so that one of step 10 counts eleven times, as in A1111) and
    /// index of the text, by rising step. The last entry holds for all that follows.
    pub spans: Vec<(usize, usize)>,
}

impl Schedule {
    /// Reads a text for a run of `steps` steps.
    pub fn read(text: &str, steps: usize) -> Self {
        let Some(items) = parse(text) else {
            return Self::constant(text.to_owned(), steps);
        };
        let mut ends = BTreeSet::from([steps]);
        collect_ends(&items, steps, &mut ends);
        let mut schedule = Self {
            texts: Vec::new(),
            spans: Vec::with_capacity(ends.len()),
        };
        for end in ends {
            let mut text = String::new();
            write_at(&items, end, steps, &mut text);
            let known = schedule.texts.iter().position(|other| *other == text);
            let index = known.unwrap_or_else(|| {
                schedule.texts.push(text);
                schedule.texts.len() - 1
            });
            schedule.spans.push((end, index));
        }
        schedule
    }

    /// One text for all steps.
    pub fn constant(text: String, steps: usize) -> Self {
        Self {
            texts: vec![text],
            spans: vec![(steps, 0)],
        }
    }

    /// Index in [`Self::texts`] of the text at a step, counted from 0.
    pub fn at(&self, step: usize) -> usize {
        let span = self.spans.iter().find(|(end, _)| step <= *end);
        span.or(self.spans.last()).map_or(0, |(_, index)| *index)
    }
}

/// A stretch of a parsed text.
#[derive(Debug)]
enum Item<'a> {
    Text(&'a str),
    Edit {
        before: Vec<Self>,
        after: Vec<Self>,
        when: When,
    },
    Alternate(Vec<Vec<Self>>),
}

#[derive(Clone, Copy, Debug)]
enum When {
    Step(f64),
    Share(f64),
}

impl When {
    /// The last step of what goes before.
    fn step(self, steps: usize) -> i64 {
        let step = match self {
            Self::Step(step) => step,
            Self::Share(share) => share * steps as f64,
        };
        // Casting drops the fraction and holds what is too large.
        (step as i64).min(steps as i64)
    }
}

/// Steps after which the text may change, 1 to `steps`.
fn collect_ends(items: &[Item<'_>], steps: usize, ends: &mut BTreeSet<usize>) {
    for item in items {
        match item {
            Item::Text(_) => {}
            Item::Edit {
                before,
                after,
                when,
            } => {
                if let Ok(step) = usize::try_from(when.step(steps))
                    && step >= 1
                {
                    ends.insert(step);
                }
                collect_ends(before, steps, ends);
                collect_ends(after, steps, ends);
            }
            Item::Alternate(choices) => {
                if ends.len() < steps {
                    ends.extend(1..=steps);
                }
                for choice in choices {
                    collect_ends(choice, steps, ends);
                }
            }
        }
    }
}

/// `step` counts from 1.
fn write_at(items: &[Item<'_>], step: usize, steps: usize, text: &mut String) {
    for item in items {
        match item {
            Item::Text(words) => text.push_str(words),
            Item::Edit {
                before,
                after,
                when,
            } => {
                let early = step as i64 <= when.step(steps);
                write_at(if early { before } else { after }, step, steps, text);
            }
            Item::Alternate(choices) => {
                let index = step.saturating_sub(1) % choices.len();
                write_at(&choices[index], step, steps, text);
            }
        }
    }
}

/// An open bracket and what stands in it so far.
struct Frame<'a> {
    bracket: &'a str,
    /// Between its separators.
    segments: Vec<Vec<Item<'a>>>,
    separators: Vec<&'a str>,
    /// Where the last segment begins, in bytes.
    last_from: usize,
}

impl<'a> Frame<'a> {
    fn new(bracket: &'a str, from: usize) -> Self {
        Self {
            bracket,
            segments: vec![Vec::new()],
            separators: Vec::new(),
            last_from: from,
        }
    }

    fn push(&mut self, item: Item<'a>) {
        if let Some(last) = self.segments.last_mut() {
            last.push(item);
        }
    }

    /// Segments and separators as they stand.
    fn flat(self) -> Vec<Item<'a>> {
        let mut separators = self.separators.into_iter();
        let mut items = vec![Item::Text(self.bracket)];
        for segment in self.segments {
            items.extend(segment);
            items.extend(separators.next().map(Item::Text));
        }
        items
    }
}

/// The text as items; `None`: it cannot be read as a whole.
fn parse(text: &str) -> Option<Vec<Item<'_>>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut root: Vec<Item<'_>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = match rest.as_bytes()[0] {
            b'\\' | b'(' | b')' | b'[' | b']' | b':' | b'|' => 1,
            _ => rest
                .find(['\\', '(', ')', '[', ']', ':', '|'])
                .unwrap_or(rest.len()),
        };
        let mut token = &rest[..length];
        match token {
            "\\" => {
                let escaped = rest[1..].chars().next().filter(|letter| *letter != '\n')?;
                token = &rest[..1 + escaped.len_utf8()];
                push(&mut frames, &mut root, Item::Text(token));
            }
            "(" | "[" => {
                if frames.len() >= DEEPEST {
                    return None;
                }
                frames.push(Frame::new(token, at + 1));
            }
            ":" | "|" => match frames.last_mut() {
                Some(frame) => {
                    frame.separators.push(token);
                    frame.segments.push(Vec::new());
                    frame.last_from = at + 1;
                }
                None if token == "|" => return None,
                None => root.push(Item::Text(token)),
            },
            ")" | "]" => {
                let closed = frames
                    .pop()
                    .map(|frame| close(frame, token, text, at))
                    .unwrap_or_else(|| Err(Vec::new()));
                match closed {
                    Ok(items) => {
                        for item in items {
                            push(&mut frames, &mut root, item);
                        }
                    }
                    Err(inner) => {
                        // Nothing around a bracket that is none can be one either.
                        abandon(&mut frames, &mut root)?;
                        if has_bar(&inner) {
                            return None;
                        }
                        root.extend(inner);
                        root.push(Item::Text(token));
                    }
                }
            }
            words => push(&mut frames, &mut root, Item::Text(words)),
        }
        at += token.len();
    }
    abandon(&mut frames, &mut root)?;
    Some(root)
}

fn push<'a>(frames: &mut [Frame<'a>], root: &mut Vec<Item<'a>>, item: Item<'a>) {
    match frames.last_mut() {
        Some(frame) => frame.push(item),
        None => root.push(item),
    }
}

/// Open brackets that will never be closed become text; `None` when a `|` comes to light.
fn abandon<'a>(frames: &mut Vec<Frame<'a>>, root: &mut Vec<Item<'a>>) -> Option<()> {
    for frame in frames.drain(..) {
        if frame.separators.contains(&"|") {
            return None;
        }
        root.extend(frame.flat());
    }
    Some(())
}

/// Whether a separator of an abandoned bracket is a `|`.
fn has_bar(items: &[Item<'_>]) -> bool {
    items.iter().any(|item| matches!(item, Item::Text("|")))
}

/// A bracket that was closed at `end`: what it means, or its items as they stand.
fn close<'a>(
    mut frame: Frame<'a>,
    bracket: &'a str,
    text: &'a str,
    end: usize,
) -> Result<Vec<Item<'a>>, Vec<Item<'a>>> {
    let separators = frame.separators.as_slice();
    let colons = separators.iter().filter(|token| **token == ":").count();
    let bars = separators.len() - colons;
    match (frame.bracket, bracket, colons, bars) {
        ("(", ")", 0 | 1, 0) | ("[", "]", 0, 0) => {
            let mut items = frame.flat();
            items.push(Item::Text(bracket));
            Ok(items)
        }
        ("[", "]", 1 | 2, 0) => {
            let Some(when) = when(&text[frame.last_from..end]) else {
                return Err(frame.flat());
            };
            frame.segments.pop();
            let after = frame.segments.pop().unwrap_or_default();
            let before = frame.segments.pop().unwrap_or_default();
            Ok(vec![Item::Edit {
                before,
                after,
                when,
            }])
        }
        ("[", "]", 0, _) => Ok(vec![Item::Alternate(frame.segments)]),
        _ => Err(frame.flat()),
    }
}

/// A number with optional sign, point and exponent, and white space around it.
fn when(text: &str) -> Option<When> {
    let number = text.trim();
    let plain = number
        .chars()
        .all(|letter| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.' | 'e' | 'E'));
    let value: f64 = plain.then(|| number.parse().ok())??;
    Some(if number.contains('.') {
        When::Share(value)
    } else {
        When::Step(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let schedule = Schedule::read(text, 4);
        (0..=4)
            .map(|step| schedule.texts[schedule.at(step)].clone())
            .collect()
    }

    #[test]
    fn the_first_span_counts_its_own_step_too() {
        assert_eq!(texts("[a:b:2]"), ["a", "a", "a", "b", "b"]);
        assert_eq!(texts("[a|b]"), ["a", "a", "b", "a", "b"]);
        assert_eq!(texts("[b:0.5]"), ["", "", "", "b", "b"]);
        assert_eq!(texts("[a:b:0]"), ["b"; 5]);
        assert_eq!(texts("[a:b:9]"), ["a"; 5]);
    }

    #[test]
    fn equal_texts_are_kept_once() {
        let schedule = Schedule::read("[a|b] [c|d]", 1000);
        assert_eq!((schedule.texts.len(), schedule.spans.len()), (2, 1000));
    }

    #[test]
    fn hostile_texts_are_read_in_no_time() {
        let began = std::time::Instant::now();
        for hostile in [
            "[", "(", "[a:", "[a|", "]", ":", "\\", "[a:1]", "[[a]", "[a|b]",
        ] {
            let schedule = Schedule::read(&hostile.repeat(5_000), 20);
            assert!(!schedule.texts.is_empty());
        }
        assert!(began.elapsed().as_secs() < 5);
    }
}
