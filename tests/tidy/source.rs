//! Rust source without its comments and literals, so that a rule sees code only.

/// Blanks comments, and unless `keep_strings` the contents of string and character literals. Lines stay
/// where they are.
pub(crate) fn code(text: &str, keep_strings: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (end, keep) = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => (line_end(&chars, at), false),
            '/' if chars.get(at + 1) == Some(&'*') => (block_end(&chars, at), false),
            '"' => (string_end(&chars, at), keep_strings),
            'r' if raw_hashes(&chars, at).is_some() => (raw_end(&chars, at), keep_strings),
            '\'' => match character_end(&chars, at) {
                Some(end) => (end, keep_strings),
                None => (at + 1, true), // a lifetime
            },
            _ => (at + 1, true),
        };
        for &c in &chars[at..end] {
            out.push(if keep || c == '\n' { c } else { ' ' });
        }
        at = end;
    }
    out
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(chars.len(), |n| at + n)
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => {
                depth += 1;
                i += 2;
            }
            ('*', '/') => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// Number of `#` of a raw string that begins at `at`, when one does.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|i| chars[i]);
    if before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_') {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = raw_hashes(chars, at).unwrap_or(0);
    let mut i = at + 2 + hashes;
    while i < chars.len() {
        let closes = chars[i] == '"'
            && chars[i + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes
            && chars.len() - i > hashes;
        if closes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    chars.len()
}

/// End of a character literal that begins at `at`; `None` for a lifetime.
fn character_end(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars[at + 3..].iter().position(|&c| c == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

/// Lines (from 1) of `code` in which `word` stands as a whole word or path segment.
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let first_is_word = part_of_word(word.chars().next());
    // A word that ends in an underscore is the beginning of names.
    let last_is_word = word.chars().last().is_some_and(char::is_alphanumeric);
    code.lines()
        .enumerate()
        .filter(|(_, line)| {
            line.match_indices(word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                !(first_is_word && part_of_word(before) || last_is_word && part_of_word(after))
            })
        })
        .map(|(number, _)| number + 1)
        .collect()
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "let a = \"egui \\\" x\"; // egui\n/* egui /* deeper */ egui */ let c = '\"'; fn f<'a>() {}\nlet r = r#\"egui \" \"#;egui";
    let seen = code(text, false);
    assert_eq!(seen.lines().count(), 3);
    assert_eq!(lines_with(&seen, "egui"), vec![3]);
    assert!(seen.contains("fn f<'a>() {}"));
    assert_eq!(lines_with(&code(text, true), "egui"), vec![1, 3]);
}

#[test]
fn words_are_whole() {
    assert!(lines_with("egui_kittest::x", "egui").is_empty());
    assert_eq!(lines_with("use egui::Ui;", "egui"), vec![1]);
    assert_eq!(
        lines_with("Color32::from_rgb(1)", "Color32::from_"),
        vec![1]
    );
}
