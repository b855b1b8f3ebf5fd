//! A second model that takes over at low noise.

use pentimento_engine::error::EngineError;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{ModelRef, Recipe, Refiner};
use support::running::{Running, recipe, request};

fn with_refiner(model: &str, refiner: &str, switch_at: f64) -> Recipe {
    Recipe {
        refiner: Some(Refiner {
            model: ModelRef {
                id: refiner.to_owned(),
                ..ModelRef::default()
            },
            switch_at,
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
fn a_refiner_of_another_kind_is_refused_by_name() {
    let running = Running::start();
    for (model, refiner, word) in [
        ("xl", "mixed", "another kind"),
        ("xl", "xl_inpainting", "inpainting"),
    ] {
        let outcome = running.pictures(request(with_refiner(model, refiner, 0.5)));
        match outcome {
            Err(EngineError::InvalidRequest { field, why }) => {
                assert_eq!(field, "refiner");
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
