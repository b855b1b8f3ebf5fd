//! CLIP's own tokenizer files (Radford et al. 2021), for models in one file, which carry none. The
//! program holds the merges; the vocabulary follows from them.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

/// Merges in order of preference, one a line; `assets/tokenizers/clip/README.md` says where from.
const MERGES: &str = include_str!("../../../assets/tokenizers/clip/merges.txt");

/// `vocab.json` and `merges.txt` as published with CLIP.
pub struct ClipFiles {
    /// Token to id, a JSON object.
    pub vocabulary: Arc<[u8]>,
    /// One merge a line.
    pub merges: Arc<[u8]>,
}

/// The files, made once.
pub fn files() -> &'static ClipFiles {
    static FILES: LazyLock<ClipFiles> = LazyLock::new(|| ClipFiles {
        vocabulary: Value::Object(vocabulary(MERGES))
            .to_string()
            .into_bytes()
            .into(),
        merges: MERGES.as_bytes().into(),
    });
    &FILES
}

/// The alphabet, the alphabet at the end of a word, what the merges make, the two marks.
fn vocabulary(merges: &str) -> Map<String, Value> {
    let alphabet = alphabet();
    let ends = alphabet.iter().map(|letter| format!("{letter}</w>"));
    let letters = alphabet.iter().map(char::to_string);
    let merged = merges.lines().map(|line| line.replace(' ', ""));
    let marks = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
    letters
        .chain(ends)
        .chain(merged)
        .chain(marks)
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect()
}

/// A visible letter for each byte: printable bytes stand for themselves, the others for the letters
/// from U+0100 on. In the order of their ids, printable ones first.
fn alphabet() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let visible = (0..=u8::MAX).filter(printable).map(char::from);
    let hidden = (0..=u8::MAX).filter(|byte| !printable(byte)).count() as u32;
    visible
        .chain((0..hidden).filter_map(|number| char::from_u32(0x100 + number)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tokens_have_their_published_ids() {
        let vocabulary = vocabulary(MERGES);
        assert_eq!(vocabulary.len(), 49408);
        for (token, id) in [
            ("!", 0),
            ("ÿ", 187),
            ("Ā", 188),
            ("!</w>", 256),
            ("in", 512),
            ("a</w>", 320),
            ("cat</w>", 2368),
            ("photo</w>", 1125),
            ("<|startoftext|>", 49406),
            ("<|endoftext|>", 49407),
        ] {
            assert_eq!(vocabulary.get(token), Some(&id.into()), "{token}");
        }
    }
}
