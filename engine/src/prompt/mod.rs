//! Prompts: text to tokens.

pub mod clip_vocabulary;
pub mod tokenizer;
