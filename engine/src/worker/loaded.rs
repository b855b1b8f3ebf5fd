//! A model in memory, with what is kept for it between pictures.

use std::collections::HashMap;

use super::stand_ins::StandIns;
use super::words::Taught;
use crate::backend::Backend;
use crate::cancel::CancelToken;
use crate::catalog::scan::Found;
use crate::error::Result;
use crate::families::identify;
use crate::families::model::{Conditioning, Model, ModelPart};
use crate::pipeline::Prompts;
use crate::preview::LinearMap;
use crate::prompt::Reading;
use crate::recipe::{AddOnMade, Precision, Recipe};

/// Encoded texts kept with a model.
const ENCODINGS_LIMIT: usize = 32;

/// A model in memory.
pub(super) struct Loaded {
    pub(super) found: Found,
    pub(super) precision: Precision,
    pub(super) model: Box<dyn Model>,
    pub(super) map: LinearMap,
    pub(super) stand_ins: StandIns,
    pub(super) encodings: HashMap<(String, Reading), Conditioning>,
    /// What it was brought to.
    pub(super) add_ons: Vec<AddOnMade>,
    /// Words that it learned.
    pub(super) words: Option<Taught>,
    /// Decoding time per picture pixel, in seconds, once known.
    pub(super) decode_secs_per_px: Option<f64>,
    /// That of previews.
    pub(super) preview_secs_per_px: Option<f64>,
}

/// Whether this is in memory, and still what its files say.
pub(super) fn is_loaded(loaded: &Option<Loaded>, found: &Found, precision: Precision) -> bool {
    loaded.as_ref().is_some_and(|loaded| {
        loaded.precision == precision && loaded.found.is_same(found) && loaded.found.is_unchanged()
    })
}

impl Loaded {
    /// Opens a model. Its weights come when they are needed, or by [`Model::fetch_all`].
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(super) fn load(
        found: &Found,
        precision: Precision,
        backend: &Backend,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let compute = backend.compute(precision);
        let model = (identify(&found.files)?.load)(&found.files, &compute, cancel)?;
        let map = LinearMap::for_autoencoder(model.autoencoder(), backend.device(), cancel)?;
        Ok(Self {
            found: found.clone(),
            precision,
            model,
            map,
            stand_ins: StandIns::default(),
            encodings: HashMap::new(),
            add_ons: Vec::new(),
            words: None,
            decode_secs_per_px: None,
            preview_secs_per_px: None,
        })
    }

    /// Whether all of it but its autoencoder is in memory.
    pub(super) fn is_whole(&self) -> bool {
        let mut parts = ModelPart::ALL.into_iter();
        parts.all(|part| self.model.has(part))
    }

    /// Both prompts of a recipe, as this model reads them.
    ///
    /// # Errors
    /// As `Model::encode_prompt`.
    pub(super) fn prompts(&mut self, recipe: &Recipe, cancel: &CancelToken) -> Result<Prompts> {
        let reading = recipe.reading();
        Prompts::encode(recipe, &mut |text, role| {
            self.encode(text, reading.of(role), cancel)
        })
    }

    fn encode(
        &mut self,
        text: &str,
        reading: Reading,
        cancel: &CancelToken,
    ) -> Result<Conditioning> {
        let key = (text.to_owned(), reading);
        if let Some(known) = self.encodings.get(&key) {
            return Ok(known.clone());
        }
        let encoded = self.model.encode_prompt(text, reading, cancel)?;
        if self.encodings.len() >= ENCODINGS_LIMIT {
            self.encodings.clear();
        }
        self.encodings.insert(key, encoded.clone());
        Ok(encoded)
    }
}

/// What the user should know of a model and of how far it read the prompts.
pub(super) fn notes_on(model: &dyn Model, prompts: &Prompts, who: &str) -> Vec<String> {
    let fields = ["prompt", "negative prompt"].into_iter().zip(prompts.cut());
    let cut = fields.filter_map(|(field, cut)| {
        let (used, limit) = cut?;
        Some(format!(
            "the {field} has {used} tokens, of which {who} read the first {limit}"
        ))
    });
    model.warnings().iter().cloned().chain(cut).collect()
}
