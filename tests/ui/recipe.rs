//! A recipe restores every control; the draft and the settings outlive the window.

use egui_kittest::kittest::Queryable as _;
use pentimento::command::{Action, Command};
use pentimento::studio::canvas_command::{CanvasCommand, FileCommand};
use pentimento::studio::draft::{DraftEdit, StartMode};
use pentimento::studio::notices::Level;
use pentimento_engine::client::Blob;
use pentimento_engine::event::Event;
use pentimento_engine::library::{Library, save_to_file};
use pentimento_engine::raster::{Mask, load_picture};
use pentimento_engine::recipe::{
    Inpaint, InpaintArea, MaskedContent, ModelRef, Recipe, Refiner, Start,
};
use support::fake_engine::{gradient, record};

use crate::harness::{TestStudio, recipe, save_pictures};

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
fn opening_a_picture_restores_every_control_and_the_way_back() {
    let mut studio = TestStudio::new();
    let folder = studio.folder.path().join("elsewhere");
    let path = save_pictures(&folder, &["a lighthouse"]).remove(0);
    let mine = DraftEdit::Prompt("my own words".to_owned());
    studio.window.state_mut().send(mine);
    studio.run();
    let before = studio.window.state().studio().draft.clone();
    open(&mut studio, path);
    studio.wait_for("the picture", |app| {
        app.studio().document.canvas().is_some()
    });
    let state = studio.window.state().studio();
    let mut wanted = recipe("a lighthouse", 1000);
    wanted.model.sha256 = state.draft.recipe(0, &state.catalog).model.sha256;
    let seed = state.draft.seed.value;
    assert_eq!(state.draft.recipe(seed, &state.catalog), wanted);
    assert!(state.draft.seed.locked);
    assert_eq!(state.draft.start.mode, StartMode::New);
    studio.window.get_by_label("Back to my controls").click();
    studio.run();
    assert_eq!(studio.window.state().studio().draft, before);
    assert!(studio.window.state().studio().document.canvas().is_some());
}

#[test]
fn opening_a_repaired_picture_brings_what_it_was_made_from() {
    let mut studio = TestStudio::new();
    let library = Library::open(studio.folder.path().join("library")).unwrap();
    let (before, after) = (gradient(64, 48, 20), gradient(64, 48, 200));
    let values: Vec<u8> = (0..64 * 48)
        .map(|at| 255 * u8::from(at % 64 < 20))
        .collect();
    let mask = Mask::new(64, 48, values).unwrap();
    let start = Blob::from_picture(&before).unwrap();
    let mask_blob = Blob::from_mask(&mask).unwrap();
    library.put_blob(&start).unwrap();
    library.put_blob(&mask_blob).unwrap();
    let mut made = recipe("a door", 5);
    [made.width_px, made.height_px] = [64, 48];
    made.start = Some(Start {
        picture: start.sha256,
        strength: 0.4,
        inpaint: Some(Inpaint {
            mask: mask_blob.sha256,
            blur_px: 9,
            content: MaskedContent::Fill,
            area: InpaintArea::WholePicture,
        }),
    });
    let path = studio.folder.path().join("door.png");
    save_to_file(&path, &after, &record(made)).unwrap();
    open(&mut studio, path);
    studio.wait_for("the start picture", |app| !app.studio().staging.is_empty());
    let state = studio.window.state().studio();
    let canvas = state.document.canvas().unwrap();
    assert_eq!(canvas.picture.to_bytes(), &*before.rgba);
    assert_eq!(canvas.mask.to_bytes(), &*mask.values);
    let result = state.staging.current().unwrap();
    assert_eq!(result.pixels.to_bytes(), &*after.rgba);
    let start = &state.draft.start;
    assert_eq!((start.mode, start.blur_px), (StartMode::Repaint, 9));
    assert_eq!(start.content, MaskedContent::Fill);
}

#[test]
fn a_repaired_picture_without_its_start_is_opened_all_the_same() {
    let mut studio = TestStudio::new();
    let mut made = recipe("a door", 5);
    made.start = Some(Start {
        picture: "00".repeat(32),
        strength: 0.4,
        inpaint: None,
    });
    let path = studio.folder.path().join("door.png");
    let picture = gradient(32, 32, 90);
    save_to_file(&path, &picture, &record(made)).unwrap();
    open(&mut studio, path);
    studio.wait_for("the notice", |app| {
        let notices = &app.studio().notices.shown;
        notices.iter().any(|notice| notice.level == Level::Error)
    });
    let state = studio.window.state().studio();
    let canvas = state.document.canvas().unwrap();
    assert_eq!(canvas.picture.to_bytes(), &*picture.rgba);
    assert_eq!(state.draft.prompt, "a door");
    assert_eq!(state.draft.start.mode, StartMode::Variation);
}

/// Opens a file as dropping it does.
fn open(studio: &mut TestStudio, path: std::path::PathBuf) {
    let command = CanvasCommand::from(FileCommand::OpenPicture(path));
    studio.window.state_mut().send(command);
    studio.run();
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
fn a_recipes_refiner_that_is_missing_or_another_is_told() {
    let mut studio = TestStudio::new();
    let refined = |id: &str| {
        let mut wanted = recipe("a door", 5);
        wanted.refiner = Some(Refiner {
            model: ModelRef {
                id: id.to_owned(),
                sha256: Some("cd".repeat(32)),
                short_hash: None,
            },
            switch_at: 0.8,
            parts_from: None,
        });
        DraftEdit::Recall(Box::new(wanted))
    };
    let recalled = refined("elsewhere");
    studio.window.state_mut().send(recalled);
    studio.run();
    studio
        .window
        .get_by_label("The model “elsewhere” is not here");
    let recalled = refined("large");
    studio.window.state_mut().send(recalled);
    studio.run();
    studio
        .window
        .get_by_label("The model “Large model” is not the one this picture was made with");
    // The engine compares again when it has read the files.
    studio.generate();
    let sent = studio.engine.script().submitted[0].recipe.clone();
    let hash = sent.refiner.expect("a refiner").model.sha256;
    assert_eq!(hash, Some("cd".repeat(32)));
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
fn results_that_wait_to_be_accepted_outlive_the_window() {
    let mut studio = TestStudio::new();
    let folder = studio.folder.path().join("library");
    let path = save_pictures(&folder, &["a lighthouse"]).remove(0);
    let picture = load_picture(&path).unwrap();
    let job = studio.generate();
    studio
        .engine
        .picture(job, recipe("a lighthouse", 1), path, picture.clone());
    studio.engine.say(Event::Finished { job });
    studio.run();
    assert_eq!(studio.window.state().studio().staging.results().len(), 1);
    let mut studio = studio.reopened();
    studio.wait_for("the result", |app| !app.studio().staging.is_empty());
    let staging = &studio.window.state().studio().staging;
    let shown = staging.current().unwrap().pixels.to_bytes();
    assert_eq!(shown, &*picture.rgba);
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
