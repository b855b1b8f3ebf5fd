//! Recipes from files: a picture with its record inside, or JSON.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pentimento_engine::error::EngineError;
use pentimento_engine::recipe::{
    Dialect, MAX_JSON_BYTES, Outcome, Recipe, Record, read_record_file,
};

use super::Failure;

/// A recipe from a file, with what differs in this program.
pub(super) struct Loaded {
    /// Recipe, and outcome where it is known.
    pub(super) record: Record,
    /// Notes for the user.
    pub(super) notes: Vec<String>,
    /// Who wrote it.
    pub(super) dialect: Dialect,
}

/// Reads a recipe from a picture or a JSON file.
pub(super) fn load_recipe(path: &Path) -> Result<Loaded, Failure> {
    if let Some(found) = read_record_file(path)? {
        return Ok(Loaded {
            record: found.record,
            notes: found.notes,
            dialect: found.dialect,
        });
    }
    let bad = |problem: String, remedy: &str| EngineError::bad_file(path, problem, remedy);
    let failed = |error| EngineError::io(path, "read", &error);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_JSON_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(bad(
            "there is no recipe in this file".to_owned(),
            "give a picture made by Pentimento, A1111, ComfyUI, InvokeAI, Fooocus, SwarmUI or \
             NovelAI, or a recipe's JSON file",
        )
        .into());
    };
    let recipe = Recipe::from_json(&text)
        .map_err(|error| bad(error.to_string(), "give a picture or a recipe's JSON file"))?;
    let notes = recipe.revision_warnings();
    let outcome = Record::from_json(&text).map_or_else(|_| Outcome::default(), |r| r.outcome);
    Ok(Loaded {
        record: Record { recipe, outcome },
        notes,
        dialect: Dialect::Pentimento,
    })
}
