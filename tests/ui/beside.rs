//! What lies beside a model's file and what it borrows: pictures in the lists, notes, who lends its
//! parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable as _;
use pentimento::studio::draft::DraftEdit;
use pentimento_engine::catalog::{Borrowed, Catalog};
use pentimento_engine::event::Event;
use pentimento_engine::raster::encode_png;
use pentimento_engine::recipe::ModelRef;
use support::fake_engine::{catalog, gradient};

use crate::harness::TestStudio;

fn with_catalog(catalog: Catalog) -> TestStudio {
    let mut studio = TestStudio::new();
    studio.engine.script().catalog = Arc::new(catalog);
    studio.engine.say(Event::CatalogChanged);
    let state = studio.window.state_mut();
    state.send(DraftEdit::Model("large".to_owned()));
    studio.run();
    studio
}

fn picture(folder: &Path) -> PathBuf {
    let path = folder.join("large.preview.png");
    std::fs::write(&path, encode_png(&gradient(600, 400, 90)).unwrap()).unwrap();
    path
}

/// Waits for a picture: another thread decodes it.
fn expect_picture(studio: &mut TestStudio, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let shown = |studio: &TestStudio| {
        let found = studio
            .window
            .query_all_by_role_and_label(egui::Role::Image, name);
        found.count() > 0
    };
    while !shown(studio) {
        assert!(Instant::now() < deadline, "waited in vain for “{name}”");
        std::thread::sleep(Duration::from_millis(5));
        studio.window.step();
    }
}

#[test]
fn pictures_beside_models_and_add_ons_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = picture(folder.path());
    let mut wanted = catalog();
    wanted.models[1].storage.preview = Some(path.clone());
    wanted.add_ons[0].notes.preview = Some(path);
    let mut studio = with_catalog(wanted);
    expect_picture(&mut studio, "Picture of Large model");
    let role = egui::Role::ComboBox;
    studio.window.get_by_role_and_label(role, "Model").click();
    studio.run();
    // In the list; the other model has none.
    expect_picture(&mut studio, "Large model");
    let none = studio
        .window
        .query_by_role_and_label(egui::Role::Image, "Starter");
    assert!(none.is_none());
    studio.window.key_press(egui::Key::Escape);
    studio.run();
    studio.window.get_by_label("Add a LoRA").click();
    studio.run();
    expect_picture(&mut studio, "Picture of ink");
}

#[test]
fn notes_are_shown_and_long_ones_open() {
    let mut wanted = catalog();
    wanted.models[1].storage.notes = "Likes seven steps.".to_owned();
    let studio = with_catalog(wanted);
    studio.window.get_by_label("Likes seven steps.");
    let mut wanted = catalog();
    let long = "Likes seven steps. ".repeat(40);
    wanted.models[1].storage.notes = long.clone();
    let mut studio = with_catalog(wanted);
    assert!(studio.window.query_by_label(&long).is_none());
    studio.window.get_by_label("Notes").click();
    studio.run();
    studio.window.get_by_label(&long);
}

#[test]
fn who_lends_parts_is_chosen_and_goes_with_the_job() {
    let role = egui::Role::ComboBox;
    let row = "Parts from";
    let studio = with_catalog(catalog());
    let whole = studio.window.query_by_role_and_label(role, row);
    assert!(whole.is_none(), "a whole model borrows nothing");
    let mut wanted = catalog();
    let mut other = wanted.models[0].clone();
    (other.id, other.name) = ("third".to_owned(), "Third".to_owned());
    wanted.models.push(other);
    wanted.models[1].storage.borrowed = Some(Borrowed {
        parts: "the text encoder and the autoencoder".to_owned(),
        lenders: vec!["starter".to_owned(), "third".to_owned()],
        size_bytes: 0,
    });
    let mut studio = with_catalog(wanted);
    studio.generate();
    let first = studio.engine.script().submitted[0].recipe.clone();
    assert_eq!(first.network.parts_from, None, "the first that can");
    studio.window.get_by_role_and_label(role, row).click();
    studio.run();
    let option = egui::Role::ListBoxOption;
    studio
        .window
        .get_by_role_and_label(option, "Automatic: Starter");
    studio.window.get_by_role_and_label(option, "Third").click();
    studio.run();
    studio.generate();
    let second = studio.engine.script().submitted[1].recipe.clone();
    let third = ModelRef {
        id: "third".to_owned(),
        ..ModelRef::default()
    };
    assert_eq!(second.network.parts_from, Some(third));
    // Another model, and back: what was chosen for the former does not follow.
    for model in ["starter", "large"] {
        let state = studio.window.state_mut();
        state.send(DraftEdit::Model(model.to_owned()));
        studio.run();
    }
    let draft = &studio.window.state().studio().draft;
    assert_eq!(draft.sampling.network.parts_from, None);
}
