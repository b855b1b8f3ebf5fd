//! Comments: `#` to the end of the line, as in A1111 since 1.8.

use std::borrow::Cow;

/// The text without comments. A line that held nothing else goes as a whole.
pub fn strip(text: &str) -> Cow<'_, str> {
    if !text.contains('#') {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut first = true;
    for line in text.split('\n') {
        let (words, comment) = match line.split_once('#') {
            Some((words, _)) => (words, true),
            None => (line, false),
        };
        if comment && words.trim().is_empty() {
            continue;
        }
        if !first {
            kept.push('\n');
        }
        kept.push_str(words);
        first = false;
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn comments_go_and_lines_stay() {
        for (text, want) in [
            ("a cat", "a cat"),
            ("a cat # a note", "a cat "),
            ("# a note\na cat", "a cat"),
            ("a\n  # note\nb", "a\nb"),
            ("a # x\nb # y", "a \nb "),
            ("#", ""),
        ] {
            assert_eq!(strip(text), want, "{text:?}");
        }
    }
}
