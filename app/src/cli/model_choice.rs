//! Which model of the catalogue is meant.

use std::path::Path;

use pentimento_engine::catalog::matching::MatchedBy;
use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::error::EngineError;
use pentimento_engine::recipe::ModelRef;

use super::Failure;

/// The model that an option names, by id or folder.
pub(super) fn named<'a>(catalog: &'a Catalog, wanted: &str) -> Result<&'a ModelInfo, Failure> {
    find(catalog, wanted).ok_or_else(|| missing_model(catalog, wanted))
}

/// The model that a recipe means; without a name the first.
pub(super) fn of_recipe<'a>(
    catalog: &'a Catalog,
    wanted: &ModelRef,
    notes: &mut Vec<String>,
) -> Result<&'a ModelInfo, Failure> {
    if wanted.id.is_empty() && wanted.short_hash.is_none() {
        return first(catalog);
    }
    let name = &wanted.id;
    let meant = catalog.meant(wanted);
    let meant = meant.or_else(|| Some((find(catalog, name)?, MatchedBy::Name)));
    let Some((model, by)) = meant else {
        return Err(missing_model(catalog, name));
    };
    match by {
        MatchedBy::Hash if model.id != *name => {
            notes.push(format!(
                "the recipe's model “{name}” is here “{}”",
                model.id
            ));
        }
        MatchedBy::Name if model.differs_from(wanted) => {
            notes.push(format!(
                "the model “{name}” is not the one the recipe was made with: the picture will differ"
            ));
        }
        MatchedBy::Hash | MatchedBy::Name => {}
    }
    Ok(model)
}

/// The model that is taken when none is named.
pub(super) fn first(catalog: &Catalog) -> Result<&ModelInfo, Failure> {
    catalog.models.first().ok_or_else(|| {
        Failure::Other("there is no model; give a folder with --models DIR".to_owned())
    })
}

/// By id, or by folder however its path is written.
pub(super) fn find<'a>(catalog: &'a Catalog, wanted: &str) -> Option<&'a ModelInfo> {
    catalog.find(wanted).or_else(|| {
        let folder = Path::new(wanted).canonicalize().ok()?;
        catalog.models.iter().find(|model| {
            let path = model
                .path
                .as_ref()
                .and_then(|path| path.canonicalize().ok());
            path.as_ref() == Some(&folder)
        })
    })
}

/// Why a model is not there: broken (and how) rather than unknown, where the catalogue says so.
fn missing_model(catalog: &Catalog, wanted: &str) -> Failure {
    let named = Path::new(wanted);
    let full = named.canonicalize().ok();
    let broken = catalog.problems.iter().find(|problem| {
        problem.path.file_stem() == Some(named.as_os_str())
            || full.is_some() && problem.path.canonicalize().ok() == full
    });
    match broken {
        Some(problem) => problem.error.clone().into(),
        None => EngineError::ModelNotFound {
            wanted: wanted.to_owned(),
            known: catalog
                .models
                .iter()
                .map(|model| model.id.clone())
                .collect(),
        }
        .into(),
    }
}
