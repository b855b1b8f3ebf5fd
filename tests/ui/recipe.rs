//! A recipe restores every control; the draft and the settings outlive the window.

use egui_kittest::kittest::Queryable as _;
use pentimento::command::{Action, Command};
use pentimento::studio::draft::{DraftEdit, StartMode};
use pentimento_engine::recipe::{Inpaint, InpaintArea, MaskedContent, Recipe, Start};

use crate::harness::{TestStudio, recipe};

#[test]
fn recalling_a_recipe_restores_every_control() {
    let mut studio = TestStudio::with_pictures(&["a lighthouse"]);
    studio.window.get_by_label("a lighthouse").click();
    studio.run();
    studio.wait_for("the record", |app| {
        app.studio().gallery.selected_record().is_some()
    });
    studio.window.get_by_label("Use this recipe").click();
    studio.run();
    let state = studio.window.state().studio();
    assert!(state.overlay.is_none());
    let again: Recipe = state.draft.recipe(state.draft.seed.value, &state.catalog);
    let mut wanted = recipe("a lighthouse", 1000);
    wanted.model.sha256.clone_from(&again.model.sha256);
    assert_eq!(again, wanted);
    assert!(
        state.draft.seed.locked,
        "the same seed makes the same picture"
    );
    studio.generate();
    assert_eq!(studio.engine.script().submitted[0].recipe, wanted);
}

#[test]
fn a_repaint_recipe_restores_its_options() {
    let mut studio = TestStudio::new();
    let mut wanted = recipe("a door", 5);
    wanted.start = Some(Start {
        picture: "00".repeat(32),
        strength: 0.4,
        inpaint: Some(Inpaint {
            mask: "11".repeat(32),
            blur_px: 9,
            content: MaskedContent::Noise,
            area: InpaintArea::OnlyMasked { padding_px: 48 },
        }),
    });
    studio
        .window
        .state_mut()
        .send(DraftEdit::Recall(Box::new(wanted)));
    studio.run();
    let start = &studio.window.state().studio().draft.start;
    assert_eq!(start.mode, StartMode::Repaint);
    assert!((start.strength - 0.4).abs() < 1e-9);
    assert_eq!((start.blur_px, start.content), (9, MaskedContent::Noise));
    assert_eq!(start.area(), InpaintArea::OnlyMasked { padding_px: 48 });
}

#[test]
fn fields_of_a_newer_program_survive_the_draft() {
    let mut studio = TestStudio::new();
    let mut wanted = recipe("a door", 5);
    let future = serde_json::json!({"kind": "wind"});
    wanted.unknown.insert("weather".to_owned(), future.clone());
    studio
        .window
        .state_mut()
        .send(DraftEdit::Recall(Box::new(wanted)));
    studio.run();
    studio.generate();
    let script = studio.engine.script();
    assert_eq!(script.submitted[0].recipe.unknown["weather"], future);
}

#[test]
fn a_recipe_whose_model_is_missing_says_so() {
    let mut studio = TestStudio::new();
    let mut wanted = recipe("a door", 5);
    wanted.model.id = "elsewhere".to_owned();
    studio
        .window
        .state_mut()
        .send(DraftEdit::Recall(Box::new(wanted)));
    studio.run();
    studio
        .window
        .get_by_label("The model “elsewhere” is not here");
    studio
        .window
        .state_mut()
        .send(Command::Action(Action::Generate));
    studio.run();
    assert!(studio.engine.script().submitted.is_empty());
    studio
        .window
        .get_by_label("There is no model to paint with");
}

#[test]
fn draft_and_settings_outlive_the_window() {
    let mut studio = TestStudio::new();
    let send = |studio: &mut TestStudio, command: Command| {
        studio.window.state_mut().send(command);
        studio.run();
    };
    send(
        &mut studio,
        DraftEdit::Prompt("a kept prompt".into()).into(),
    );
    send(&mut studio, DraftEdit::SizePx([192, 96]).into());
    send(&mut studio, Action::ThemeLight.into());
    send(&mut studio, Action::ToggleGallery.into());
    let studio = studio.reopened();
    let state = studio.window.state().studio();
    assert_eq!(state.draft.prompt, "a kept prompt");
    assert_eq!(state.draft.size_px, [192, 96]);
    assert_eq!(
        state.settings.theme,
        pentimento::studio::settings::ThemeChoice::Light
    );
    assert!(!state.settings.open.gallery);
}

#[test]
fn a_broken_settings_file_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("studio.json"), "{\"settings\": 3").unwrap();
    let engine = support::fake_engine::FakeEngine::new();
    let studio = TestStudio::open(engine, folder, [1280.0, 800.0]);
    assert_eq!(studio.window.state().studio().draft.model, "starter");
    assert!(data.join("studio.broken").exists());
}
