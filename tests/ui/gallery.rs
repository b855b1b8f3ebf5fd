//! The gallery against a real library on disk: search, star, delete with undo, large view.

use std::time::{Duration, Instant};

use egui::Key;
use egui_kittest::kittest::Queryable as _;

use crate::harness::TestStudio;

const PROMPTS: [&str; 3] = ["a red fox", "a house by the sea", "a blue owl"];

fn shown(studio: &TestStudio) -> Vec<String> {
    let gallery = &studio.window.state().studio().gallery;
    gallery.entries.iter().map(|e| e.prompt.clone()).collect()
}

#[test]
fn search_finds_words_of_the_prompt() {
    let mut studio = TestStudio::with_pictures(&PROMPTS);
    assert_eq!(
        shown(&studio),
        ["a blue owl", "a house by the sea", "a red fox"]
    );
    let field = |studio: &TestStudio| {
        studio
            .window
            .get_by_role_and_label(egui::Role::TextInput, "Search prompts")
            .rect()
    };
    assert!(field(&studio).width() > 60.0);
    studio
        .window
        .get_by_role_and_label(egui::Role::TextInput, "Search prompts")
        .focus();
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::TextInput, "Search prompts")
        .type_text("sea");
    studio.run();
    studio.wait_for("the answer", |app| app.studio().gallery.entries.len() == 1);
    assert_eq!(shown(&studio), ["a house by the sea"]);
    studio
        .window
        .get_by_role_and_label(egui::Role::TextInput, "Search prompts")
        .type_text("xyz");
    studio.run();
    studio.wait_for("the answer", |app| app.studio().gallery.entries.is_empty());
    studio.window.get_by_label("No picture fits this search.");
}

#[test]
fn stars_are_kept_and_filter() {
    let mut studio = TestStudio::with_pictures(&PROMPTS);
    studio.window.get_by_label("a red fox").click();
    studio.run();
    studio.window.get_by_label("Star").click();
    studio.run();
    studio.window.key_press(Key::Escape);
    studio.run();
    studio.window.get_by_label("Only starred pictures").click();
    studio.run();
    studio.wait_for("the starred ones", |app| {
        app.studio().gallery.entries.len() == 1
    });
    assert_eq!(shown(&studio), ["a red fox"]);
    let mut studio = studio.reopened();
    studio.wait_for("the gallery", |app| app.studio().gallery.entries.len() == 3);
    let gallery = &studio.window.state().studio().gallery;
    assert_eq!(gallery.entries.iter().filter(|e| e.starred).count(), 1);
}

#[test]
fn deleting_can_be_undone() {
    let mut studio = TestStudio::with_pictures(&PROMPTS);
    studio.window.get_by_label("a house by the sea").click();
    studio.run();
    let path = studio
        .window
        .state()
        .studio()
        .gallery
        .selected
        .clone()
        .unwrap();
    studio.window.key_press(Key::Delete);
    studio.run();
    assert_eq!(shown(&studio), ["a blue owl", "a red fox"]);
    // Without a step of the interface's clock: the notice with the way back leaves by it.
    let deadline = Instant::now() + Duration::from_secs(10);
    while path.exists() {
        assert!(
            Instant::now() < deadline,
            "waited in vain for the file to go"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    studio.window.get_by_label("Undo").click();
    studio.run();
    studio.wait_for("the picture's return", |app| {
        app.studio().gallery.entries.len() == 3
    });
    assert!(path.exists());
    assert_eq!(
        shown(&studio),
        ["a blue owl", "a house by the sea", "a red fox"]
    );
}

#[test]
fn the_large_view_turns_by_arrows_and_closes_by_escape() {
    let mut studio = TestStudio::with_pictures(&PROMPTS);
    studio.window.get_by_label("a blue owl").click();
    studio.run();
    let selected = |studio: &TestStudio| {
        let gallery = &studio.window.state().studio().gallery;
        gallery.selected_entry().unwrap().prompt.clone()
    };
    assert_eq!(selected(&studio), "a blue owl");
    studio.window.key_press(Key::ArrowRight);
    studio.run();
    assert_eq!(selected(&studio), "a house by the sea");
    studio.window.key_press(Key::ArrowRight);
    studio.run();
    studio.window.key_press(Key::ArrowRight);
    studio.run();
    assert_eq!(selected(&studio), "a red fox", "the last stays");
    studio.window.key_press(Key::ArrowLeft);
    studio.run();
    assert_eq!(selected(&studio), "a house by the sea");
    studio.wait_for("the recipe", |app| {
        app.studio().gallery.selected_record().is_some()
    });
    studio.window.get_by_label("1001");
    studio.window.get_by_label("640 × 384");
    studio.window.key_press(Key::Escape);
    studio.run();
    assert!(studio.window.state().studio().overlay.is_none());
}

#[test]
fn send_to_canvas_opens_the_picture() {
    let mut studio = TestStudio::with_pictures(&PROMPTS);
    studio.window.get_by_label("a blue owl").click();
    studio.run();
    studio.window.get_by_label("Send to canvas").click();
    studio.run();
    studio.wait_for("the picture", |app| {
        app.studio().document.canvas().is_some()
    });
    let canvas = studio.window.state().studio().document.canvas().unwrap();
    assert_eq!(canvas.size_px(), [128, 128]);
    assert!(studio.window.state().studio().overlay.is_none());
}

#[test]
fn the_window_asks_before_it_closes_over_a_picture_that_is_nowhere_else() {
    use egui::{ViewportEvent, ViewportId};
    use pentimento_engine::event::Event;
    let mut studio = TestStudio::new();
    let close = |studio: &mut TestStudio| {
        let viewports = &mut studio.window.input_mut().viewports;
        let root = viewports.entry(ViewportId::ROOT).or_default();
        root.events.push(ViewportEvent::Close);
        studio.run();
    };
    close(&mut studio);
    assert!(
        studio.window.query_by_label("Not saved").is_none(),
        "nothing is lost"
    );
    let job = studio.generate();
    let recipe = studio.engine.script().submitted[0].recipe.clone();
    studio.engine.say(Event::ImageUnsaved {
        job,
        picture: 0,
        record: Box::new(support::fake_engine::record(recipe)),
        image: support::fake_engine::gradient(64, 64, 0),
    });
    studio.engine.say(Event::Finished { job });
    studio.run();
    close(&mut studio);
    studio.window.get_by_label("Not saved");
    studio.window.get_by_label("Close all the same").click();
    studio.run();
    assert!(studio.window.state().studio().leaves_unsaved);
}
