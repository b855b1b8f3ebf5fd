//! The little of YAML that wildcard files use: keys within keys by indentation, lists of words.
//! Read line by line and leniently, since these files are written by hand and are full of characters
//! (`{`, `[`, `%`, `@`) that a strict reader refuses.

/// Lists with the path of their keys (`a/b`); the path of a list without keys is empty. A scalar is
/// a list of one.
pub(super) fn read(text: &str) -> Vec<(String, Vec<String>)> {
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    // Indentation and name of the keys around the line.
    let mut keys: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() || words.starts_with('#') || words == "---" || words == "..." {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let item = words.strip_prefix("- ").or((words == "-").then_some(""));
        if let Some(item) = item {
            // A list may stand as far left as its key.
            keys.retain(|(left, _)| *left <= indent);
            put(&mut lists, &keys, unquoted(item));
        } else if let Some((key, value)) = key(words) {
            keys.retain(|(left, _)| *left < indent);
            keys.push((indent, key));
            let inline = value
                .strip_prefix('[')
                .and_then(|list| list.strip_suffix(']'));
            match inline {
                Some(list) => list
                    .split(',')
                    .for_each(|item| put(&mut lists, &keys, unquoted(item))),
                None => put(&mut lists, &keys, unquoted(value)),
            }
        }
    }
    lists
}

fn put(lists: &mut Vec<(String, Vec<String>)>, keys: &[(usize, &str)], value: &str) {
    if value.is_empty() {
        return;
    }
    let names: Vec<&str> = keys.iter().map(|(_, name)| *name).collect();
    let path = names.join("/");
    match lists.last_mut() {
        Some((last, values)) if *last == path => values.push(value.to_owned()),
        _ => lists.push((path, vec![value.to_owned()])),
    }
}

/// `key:` or `key: value`.
fn key(words: &str) -> Option<(&str, &str)> {
    let (key, value) = words
        .strip_suffix(':')
        .map(|key| (key, ""))
        .or_else(|| words.split_once(": "))?;
    Some((unquoted(key), value.trim()))
}

/// Without the quotes around it, or a comment behind it.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with('#') {
        return "";
    }
    for quote in ['"', '\''] {
        let inside = text.strip_prefix(quote);
        if let Some((inside, _)) = inside.and_then(|inside| inside.rsplit_once(quote)) {
            return inside;
        }
    }
    text.split_once(" #")
        .map_or(text, |(text, _)| text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn keys_by_indentation() {
        let text = "# top\nart:\n  old: # long ago\n  - oil\n  - 'ink: black'\n  new:\n      - __pixel__ # p\n      \
            - {a|b}\nflat: [x, \"y\"]\none: z\n";
        let got = read(text);
        let got: Vec<(&str, Vec<&str>)> = got
            .iter()
            .map(|(path, values)| (path.as_str(), values.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            got,
            [
                ("art/old", vec!["oil", "ink: black"]),
                ("art/new", vec!["__pixel__", "{a|b}"]),
                ("flat", vec!["x", "y"]),
                ("one", vec!["z"]),
            ]
        );
        assert_eq!(
            read("- a\n- b"),
            [(String::new(), vec!["a".to_owned(), "b".to_owned()])]
        );
        assert!(read(":\n::\n-\n- \n\t").len() < 3);
    }
}
