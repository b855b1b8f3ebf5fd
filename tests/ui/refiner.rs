//! Controls that belong to a model: one that takes over, and how closely a picture is kept to.

use std::sync::Arc;

use egui_kittest::kittest::Queryable as _;
use pentimento::studio::draft::DraftEdit;
use pentimento_engine::event::Event;
use pentimento_engine::latent::LatentSpace;
use pentimento_engine::recipe::{ModelRef, Refiner};

use support::fake_engine::catalog;

use crate::harness::TestStudio;

fn slider(studio: &TestStudio, label: &str) -> bool {
    let role = egui::Role::Slider;
    studio.window.query_by_role_and_label(role, label).is_some()
}

#[test]
fn a_refiner_is_chosen_and_goes_with_the_job() {
    let mut studio = TestStudio::new();
    studio.window.get_by_label("Advanced").click();
    studio.run();
    assert!(!slider(&studio, "Refiner switch at"));
    let role = egui::Role::ComboBox;
    studio
        .window
        .get_by_role_and_label(role, "Refiner")
        .scroll_to_me();
    studio.run();
    studio.window.get_by_role_and_label(role, "Refiner").click();
    studio.run();
    let option = egui::Role::ListBoxOption;
    studio
        .window
        .get_by_role_and_label(option, "Large model")
        .click();
    studio.run();
    assert!(slider(&studio, "Refiner switch at"));
    studio.generate();
    let recipe = studio.engine.script().submitted[0].recipe.clone();
    let expected = Refiner {
        model: ModelRef {
            id: "large".to_owned(),
            sha256: Some("ab".repeat(32)),
            short_hash: None,
        },
        switch_at: Refiner::USUAL_SWITCH,
        parts_from: None,
    };
    assert_eq!(recipe.refiner, Some(expected));

    // Recalled, it comes back; without one, it goes.
    let state = studio.window.state_mut();
    state.send(DraftEdit::Refiner(None));
    studio.run();
    assert!(!slider(&studio, "Refiner switch at"));
    let state = studio.window.state_mut();
    state.send(DraftEdit::Recall(Box::new(recipe)));
    studio.run();
    let draft = &studio.window.state().studio().draft;
    assert_eq!(draft.refiner.as_ref().map(|r| r.switch_at), Some(0.8));
}

#[test]
fn image_guidance_is_there_for_models_that_change_pictures() {
    let mut studio = TestStudio::new();
    assert!(!slider(&studio, "Image guidance"));
    studio.generate();
    let first = studio.engine.script().submitted[0].recipe.clone();
    assert_eq!(first.image_guidance, None);
    let mut catalog = catalog();
    catalog.models[0].edits = true;
    studio.engine.script().catalog = Arc::new(catalog);
    studio.engine.say(Event::CatalogChanged);
    studio.run();
    assert!(slider(&studio, "Image guidance"));
    studio.generate();
    let second = studio.engine.script().submitted[1].recipe.clone();
    assert_eq!(second.image_guidance, Some(1.5));
}

#[test]
fn a_refiner_of_another_family_is_not_on_offer_and_goes_with_the_model() {
    let mut studio = TestStudio::new();
    let mut catalog = catalog();
    let mut other = catalog.models[1].clone();
    (other.id, other.name) = ("xl".to_owned(), "Other family".to_owned());
    other.storage.latents.space = Some(LatentSpace::StableDiffusionXl);
    catalog.models.push(other);
    studio.engine.script().catalog = Arc::new(catalog);
    studio.engine.say(Event::CatalogChanged);
    let refiner = Refiner {
        model: ModelRef {
            id: "large".to_owned(),
            ..ModelRef::default()
        },
        switch_at: 0.5,
        parts_from: None,
    };
    let state = studio.window.state_mut();
    state.send(DraftEdit::Refiner(Some(refiner.clone())));
    studio.run();
    studio.window.get_by_label("Advanced").click();
    studio.run();
    let role = egui::Role::ComboBox;
    let choice = |studio: &mut TestStudio| {
        let refiner = studio.window.get_by_role_and_label(role, "Refiner");
        refiner.scroll_to_me();
        studio.run();
        studio.window.get_by_role_and_label(role, "Refiner").click();
        studio.run();
    };
    choice(&mut studio);
    let option = egui::Role::ListBoxOption;
    let offered = |studio: &TestStudio, name: &str| {
        let window = &studio.window;
        window.query_by_role_and_label(option, name).is_some()
    };
    assert!(offered(&studio, "Large model"));
    assert!(!offered(&studio, "Other family"));

    let state = studio.window.state_mut();
    state.send(DraftEdit::Model("starter".to_owned()));
    studio.run();
    let kept = |studio: &TestStudio| studio.window.state().studio().draft.refiner.clone();
    assert_eq!(kept(&studio), Some(refiner));
    let state = studio.window.state_mut();
    state.send(DraftEdit::Model("xl".to_owned()));
    studio.run();
    assert_eq!(kept(&studio), None);
}
