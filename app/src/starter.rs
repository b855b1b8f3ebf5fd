//! What the program carries inside: the starter model, so that the first picture needs nothing
//! else, and the notices that go with it. The build script lists the files.

mod table {
    use pentimento_engine::engine::EmbeddedModel;

    include!(concat!(env!("OUT_DIR"), "/starter_table.rs"));
}

use pentimento_engine::engine::EmbeddedModel;

/// Models inside the program, for [`pentimento_engine::engine::EngineConfig::embedded_models`].
pub fn embedded_models() -> &'static [EmbeddedModel] {
    table::EMBEDDED_MODELS
}

/// Licences and notices by file name, for the About panel: the program's own, and whose pictures
/// the starter model learned from.
pub fn notices() -> &'static [(&'static str, &'static str)] {
    table::NOTICES
}

#[cfg(test)]
mod tests {
    use super::*;
    use pentimento_engine::cancel::CancelToken;
    use pentimento_engine::catalog::hash::hash_model;
    use pentimento_engine::catalog::scan::Scanner;

    #[test]
    fn the_starter_is_whole_and_named() {
        let model = &embedded_models()[0];
        let file = |name: &str| model.files.iter().find(|(path, _)| *path == name);
        let (_, about) = file("pentimento.json").expect("its sidecar");
        let about: serde_json::Value = serde_json::from_slice(about).unwrap();
        assert_eq!(about["id"], model.id);
        let (_, index) = file("model_index.json").expect("its index");
        let index: serde_json::Value = serde_json::from_slice(index).unwrap();
        for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
            assert!(index[part].is_array(), "{part}");
            let folder = format!("{part}/");
            assert!(
                model
                    .files
                    .iter()
                    .any(|(path, _)| path.starts_with(&folder))
            );
        }
        let (_, found) = Scanner::default().scan(&[], embedded_models());
        let hash = hash_model(&found[0], &CancelToken::default()).unwrap();
        assert_eq!(
            hash, model.sha256,
            "write it into assets/starter/model.sha256"
        );
        assert!(notices().iter().any(|(name, _)| *name == "NOTICE.txt"));
    }
}
