//! CLIP's byte-pair tokenizer (Radford et al. 2021), from `tokenizer.json` or from `vocab.json` and
//! `merges.txt`. Only vocabulary and merges are taken from the files: splitting and normalising are
//! CLIP's own, as in transformers, so that a file cannot bring rules of its own.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::learned::LearnedWords;
use crate::error::{EngineError, Result};
use crate::weights::files::ModelFiles;

/// CLIP's pieces of text: marks, contractions, words, single digits, runs of other characters.
const PIECES: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// What marks a token that ends a word.
const WORD_END: &str = "</w>";
const REMEDY: &str = "copy the model's tokenizer folder again";

/// Text to token ids of a fixed length.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    start: u32,
    end: u32,
    pad: u32,
    length: usize,
    largest_id: u32,
    path: PathBuf,
    learned: LearnedWords,
}

/// A tokenised prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Start mark, text, end mark, padding: exactly the context's length.
    pub ids: Vec<u32>,
    /// Tokens of the text without marks, before it was cut.
    pub used: usize,
}

impl Tokenizer {
    /// Reads `<folder>/`, for a text encoder that reads `context` tokens, marks included.
    ///
    /// # Errors
    /// `BadFile` when a file is missing or malformed.
    pub fn read(files: &ModelFiles, folder: &str, context: usize) -> Result<Self> {
        let (vocabulary, merges, path) = read_model(files, folder)?;
        let bad = |problem: String| EngineError::bad_file(&path, problem, REMEDY);
        let options = read_options(files, folder)?;
        let token = |name: &str, default: &str| -> Result<(String, u32)> {
            let content = token_content(options.get(name)).unwrap_or_else(|| default.to_owned());
            let id = vocabulary.get(&content).and_then(Value::as_u64);
            let id = id.and_then(|id| u32::try_from(id).ok());
            let id =
                id.ok_or_else(|| bad(format!("{name} “{content}” is not in the vocabulary")))?;
            Ok((content, id))
        };
        let (start_text, start) = token("bos_token", "<|startoftext|>")?;
        let (end_text, end) = token("eos_token", "<|endoftext|>")?;
        let (pad_text, pad) = token("pad_token", "<|endoftext|>")?;
        let (unknown, _) = token("unk_token", "<|endoftext|>")?;
        let length = options
            .get("model_max_length")
            .and_then(Value::as_u64)
            .map_or(context, |length| {
                usize::try_from(length).unwrap_or(usize::MAX).min(context)
            });
        if length < 3 {
            return Err(bad("model_max_length is below 3".to_owned()));
        }
        let largest_id = vocabulary
            .values()
            .filter_map(Value::as_u64)
            .max()
            .unwrap_or(0);
        let largest_id =
            u32::try_from(largest_id).map_err(|_too_large| bad("an id is too large".to_owned()))?;

        let mut specials: Vec<Special> = Vec::new();
        for (name, content, id) in [
            ("bos_token", start_text, start),
            ("eos_token", end_text, end),
            ("pad_token", pad_text, pad),
        ] {
            // Folders of 2022 give their marks as objects that are matched after lower-casing; a later
            // mark of the same text decides, as in the reference. A pad token that is an ordinary one
            // (SD 2 pads with “!”) is still cut out of the text first.
            let normalized = options.get(name).and_then(|value| value.get("normalized"));
            let normalized = normalized.and_then(Value::as_bool).unwrap_or(false);
            specials.retain(|special| special.content != content);
            specials.push(Special {
                content,
                id,
                normalized,
            });
        }
        let definition = definition(&vocabulary, &merges, &unknown, &specials);
        let inner = serde_json::from_value::<tokenizers::Tokenizer>(definition)
            .map_err(|error| bad(format!("vocabulary and merges do not fit ({error})")))?;
        Ok(Self {
            inner,
            start,
            end,
            pad,
            length,
            largest_id,
            path,
            learned: LearnedWords::default(),
        })
    }

    /// # Errors
    /// `BadFile` when an id is beyond a text encoder's table of `rows`.
    pub fn check_rows(&self, rows: usize) -> Result<()> {
        if (self.largest_id as usize) < rows {
            return Ok(());
        }
        Err(EngineError::bad_file(
            &self.path,
            format!(
                "ids go up to {}, but the text encoder knows {rows}",
                self.largest_id
            ),
            "tokenizer and text encoder must come from one model: copy both again",
        ))
    }

