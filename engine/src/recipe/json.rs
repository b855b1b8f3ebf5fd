//! Recipes and records to and from JSON that a person, another program or another version of this
//! one may have written: size checked, version checked, unknown fields kept wherever they stand.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{PROMPT_REVISION, RECIPE_VERSION, Recipe, Record, SAMPLER_REVISION};
use crate::error::{EngineError, Result};

/// Longest JSON text of a recipe or record that is read, in bytes.
pub const MAX_JSON_BYTES: usize = 4 << 20;

/// Where [`Recipe::unknown`] keeps unknown fields of the recipe's inner objects, as a tree of the
/// same shape. Written back in place by [`Recipe::to_json`].
const NESTED: &str = "_unknown_inside";

/// Objects of a recipe that may be absent.
const OPTIONAL_OBJECTS: &[&str] = &["start", "inpaint"];

impl Recipe {
    /// Reads a recipe: a recipe's JSON, or a whole record's, whose recipe is taken.
    ///
    /// # Errors
    /// `InvalidRequest` for text that is too long, no JSON, or lacks a field, and for a recipe of a
    /// newer major version.
    pub fn from_json(text: &str) -> Result<Self> {
        let value = parse(text)?;
        match value.get("recipe") {
            Some(inner) => recipe_from_value(inner.clone(), "recipe."),
            None => recipe_from_value(value, ""),
        }
    }

    /// The recipe as indented JSON.
    pub fn to_json(&self) -> String {
        pretty(&recipe_to_value(self))
    }

    /// What differs between the program that wrote the recipe and this one, in words for the user;
    /// empty when the same recipe gives the same pixels.
    pub fn revision_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut compare = |what: &str, theirs: u32, ours: u32| {
            if theirs != ours {
                let age = if theirs < ours { "an older" } else { "a newer" };
                warnings.push(format!(
                    "made with {age} revision of the {what} ({theirs}, this program has {ours}): \
                     the picture may differ a little"
                ));
            }
        };
        compare("samplers", self.sampler_revision, SAMPLER_REVISION);
        compare("prompt grammar", self.prompt_revision, PROMPT_REVISION);
        warnings
    }

    /// Sets the revisions to this program's, as for a picture that is to be made now. Returns
    /// [`Self::revision_warnings`] of what it was.
    pub fn adopt_revisions(&mut self) -> Vec<String> {
        self.lift_plain_prompts();
        let warnings = self.revision_warnings();
        self.sampler_revision = SAMPLER_REVISION;
        self.prompt_revision = PROMPT_REVISION;
        warnings
    }
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// As [`Recipe::from_json`].
    pub fn from_json(text: &str) -> Result<Self> {
        let mut value = parse(text)?;
        let object = value
            .as_object_mut()
            .ok_or_else(|| EngineError::invalid("record", "this is no JSON object"))?;
        let recipe = object
            .remove("recipe")
            .ok_or_else(|| EngineError::invalid("record", "the field `recipe` is missing"))?;
        let outcome = object.remove("outcome").unwrap_or(Value::Null);
        Ok(Self {
            recipe: recipe_from_value(recipe, "recipe.")?,
            outcome: if outcome.is_null() {
                super::Outcome::default()
            } else {
                typed(outcome, "outcome")?
            },
        })
    }

    /// The record as one line of JSON: what a picture file carries.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("recipe".to_owned(), recipe_to_value(&self.recipe));
        object.insert("outcome".to_owned(), to_value(&self.outcome));
        Value::Object(object).to_string()
    }
}

fn parse(text: &str) -> Result<Value> {
    if text.len() > MAX_JSON_BYTES {
        return Err(EngineError::invalid(
            "recipe",
            format!("the text is longer than {} MiB", MAX_JSON_BYTES >> 20),
        ));
    }
    serde_json::from_str(text)
        .map_err(|error| EngineError::invalid("recipe", format!("this is not JSON: {error}")))
}

fn typed<T: DeserializeOwned>(value: Value, field: &str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| EngineError::invalid(field, error.to_string()))
}

/// `prefix` is put before field names in errors.
fn recipe_from_value(value: Value, prefix: &str) -> Result<Recipe> {
    if !value.is_object() {
        return Err(EngineError::invalid("recipe", "this is no JSON object"));
    }
    let major = value.pointer("/version/major").and_then(Value::as_u64);
    if major.is_some_and(|major| major > u64::from(RECIPE_VERSION.major)) {
        return Err(EngineError::invalid(
            format!("{prefix}version"),
            format!(
                "written by a newer version of the program (format {}, this one reads up to {}): \
                 update to open it",
                major.unwrap_or_default(),
                RECIPE_VERSION.major
            ),
        ));
    }
    let mut recipe: Recipe = typed(value.clone(), "recipe")?;
    recipe.lift_plain_prompts();
    let mut inside = Map::new();
    let known = to_value(&recipe);
    for (key, theirs) in value.as_object().into_iter().flatten() {
        if let Some(rest) = known
            .get(key)
            .filter(|_| !recipe.unknown.contains_key(key))
            .and_then(|ours| missing(theirs, ours))
        {
            inside.insert(key.clone(), rest);
        }
    }
    if !inside.is_empty() {
        recipe
            .unknown
            .insert(NESTED.to_owned(), Value::Object(inside));
    }
    Ok(recipe)
}

fn recipe_to_value(recipe: &Recipe) -> Value {
    let mut value = to_value(recipe);
    if let Some(object) = value.as_object_mut()
        && let Some(inside) = object.remove(NESTED)
    {
        merge(&mut value, inside);
    }
    value
}

/// The fields of `theirs` that `ours` lacks, at any depth of objects; `None` when there are none.
fn missing(theirs: &Value, ours: &Value) -> Option<Value> {
    let (theirs, ours) = (theirs.as_object()?, ours.as_object()?);
    let rest: Map<String, Value> = theirs
        .iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(key, value)| match ours.get(key) {
            Some(known) => missing(value, known).map(|rest| (key.clone(), rest)),
            None => Some((key.clone(), value.clone())),
        })
        .collect();
    (!rest.is_empty()).then_some(Value::Object(rest))
}

/// Adds `extra`'s fields to `value` where they are missing; what is there already wins.
fn merge(value: &mut Value, extra: Value) {
    if let (Value::Object(object), Value::Object(extra)) = (value, extra) {
        for (key, more) in extra {
            match object.get_mut(&key) {
                Some(known) => merge(known, more),
                // A start picture or mask that was taken out of the recipe since stays out.
                None if OPTIONAL_OBJECTS.contains(&key.as_str()) => {}
                None => {
                    object.insert(key, more);
                }
            }
        }
    }
}

fn to_value(thing: &impl Serialize) -> Value {
    // Plain structs with string keys: serialisation to a value has no way to fail.
    serde_json::to_value(thing).unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
