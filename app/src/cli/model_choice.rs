//! Which model of the catalogue is meant.

use std::path::Path;

use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::error::EngineError;

use super::Failure;

/// The model by name or folder, without one the first; a recipe's model also by its hash, since
/// folders get renamed.
pub(super) fn choose<'a>(
    catalog: &'a Catalog,
    wanted: Option<&str>,
    hash: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<&'a ModelInfo, Failure> {
    let Some(wanted) = wanted else {
        return catalog.models.first().ok_or_else(|| {
            Failure::Other("there is no model; give a folder with --models DIR".to_owned())
        });
    };
    let by_name = find(catalog, wanted);
    let known = by_name.and_then(|model| model.sha256.as_deref());
    if hash.is_none() || known == hash {
        return by_name.ok_or_else(|| missing_model(catalog, wanted));
    }
    let by_hash = catalog
        .models
        .iter()
        .find(|model| model.sha256.as_deref() == hash);
    match (by_hash, by_name) {
        (Some(model), _) => {
            notes.push(format!(
                "the recipe's model “{wanted}” is here “{}”",
                model.id
            ));
            Ok(model)
        }
        (None, Some(model)) => {
            if known.is_some() {
                notes.push(format!(
                    "the model “{wanted}” is not the one the recipe was made with: the picture \
                     will differ"
                ));
            }
            Ok(model)
        }
        (None, None) => Err(missing_model(catalog, wanted)),
    }
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