    /// Token ids of exactly the context's length; text beyond it is cut.
    ///
    /// # Errors
    /// `Compute` when the tokenizer library fails.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let words = self.words(text)?;
        let used = words.len();
        let ids = self.framed(words);
        Ok(Tokens { ids, used })
    }

    /// Token ids of a text of any length, without marks.
    ///
    /// # Errors
    /// `Compute` when the tokenizer library fails.
    pub fn words(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|error| EngineError::Compute {
                op: "tokenizer".to_owned(),
                reason: error.to_string(),
            })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Takes these words into the vocabulary, in the place of all learned before: names and how many
    /// vectors each has.
    ///
    /// # Errors
    /// `Compute` when the tokenizer library fails.
    pub fn learn<'a>(&mut self, words: impl IntoIterator<Item = (&'a str, usize)>) -> Result<()> {
        let mut learned = LearnedWords::default();
        for (name, vectors) in words {
            learned.add(name, self.words(name)?, vectors);
        }
        self.learned = learned;
        Ok(())
    }

    /// What was learned.
    pub fn learned(&self) -> &LearnedWords {
        &self.learned
    }

    /// Start mark, as many of these ids as fit, end mark, padding.
    pub fn framed(&self, words: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.start);
        ids.extend(words.into_iter().take(self.room()));
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        ids
    }

    /// Tokens of text that fit into one context, marks not counted.
    pub fn room(&self) -> usize {
        self.length - 2
    }

    /// The id of the mark behind a text.
    pub fn end_mark(&self) -> u32 {
        self.end
    }

    /// The id of a comma that stands alone, if the vocabulary has one.
    pub fn comma(&self) -> Option<u32> {
        self.inner.token_to_id(",</w>")
    }

    /// Tokens as text again: lower case, words apart.
    pub fn text(&self, ids: &[u32]) -> String {
        let spelled = ids.iter().filter_map(|id| self.inner.id_to_token(*id));
        let spelled: String = spelled.collect();
        let bytes: Vec<u8> = spelled
            .trim_end_matches(WORD_END)
            .replace(WORD_END, " ")
            .chars()
            .filter_map(byte_of)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The byte behind a letter of a byte-pair vocabulary: printable ones are themselves, the 68 others
/// stand behind U+0100 in their order (Radford et al. 2019).
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u8::try_from(code) {
        Ok(byte) => Some(byte),
        Err(_) => (0..=u8::MAX)
            .filter(|byte| !printable(*byte))
            .nth((code - 0x100) as usize),
    }
}

/// Vocabulary, merges, and the file that holds them.
fn read_model(files: &ModelFiles, folder: &str) -> Result<(Map<String, Value>, Value, PathBuf)> {
    let whole = format!("{folder}/tokenizer.json");
    let path = files.label(&whole);
    let bad = |path: &PathBuf, problem: &str| EngineError::bad_file(path, problem, REMEDY);
    if !files.exists(&whole) {
        let vocab = format!("{folder}/vocab.json");
        let path = files.label(&vocab);
        let vocabulary = serde_json::from_slice(&files.tokenizer_file(&vocab)?)
            .map_err(|error| bad(&path, &format!("not a JSON object ({error})")))?;
        let merges = files.tokenizer_file(&format!("{folder}/merges.txt"))?;
        let merges = String::from_utf8(merges).map_err(|_not_utf8| {
            bad(
                &files.label(&format!("{folder}/merges.txt")),
                "not UTF-8 text",
            )
        })?;
        let merges = merges
            .lines()
            .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
            .map(|line| Value::from(line.trim_end()))
            .collect();
        return Ok((vocabulary, merges, path));
    }
    let mut root: Map<String, Value> = serde_json::from_slice(&files.tokenizer_file(&whole)?)
        .map_err(|error| bad(&path, &format!("not a JSON object ({error})")))?;
    let added = root.remove("added_tokens");
    let mut model = match root.remove("model") {
        Some(Value::Object(model)) => model,
        _ => return Err(bad(&path, "“model” is missing")),
    };
    let suffix = model.get("end_of_word_suffix").and_then(Value::as_str);
    if suffix != Some(WORD_END) {
        return Err(bad(
            &path,
            "not a CLIP tokenizer (no byte pairs with “</w>”)",
        ));
    }
    let (Some(Value::Object(mut vocabulary)), Some(merges)) =
        (model.remove("vocab"), model.remove("merges"))
    else {
        return Err(bad(&path, "“vocab” or “merges” is missing"));
    };
    // Marks may stand beside the vocabulary instead of in it.
    for token in added
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let (Some(content), Some(id)) = (token_content(Some(token)), token.get("id")) {
            vocabulary.entry(content).or_insert_with(|| id.clone());
        }
    }
    Ok((vocabulary, merges, path))
}

/// `tokenizer_config.json` over `special_tokens_map.json`; both may be absent.
fn read_options(files: &ModelFiles, folder: &str) -> Result<Map<String, Value>> {
    let mut options = Map::new();
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let relative = format!("{folder}/{name}");
        if files.exists(&relative) {
            options.extend(
                files
                    .config(&relative)?
                    .into_iter()
                    .filter(|(_, value)| !value.is_null()),
            );
        }
    }
    Ok(options)
}

/// A token as a text or as `{"content": text}`.
fn token_content(value: Option<&Value>) -> Option<String> {
    let value = value?;
    value
        .as_str()
        .or_else(|| value.get("content")?.as_str())
        .map(str::to_owned)
}

/// A token that is cut out of the text before it is split.
struct Special {
    content: String,
    id: u32,
    /// Whether it is looked for in the normalised (lower-case) text.
    normalized: bool,
}

fn definition(
    vocabulary: &Map<String, Value>,
    merges: &Value,
    unknown: &str,
    specials: &[Special],
) -> Value {
    let added: Vec<Value> = specials
        .iter()
        .map(|special| {
            json!({
                "id": special.id, "content": special.content, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": special.normalized,
                "special": true,
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocabulary, "merges": merges,
        },
    })
}
