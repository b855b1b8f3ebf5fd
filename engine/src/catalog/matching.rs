//! Which model a recipe means: by hash first, since files get renamed; then by name.

use super::{Catalog, ModelInfo};
use crate::recipe::ModelRef;
use crate::recipe::dialects::names::stem;

/// What told the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// Its hash: it is the very same.
    Hash,
    /// Its name; the files may differ.
    Name,
}

impl ModelInfo {
    /// Whether a hash that a recipe names is known not to be this model's.
    pub fn differs_from(&self, wanted: &ModelRef) -> bool {
        let Some(known) = self.sha256.as_deref() else {
            return false;
        };
        let named = [&wanted.sha256, &wanted.short_hash].into_iter().flatten();
        named
            .filter(|hash| hash.len() >= 8)
            .any(|hash| !known.starts_with(hash.as_str()))
    }
}

impl Catalog {
    /// The model that a recipe means, by the hash of its files or the short hash of another program,
    /// else by id, path or file name, in either case of letters.
    pub fn meant(&self, wanted: &ModelRef) -> Option<(&ModelInfo, MatchedBy)> {
        let hash = [&wanted.sha256, &wanted.short_hash];
        let hashes: Vec<&str> = hash.into_iter().flatten().map(String::as_str).collect();
        let same_hash = |model: &&ModelInfo| {
            let known = model.sha256.as_deref().unwrap_or_default();
            hashes
                .iter()
                .any(|hash| hash.len() >= 8 && known.starts_with(hash))
        };
        // Of copies, the one that also has the name.
        let copies = || self.models.iter().filter(same_hash);
        let namesake = copies().find(|model| model.id == wanted.id);
        if let Some(model) = namesake.or_else(|| copies().next()) {
            return Some((model, MatchedBy::Hash));
        }
        let name = stem(&wanted.id).to_lowercase();
        let similar = |model: &&ModelInfo| {
            let file = model.path.as_deref().and_then(|path| path.file_name());
            let file = file.map(|file| file.to_string_lossy().into_owned());
            [Some(model.id.clone()), Some(model.name.clone()), file]
                .iter()
                .flatten()
                .any(|known| stem(known).to_lowercase() == name)
        };
        self.find(&wanted.id)
            .or_else(|| self.models.iter().find(similar))
            .map(|model| (model, MatchedBy::Name))
    }
}

/// A model of that id, for tests.
#[cfg(test)]
pub(crate) fn test_model(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        name: id.to_owned(),
        description: String::new(),
        path: None,
        family: String::new(),
        size_bytes: 0,
        sha256: None,
        native_px: [64, 64],
        multiple_px: 8,
        context_tokens: 75,
        prediction: String::new(),
        inpainting: false,
        edits: false,
        storage: crate::catalog::Storage::default(),
        defaults: crate::catalog::Defaults {
            steps: 1,
            guidance: 1.0,
            sampler: String::new(),
            schedule: String::new(),
            example_prompts: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, path: Option<&str>, sha256: Option<String>) -> ModelInfo {
        ModelInfo {
            path: path.map(Into::into),
            sha256,
            ..test_model(id)
        }
    }

    #[test]
    fn hash_before_name_and_names_without_folder_and_ending() {
        let hash = "ab12".repeat(16);
        let catalog = Catalog {
            models: vec![
                model("other", Some("/m/Dream v1.safetensors"), None),
                model("first copy", None, Some(hash.clone())),
                model("copy", None, Some(hash.clone())),
            ],
            ..Catalog::default()
        };
        let meant = |id: &str, sha256: Option<&str>, short: Option<&str>| {
            let wanted = ModelRef {
                id: id.to_owned(),
                sha256: sha256.map(str::to_owned),
                short_hash: short.map(str::to_owned),
            };
            let (model, by) = catalog.meant(&wanted)?;
            Some((model.id.clone(), by))
        };
        let by_hash = |id: &str| Some((id.to_owned(), MatchedBy::Hash));
        let by_name = |id: &str| Some((id.to_owned(), MatchedBy::Name));
        assert_eq!(meant("copy", Some(&hash), None), by_hash("copy"));
        assert_eq!(meant("x", Some(&hash), None), by_hash("first copy"));
        assert_eq!(
            meant("other", None, Some(&hash[..10])),
            by_hash("first copy")
        );
        assert_eq!(
            meant("other", None, Some("ab12")),
            by_name("other"),
            "too short"
        );
        assert_eq!(meant("SD/dream V1.ckpt", None, None), by_name("other"));
        assert_eq!(meant("gone", None, Some("ffffffffff")), None);
        let differs = |at: usize, sha256: Option<&str>| {
            let sha256 = sha256.map(str::to_owned);
            catalog.models[at].differs_from(&ModelRef {
                sha256,
                ..ModelRef::default()
            })
        };
        assert!(differs(1, Some(&"f".repeat(64))));
        assert!(!differs(1, Some(&hash)) && !differs(1, None));
        assert!(!differs(0, Some(&hash)), "its own hash is not known yet");
    }
}
