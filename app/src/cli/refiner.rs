//! Options of `render` that name a refiner.

use pentimento_engine::catalog::Catalog;
use pentimento_engine::recipe::{ModelRef, Recipe, Refiner};

use super::model_choice::{find, named, of_recipe};
use super::{Args, Failure};

/// What to say for no refiner where a recipe's file has one.
const NONE: &str = "none";

/// The options that were given.
#[derive(Default)]
pub(super) struct RefinerOptions {
    model: Option<String>,
    switch_at: Option<f64>,
}

impl RefinerOptions {
    /// Reads the options; ranges are checked with the whole recipe.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            model: args.text("refiner")?.map(str::to_owned),
            switch_at: args.number("refiner-switch", "a number")?,
        })
    }

    /// The model that was named.
    pub(super) fn named(&self) -> Option<&String> {
        self.model.as_ref().filter(|name| *name != NONE)
    }

    /// Whether the catalogue already holds it, or the one that a recipe means.
    pub(super) fn is_known(&self, of_recipe: Option<&Refiner>, catalog: &Catalog) -> bool {
        match (&self.model, of_recipe) {
            (Some(_), _) => self
                .named()
                .is_none_or(|name| find(catalog, name).is_some()),
            (None, Some(refiner)) => {
                catalog.meant(&refiner.model).is_some()
                    || find(catalog, &refiner.model.id).is_some()
            }
            (None, None) => true,
        }
    }

    /// Puts the options into a recipe.
    ///
    /// # Errors
    /// For a model that is not there, and for a switch without a refiner.
    pub(super) fn apply(
        &self,
        recipe: &mut Recipe,
        catalog: &Catalog,
        notes: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let old = recipe.refiner.take();
        let old_switch = old.as_ref().map(|refiner| refiner.switch_at);
        let model = match (self.named(), old) {
            (Some(name), _) => {
                let model = named(catalog, name)?;
                Some(ModelRef {
                    id: model.id.clone(),
                    sha256: model.sha256.clone(),
                    ..ModelRef::default()
                })
            }
            // Its hash stays: whether these are the files that it means is seen when they are read.
            (None, Some(refiner)) if self.model.is_none() => Some(ModelRef {
                id: of_recipe(catalog, &refiner.model, notes)?.id.clone(),
                ..refiner.model
            }),
            (None, _) => None,
        };
        let Some(model) = model else {
            return match self.switch_at {
                Some(_) => Err(Failure::usage("--refiner-switch needs --refiner")),
                None => Ok(()),
            };
        };
        recipe.refiner = Some(Refiner {
            model,
            switch_at: self
                .switch_at
                .or(old_switch)
                .unwrap_or(Refiner::USUAL_SWITCH),
            parts_from: None,
        });
        Ok(())
    }
}
