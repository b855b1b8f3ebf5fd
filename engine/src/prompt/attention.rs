//! Brackets: `(more)` times 1.1, `[less]` divided by 1.1, `(so much:1.3)`, nested to any depth;
//! `\(`, `\)`, `\[`, `\]` and `\\` are the characters themselves. A bracket that is never closed
//! counts to the end of the text. `BREAK` begins a new chunk.

use super::lone_words;

/// Factor of one pair of round brackets; square ones divide by it.
const STEP: f64 = 1.1;

/// Weights are kept within this, so that no row of brackets makes a picture of infinities.
pub(super) const MOST_WEIGHT: f64 = 1e4;

/// The word that begins a new chunk.
const BREAK: &str = "BREAK";

/// A stretch of text with one weight, or a break between chunks.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Words.
    Text {
        /// The text, escapes resolved; may be empty.
        text: String,
        /// Its weight, 1 for plain text.
        weight: f64,
    },
    /// The chunk ends here.
    Break,
}

/// Reads the brackets of a text. Neighbours of one weight are joined; there is always at least one
/// piece.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = reader.read(letter, rest);
        rest = &rest[length..];
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    /// Text and weight; `None`: a break, which brackets do not weigh.
    found: Vec<(Option<String>, f64)>,
    /// Where the open brackets began, in `found`.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    /// Reads one token at the start of `rest`; returns its length in bytes.
    fn read(&mut self, letter: char, rest: &str) -> usize {
        match letter {
            '\\' => {
                // A backslash before anything else is dropped, as in the reference.
                let escaped = &rest[1..];
                let escaped = escaped
                    .starts_with(['(', ')', '[', ']', '\\'])
                    .then(|| &escaped[..1]);
                self.text(escaped.unwrap_or_default());
                1 + escaped.map_or(0, str::len)
            }
            '(' => {
                self.round.push(self.found.len());
                1
            }
            '[' => {
                self.square.push(self.found.len());
                1
            }
            ')' | ']' => {
                self.close(letter);
                1
            }
            ':' => match weight(rest) {
                Some((weight, length)) => {
                    match self.round.pop() {
                        Some(from) => self.scale(from, weight),
                        None => self.text(&rest[..length]),
                    }
                    length
                }
                None => {
                    self.text(":");
                    1
                }
            },
            _ => {
                let length = rest
                    .find(['\\', '(', ')', '[', ']', ':'])
                    .unwrap_or(rest.len());
                self.words(&rest[..length]);
                length
            }
        }
    }

    fn close(&mut self, bracket: char) {
        let (opened, factor) = match bracket {
            ')' => (self.round.pop(), STEP),
            _ => (self.square.pop(), 1.0 / STEP),
        };
        match opened {
            Some(from) => self.scale(from, factor),
            None => self.text(if bracket == ')' { ")" } else { "]" }),
        }
    }

    fn scale(&mut self, from: usize, factor: f64) {
        for (_, weight) in self.found.iter_mut().skip(from) {
            // Bounded at once: products of huge numbers would be none in the end.
            *weight = (*weight * factor).clamp(-MOST_WEIGHT, MOST_WEIGHT);
        }
    }

    fn text(&mut self, text: &str) {
        self.found.push((Some(text.to_owned()), 1.0));
    }

    /// Text that may hold breaks; white space around them goes with them.
    fn words(&mut self, text: &str) {
        let mut from = 0;
        for at in lone_words(text, BREAK) {
            let words = text[from..at].trim_end();
            self.text(if from > 0 { words.trim_start() } else { words });
            self.found.push((None, 1.0));
            from = at + BREAK.len();
        }
        let rest = &text[from..];
        self.text(if from > 0 { rest.trim_start() } else { rest });
    }

    fn finish(mut self) -> Vec<Piece> {
        for from in std::mem::take(&mut self.round) {
            self.scale(from, STEP);
        }
        for from in std::mem::take(&mut self.square) {
            self.scale(from, 1.0 / STEP);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (text, weight) in self.found {
            let weight = weight.clamp(-MOST_WEIGHT, MOST_WEIGHT);
            match (text, pieces.last_mut()) {
                (None, _) => pieces.push(Piece::Break),
                (Some(more), Some(Piece::Text { text, weight: same })) if *same == weight => {
                    text.push_str(&more)
                }
                (Some(text), _) => pieces.push(Piece::Text { text, weight }),
            }
        }
        if pieces.is_empty() {
            pieces.push(Piece::Text {
                text: String::new(),
                weight: 1.0,
            });
        }
        pieces
    }
}

/// `: 1.3 )` at the start of a text: the number, and the length of the whole.
fn weight(rest: &str) -> Option<(f64, usize)> {
    let inside = rest[1..].trim_start();
    let sign = usize::from(inside.starts_with(['+', '-']));
    let digits = inside[sign..]
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .map(|length| sign + length)?;
    let after = inside[digits..].trim_start().strip_prefix(')')?;
    let weight = inside[..digits].parse().ok()?;
    Some((weight, rest.len() - after.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_one_inside_brackets_too() {
        // The reference takes it for a word of weight -1.1 there.
        let [first, Piece::Break, last] = &pieces("(red BREAK blue)")[..] else {
            panic!("three pieces");
        };
        for (piece, word) in [(first, "red"), (last, "blue")] {
            let want = Piece::Text {
                text: word.to_owned(),
                weight: STEP,
            };
            assert_eq!(*piece, want);
        }
    }

    #[test]
    fn a_number_that_is_none_stays_text() {
        for text in ["(a:1.2.3)", "(a:.)", "(a:)", "(a:-)"] {
            let [Piece::Text { text: got, weight }] = &pieces(text)[..] else {
                panic!("{text}: one piece");
            };
            assert_eq!((got.as_str(), *weight), (&text[1..text.len() - 1], STEP));
        }
    }

    #[test]
    fn a_long_row_of_brackets_is_read_in_no_time() {
        let began = std::time::Instant::now();
        for bracket in ["(", "[", ")", ":", "\\", "(a:", "BREAK "] {
            assert!(!pieces(&bracket.repeat(10_000)).is_empty());
        }
        assert!(began.elapsed().as_secs() < 5);
    }
}
