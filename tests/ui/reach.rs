//! Everything that can be used has a name that is read aloud, and the Tab key gets there.

use std::collections::BTreeSet;

use egui::{Key, Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use pentimento::command::Action;
use pentimento::studio::canvas_command::CanvasCommand;
use pentimento_engine::event::{Event, JobId};
use support::fake_engine::gradient;

use crate::harness::{TestStudio, recipe};

const USED: [Role; 11] = [
    Role::Button,
    Role::CheckBox,
    Role::RadioButton,
    Role::Slider,
    Role::SpinButton,
    Role::TextInput,
    Role::MultilineTextInput,
    Role::ComboBox,
    Role::ListBoxOption,
    Role::Canvas,
    Role::Link,
];

/// Role and name of everything on show that can be used.
fn controls(studio: &TestStudio) -> Vec<(String, String, bool)> {
    let root = studio.window.root();
    root.children_recursive()
        .map(|node| node.accesskit_node())
        .filter(|node| USED.contains(&node.role()))
        .map(|node| {
            let name = node.label().unwrap_or_default();
            (format!("{:?}", node.role()), name, node.is_disabled())
        })
        .collect()
}

fn expect_names(studio: &TestStudio, place: &str) {
    let found = controls(studio);
    assert!(found.len() > 3, "{place}: {found:?}");
    for (role, name, _) in &found {
        // A Latin letter, a digit or a ratio: icons live in a private area of Unicode.
        let readable = name.chars().any(|letter| letter.is_ascii_alphanumeric());
        assert!(readable, "{place}: a {role} is called “{name}”");
    }
}

fn with_everything() -> TestStudio {
    let mut studio = TestStudio::with_pictures(&["a red fox"]);
    studio.window.state_mut().send(CanvasCommand::Open {
        picture: gradient(64, 64, 40),
        name: "test".to_owned(),
    });
    studio.run();
    studio.engine.picture(
        JobId(7),
        recipe("a result", 1),
        "result.png".into(),
        gradient(64, 64, 90),
    );
    studio.engine.say(Event::Finished { job: JobId(7) });
    studio.window.step();
    studio.run();
    studio
}

#[test]
fn every_control_has_a_name() {
    let mut studio = with_everything();
    expect_names(&studio, "the window");
    studio.window.get_by_label("Advanced").click();
    studio.run();
    for mode in ["Nothing", "Picture", "Mask"] {
        studio.window.get_by_label(mode).click();
        studio.run();
        expect_names(&studio, mode);
    }
    for action in [
        Action::OpenPalette,
        Action::OpenSettings,
        Action::OpenHelp,
        Action::OpenAbout,
    ] {
        studio.window.state_mut().send(action);
        studio.run();
        expect_names(&studio, action.info().label());
    }
    studio.window.key_press(Key::Escape);
    studio.run();
    studio.window.get_by_label("a red fox").click();
    studio.run();
    expect_names(&studio, "the large view");
}

#[test]
fn the_tab_key_reaches_every_control() {
    let mut studio = with_everything();
    studio.window.get_by_label("Advanced").click();
    studio.run();
    let mut missing: BTreeSet<(String, String)> = controls(&studio)
        .into_iter()
        .filter(|(_, _, disabled)| !disabled)
        .map(|(role, name, _)| (role, name))
        .collect();
    assert!(missing.len() > 40, "{missing:?}");
    for _ in 0..200 {
        studio.window.key_press(Key::Tab);
        studio.run();
        let focused = studio
            .window
            .root()
            .children_recursive()
            .map(|node| node.accesskit_node())
            .find(|node| node.is_focused());
        if let Some(node) = focused {
            let name = node.label().unwrap_or_default();
            missing.remove(&(format!("{:?}", node.role()), name));
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("Tab never gets to {missing:?}");
}
