//! Words that embeddings (textual inversion, Gal et al. 2022) add to a vocabulary. Such a word is found
//! where a text has the tokens of its name, as in A1111, and becomes as many tokens as it has vectors, with
//! ids beyond every vocabulary's.

use crate::nn::FIRST_LEARNED;

/// A learned word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedWord {
    /// What the prompt calls it.
    pub name: String,
    /// Tokens of its name in the vocabulary.
    spelled: Vec<u32>,
    /// Ids of its own tokens, one a vector.
    ids: std::ops::Range<u32>,
}

impl LearnedWord {
    /// Tokens of its name in the vocabulary.
    pub fn spelled(&self) -> usize {
        self.spelled.len()
    }

    /// Ids of its own tokens.
    pub fn ids(&self) -> std::ops::Range<u32> {
        self.ids.clone()
    }
}

/// All learned words, those with the longest names first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedWords(Vec<LearnedWord>);

impl LearnedWords {
    /// Adds a word of `vectors` vectors whose name has these tokens; nothing when it has none.
    pub fn add(&mut self, name: &str, spelled: Vec<u32>, vectors: usize) {
        let first = self.0.iter().map(|word| word.ids.end).max();
        let first = first.unwrap_or(FIRST_LEARNED);
        let end = u32::try_from(vectors).ok();
        let end = end.and_then(|count| first.checked_add(count));
        let Some(end) = end.filter(|_| !spelled.is_empty() && vectors > 0) else {
            return;
        };
        self.0.push(LearnedWord {
            name: name.to_owned(),
            spelled,
            ids: first..end,
        });
        // Of two names that begin alike the longer one is meant; a stable sort keeps the order given.
        self.0
            .sort_by_key(|word| std::cmp::Reverse(word.spelled.len()));
    }

    /// The word that a text's tokens begin with.
    pub fn at(&self, tokens: &[u32]) -> Option<&LearnedWord> {
        self.0.iter().find(|word| tokens.starts_with(&word.spelled))
    }

    /// The word of that name.
    pub fn named(&self, name: &str) -> Option<&LearnedWord> {
        self.0.iter().find(|word| word.name == name)
    }

    /// The word that a token belongs to.
    pub fn of(&self, id: u32) -> Option<&LearnedWord> {
        self.0.iter().find(|word| word.ids.contains(&id))
    }
}

/// Whether a text may hold a word: its name stands there, in either case of letters, with any
/// backslashes and white space between, and no letter follows a letter at its end. Tokens decide; this
/// spares files whose tokens cannot be there. A name may begin within a word, as in A1111: rare words
/// are taken apart into tokens that may be a name's.
pub(crate) fn may_hold(text: &str, name: &str) -> bool {
    let name: Vec<char> = letters(name).map(|(letter, _)| letter).collect();
    let Some(last) = name.last() else {
        return false;
    };
    let text: Vec<(char, Option<char>)> = letters(text).collect();
    text.windows(name.len()).any(|window| {
        let is_same = window.iter().zip(&name).all(|((a, _), b)| a == b);
        let after = window.last().and_then(|(_, after)| *after);
        is_same && !(last.is_alphabetic() && after.is_some_and(char::is_alphabetic))
    })
}

/// A text's characters in small letters without white space and backslashes, each with what follows it.
fn letters(text: &str) -> impl Iterator<Item = (char, Option<char>)> + '_ {
    text.char_indices()
        .filter(|(_, letter)| !letter.is_whitespace() && *letter != '\\')
        .flat_map(|(at, letter)| {
            let after = text[at + letter.len_utf8()..].chars().next();
            letter.to_lowercase().map(move |small| (small, after))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_stand_where_their_tokens_may() {
        for (text, name, want) in [
            ("a party", "art", false),
            ("a part", "art", true),
            ("an art deco", "ART", true),
            ("art2, x", "art", true),
            ("(art:1.2)ist", "art", true),
            (r"EasyNegative \(1\)", "EasyNegative (1)", true),
            ("easynegative  (1)", "EasyNegative (1)", true),
            ("easynegative (2)", "EasyNegative (1)", false),
            ("red\n thing", "red thing", true),
            ("art", "art deco", false),
            ("", "art", false),
            ("art", "", false),
        ] {
            assert_eq!(may_hold(text, name), want, "{name:?} in {text:?}");
        }
    }

    #[test]
    fn the_longest_name_is_meant_and_ids_follow_the_order_given() {
        let mut words = LearnedWords::default();
        words.add("a", vec![1], 2);
        words.add("a b", vec![1, 2], 3);
        words.add("nothing", Vec::new(), 1);
        assert_eq!(
            words.at(&[1, 2, 3]).map(|word| word.name.as_str()),
            Some("a b")
        );
        assert_eq!(
            words.at(&[1, 3]).map(|word| word.ids()),
            Some(FIRST_LEARNED..FIRST_LEARNED + 2)
        );
        assert!(words.at(&[2]).is_none());
        assert_eq!(
            words.of(FIRST_LEARNED + 4).map(|word| word.name.as_str()),
            Some("a b")
        );
        assert!(words.of(1).is_none());
    }
}
