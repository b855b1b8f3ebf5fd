//! A second model that takes over at low noise.

use pentimento_engine::client::EngineClient;
use pentimento_engine::error::EngineError;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{ModelRef, Recipe, Record, Refiner};
use support::layouts::Layout;
use support::running::{Options, Running, recipe, request};

fn with_refiner(model: &str, refiner: &str, switch_at: f64) -> Recipe {
    Recipe {
        refiner: Some(Refiner {
            model: ModelRef {
                id: refiner.to_owned(),
                ..ModelRef::default()
            },
            switch_at,
            parts_from: None,
        }),
        steps: 4,
        sampler: "euler".to_owned(),
        ..recipe(model)
    }
}

#[test]
fn the_switch_decides_whose_picture_it_is() {
    let running = Running::start();
    let alone = |model: &str| -> Picture {
        running.picture(Recipe {
            refiner: None,
            ..with_refiner(model, "", 0.0)
        })
    };
    let base = alone("xl");
    let refined = |at| running.picture(with_refiner("xl", "xl_refiner", at));
    assert!(refined(1.0) == base, "never handed over");
    let half = refined(0.5);
    assert!(half != base);
    // Handed over to itself, nothing changes.
    assert!(running.picture(with_refiner("xl", "xl", 0.5)) == base);
    // And afterwards the first model still draws alone.
    assert!(alone("xl") == base);
}

#[test]
fn the_refiners_files_are_told_and_checked_as_the_models() {
    let running = Running::start();
    let mut wanted = with_refiner("xl", "xl_refiner", 0.5);
    let hash = |recipe: &Recipe| recipe.refiner.clone().unwrap().model.sha256;
    let first = running.records(request(wanted.clone())).unwrap().remove(0);
    let told = hash(&first.recipe).expect("its files were read");
    assert_eq!(told.len(), 64);
    let noted = |record: &Record, words: &str| {
        let warnings = &record.outcome.warnings;
        warnings.iter().any(|note| note.contains(words))
    };
    assert!(!noted(&first, "files differ"), "{:?}", first.outcome);
    wanted.refiner.as_mut().unwrap().model.sha256 = Some("0".repeat(64));
    let second = running.records(request(wanted)).unwrap().remove(0);
    assert!(noted(&second, "the refiner's files differ"));
    assert_eq!(hash(&second.recipe), Some(told));
}

#[test]
fn deep_features_are_those_that_the_refiner_has_too() {
    let root = tempfile::TempDir::new().unwrap();
    for name in ["first", "second"] {
        let folder = root.path().join(name);
        Layout::read(name).write_folder(&folder, &|_, _, values| values.to_vec());
    }
    let running = Running::with(Options {
        model_folders: vec![root.path().to_owned()],
        ..Options::default()
    });
    running.wait_for_model("first");
    // The second has six skip connections, the first four.
    let mut wanted = with_refiner("second", "first", 0.5);
    wanted.network.reuse.deep_every = 2;
    wanted.network.reuse.deep_branch = 5;
    match running.pictures(request(wanted)) {
        Err(EngineError::InvalidRequest { field, why }) => {
            assert_eq!(field, "network.reuse.deep_branch");
            assert!(why.contains("the refiner"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refiner_of_another_kind_is_refused_by_name() {
    let running = Running::start();
    for (model, refiner, word) in [
        ("xl", "mixed", "another kind"),
        ("xl", "sd1", "another kind"),
        ("xl", "xl_inpainting", "inpainting"),
        ("xl", "xl_edit", "changing pictures"),
    ] {
        running.wait_for_model(model);
        running.wait_for_model(refiner);
        // Before anything is loaded.
        let outcome = running
            .engine
            .submit(request(with_refiner(model, refiner, 0.5)));
        match outcome {
            Err(EngineError::InvalidRequest { field, why }) => {
                assert_eq!(field, "refiner.model");
                assert!(why.contains(word), "{why}");
            }
            other => panic!("{model}, {refiner}: {other:?}"),
        }
    }
}

#[test]
fn a_model_that_changes_pictures_asks_for_one() {
    let running = Running::start();
    match running.pictures(request(recipe("sd1_edit"))) {
        Err(EngineError::InvalidRequest { field, .. }) => assert_eq!(field, "start"),
        other => panic!("{other:?}"),
    }
}
