//! The frame around it all: palette, keys, themes, texts.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use pentimento::action::{ACTIONS, Action};
use pentimento::panels::PANELS;
use pentimento::studio::Overlay;
use pentimento::studio::settings::ThemeChoice;

use crate::harness::TestStudio;

#[test]
fn the_palette_finds_and_runs_commands() {
    let mut studio = TestStudio::new();
    studio
        .window
        .key_press_modifiers(Modifiers::COMMAND, Key::K);
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::TextInput, "Type a command…")
        .type_text("light th");
    studio.run();
    studio.window.key_press(Key::Enter);
    studio.run();
    let state = studio.window.state().studio();
    assert_eq!(state.settings.theme, ThemeChoice::Light);
    assert!(state.overlay.is_none());
    assert!(!studio.window.ctx.global_style().visuals.dark_mode);
}

#[test]
fn dialogs_open_by_key_and_close() {
    let mut studio = TestStudio::new();
    studio.window.key_press(Key::F1);
    studio.run();
    assert_eq!(studio.window.state().studio().overlay, Some(Overlay::Help));
    studio.window.get_by_label("Close").click();
    studio.run();
    studio
        .window
        .key_press_modifiers(Modifiers::COMMAND, Key::Comma);
    studio.run();
    assert_eq!(
        studio.window.state().studio().overlay,
        Some(Overlay::Settings)
    );
    studio.window.get_by_label("Theme: Light").click();
    studio.run();
    assert_eq!(
        studio.window.state().studio().settings.theme,
        ThemeChoice::Light
    );
}

#[test]
fn choosing_a_model_takes_its_defaults_and_warms_it_up() {
    let mut studio = TestStudio::new();
    studio
        .window
        .get_by_role_and_label(egui::Role::ComboBox, "Model")
        .click();
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::ListBoxOption, "Large model")
        .click();
    studio.run();
    let state = studio.window.state().studio();
    assert_eq!(state.draft.model, "large");
    assert_eq!(state.draft.size_px, [512, 512]);
    assert_eq!(studio.engine.script().warmed_up, ["starter", "large"]);
}

#[test]
fn aspects_keep_the_models_area_and_swap_turns_them() {
    let mut studio = TestStudio::new();
    studio
        .window
        .get_by_role_and_label(egui::Role::RadioButton, "16:9")
        .click();
    studio.run();
    let [width, height] = studio.window.state().studio().draft.size_px;
    assert_eq!([width % 8, height % 8], [0, 0]);
    assert!((width * height).abs_diff(128 * 128) < 2400);
    studio.window.get_by_label("Swap width and height").click();
    studio.run();
    assert_eq!(
        studio.window.state().studio().draft.size_px,
        [height, width]
    );
    studio
        .window
        .get_by_role_and_label(egui::Role::RadioButton, "9:16");
}

#[test]
fn an_example_prompt_goes_into_the_prompt_field() {
    let mut studio = TestStudio::new();
    studio
        .window
        .get_by_label("a house by the sea at sunset")
        .click();
    studio.run();
    assert_eq!(
        studio.window.state().studio().draft.prompt,
        "a house by the sea at sunset"
    );
}

#[test]
fn every_action_has_its_words_and_its_own_keys() {
    let mut keys = Vec::new();
    for info in ACTIONS {
        assert_eq!(info.action.info().key, info.key);
        for key in [info.key, info.tip_key] {
            assert!(pentimento::text::has(key), "no text for {key}");
        }
        if let Some(shortcut) = info.shortcut {
            assert!(!keys.contains(&shortcut), "{} shares its keys", info.key);
            keys.push(shortcut);
        }
    }
    assert!(keys.contains(&Action::Generate.info().shortcut.unwrap()));
}

#[test]
fn every_key_in_the_code_has_its_text() {
    let root = support::places::root();
    let mut asked = Vec::new();
    let mut folders = vec![root.join("app/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap_or_default();
            for call in ["t(\"", "t_args(\""] {
                for (at, _) in code.match_indices(call) {
                    let before = code[..at].chars().next_back();
                    if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
                        continue;
                    }
                    let key = code[at + call.len()..].split('"').next().unwrap();
                    asked.push((key.to_owned(), path.clone()));
                }
            }
        }
    }
    assert!(asked.len() > 100, "the search finds the calls");
    for (key, path) in asked {
        assert!(pentimento::text::has(&key), "{key} in {}", path.display());
    }
}

#[test]
fn a_window_that_nobody_touches_draws_nothing() {
    let mut studio = TestStudio::with_pictures(&["a red fox", "a blue owl"]);
    for action in [None, Some(Action::OpenSettings), Some(Action::OpenHelp)] {
        if let Some(action) = action {
            studio.window.state_mut().send(action);
        }
        // Fails when frames are still asked for after many.
        let steps = studio.window.try_run().expect("it comes to rest");
        assert!(steps < 30, "{steps} frames with {action:?}");
    }
    studio.window.get_by_label("Close").click();
    studio.run();
    studio.window.get_by_label("a red fox").click();
    studio
        .window
        .try_run()
        .expect("the large view comes to rest");
}

#[test]
fn panels_have_names_of_their_own() {
    let mut ids: Vec<&str> = PANELS.iter().map(|panel| panel.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), PANELS.len());
}
