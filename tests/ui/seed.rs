//! The seed: drawn, locked, taken from the latest picture, typed.

use egui_kittest::kittest::Queryable as _;
use pentimento_engine::event::Event;

use crate::harness::TestStudio;

fn end(studio: &mut TestStudio) -> u64 {
    let job = studio.generate();
    studio.engine.say(Event::Finished { job });
    studio.run();
    let script = studio.engine.script();
    script.submitted.last().expect("a request").recipe.seed
}

#[test]
fn each_job_draws_its_own_seed_until_it_is_locked() {
    let mut studio = TestStudio::new();
    let first = end(&mut studio);
    let second = end(&mut studio);
    assert_ne!(first, second);
    assert_eq!(studio.window.state().studio().draft.seed.value, second);
    studio.window.get_by_label("Lock the seed").click();
    studio.run();
    assert_eq!(end(&mut studio), second);
    assert_eq!(end(&mut studio), second);
    studio.window.get_by_label("Random seed").click();
    studio.run();
    assert!(!studio.window.state().studio().draft.seed.locked);
    assert_ne!(studio.window.state().studio().draft.seed.value, second);
    assert_ne!(end(&mut studio), second);
}

#[test]
fn use_last_takes_the_latest_seed_over_and_keeps_it() {
    let mut studio = TestStudio::new();
    let last = end(&mut studio);
    studio.window.get_by_label("Random seed").click();
    studio.run();
    studio.window.get_by_label("Use the last seed").click();
    studio.run();
    let seed = &studio.window.state().studio().draft.seed;
    assert_eq!((seed.value, seed.locked), (last, true));
    assert_eq!(end(&mut studio), last);
}

#[test]
fn a_typed_seed_is_used_to_the_last_digit() {
    let mut studio = TestStudio::new();
    let typed = u64::MAX - 1;
    let field = |studio: &TestStudio, act: &dyn Fn(egui_kittest::Node<'_>)| {
        act(studio
            .window
            .get_by_role_and_label(egui::Role::TextInput, "Seed"));
    };
    field(&studio, &|node| node.focus());
    studio.run();
    studio
        .window
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    field(&studio, &|node| node.type_text(&typed.to_string()));
    studio.run();
    assert_eq!(end(&mut studio), typed, "f64 would have rounded it");
}
