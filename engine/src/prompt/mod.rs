//! Prompts: text to tokens.

pub mod tokenizer;
