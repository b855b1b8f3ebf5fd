//! The list of LoRA: added, weighed, removed, submitted; words that call them up go into the prompt.

use egui_kittest::kittest::Queryable as _;
use pentimento::studio::draft::DraftEdit;
use pentimento_engine::recipe::AddOnUse;

use crate::harness::TestStudio;

fn used(studio: &TestStudio) -> Vec<AddOnUse> {
    studio.window.state().studio().draft.add_ons.used.clone()
}

fn add(studio: &mut TestStudio, name: &str) {
    studio.window.get_by_label("Add a LoRA").click();
    studio.run();
    studio.window.get_by_label(name).click();
    studio.run();
}

#[test]
fn one_is_added_weighed_submitted_and_removed() {
    let mut studio = TestStudio::new();
    add(&mut studio, "ink");
    let both = |name: &str, weight: f64| AddOnUse {
        name: name.to_owned(),
        unet: weight,
        text: weight,
    };
    assert_eq!(used(&studio), [both("ink", 0.75)], "at its owner's weight");
    add(&mut studio, "oil paint");
    assert_eq!(used(&studio), [both("ink", 0.75), both("oil paint", 1.0)]);
    studio.generate();
    let submitted = studio.engine.script().submitted[0].recipe.add_ons.clone();
    assert_eq!(submitted.used, used(&studio));
    studio.window.get_by_label("Remove ink").click();
    studio.run();
    assert_eq!(used(&studio), [both("oil paint", 1.0)]);
}

#[test]
fn words_go_into_the_prompt_and_missing_files_are_said() {
    let mut studio = TestStudio::new();
    add(&mut studio, "ink");
    let edit = DraftEdit::Prompt("a red apple,".to_owned());
    studio.window.state_mut().send(edit);
    studio.run();
    studio.window.get_by_label("ink drawing").click();
    studio.run();
    let draft = &studio.window.state().studio().draft;
    assert_eq!(draft.prompt, "a red apple, ink drawing");
    let edit = DraftEdit::Prompt("a <lora:ink:1><lora:gone:1>".to_owned());
    studio.window.state_mut().send(edit);
    studio.run();
    studio.window.get_by_label_contains("“gone” is not in");
    assert!(
        studio
            .window
            .query_by_label_contains("“ink” is not in")
            .is_none()
    );
}
