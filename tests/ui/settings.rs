//! Settings take effect while the studio runs: previews and threads with the next job, the gallery's
//! folder as soon as no job needs the present one.

use egui::Key;
use egui_kittest::kittest::Queryable as _;
use pentimento::command::Command;
use pentimento::studio::settings::Settings;
use pentimento_engine::event::Event;
use pentimento_engine::preview::PreviewMode;

use crate::harness::{TestStudio, save_pictures};

fn change(studio: &mut TestStudio, change: impl FnOnce(&mut Settings)) {
    let mut settings = studio.window.state().studio().settings.clone();
    change(&mut settings);
    let command = Command::Settings(Box::new(settings));
    studio.window.state_mut().send(command);
    studio.run();
}

#[test]
fn previews_and_threads_reach_the_engine() {
    let mut studio = TestStudio::new();
    studio
        .window
        .key_press_modifiers(egui::Modifiers::COMMAND, Key::Comma);
    studio.run();
    studio.window.get_by_label("Previews: Off").click();
    studio.run();
    assert_eq!(studio.engine.script().previews, Some(PreviewMode::Off));
    assert_eq!(studio.engine.script().threads, None, "only what changed");
    change(&mut studio, |settings| settings.threads = Some(1));
    assert_eq!(studio.engine.script().threads, Some(Some(1)));
    change(&mut studio, |settings| settings.threads = None);
    assert_eq!(studio.engine.script().threads, Some(None));
}

#[test]
fn another_gallery_is_shown_once_the_queue_is_empty() {
    let mut studio = TestStudio::with_pictures(&["a red fox"]);
    let other = studio.folder.path().join("elsewhere");
    save_pictures(&other, &["a blue owl", "a green hill"]);
    let job = studio.generate();
    change(&mut studio, |settings| {
        settings.library_dir = Some(other.clone());
    });
    let library_dir = |studio: &TestStudio| studio.engine.script().library_dir.clone();
    assert_eq!(
        library_dir(&studio),
        None,
        "the job still saves to the old one"
    );
    assert_eq!(studio.window.state().studio().gallery.entries.len(), 1);
    studio.engine.say(Event::Finished { job });
    studio.wait_for("the other gallery", |app| {
        app.studio().gallery.entries.len() == 2
    });
    assert_eq!(library_dir(&studio), Some(other));
    change(&mut studio, |settings| settings.library_dir = None);
    studio.wait_for("the first gallery", |app| {
        app.studio().gallery.entries.len() == 1
    });
    assert_eq!(
        library_dir(&studio),
        Some(studio.folder.path().join("library"))
    );
}
