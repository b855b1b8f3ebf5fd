//! What an empty canvas says: a question, prompts to click, and how to bring a picture.

use egui::{Align, Layout, RichText, Ui, vec2};
use egui_material_icons::icons;

use super::PanelCx;
use crate::action::Action;
use crate::studio::draft::DraftEdit;
use crate::text::t;
use crate::theme::{self, size, type_size};
use crate::widgets;

/// Widest the page gets.
const WIDTH: f32 = 460.0;
/// Most example prompts on show.
const EXAMPLES: usize = 5;

/// Draws the page in the middle of `ui`.
pub(super) fn welcome_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let palette = theme::palette(ui);
    let examples = studio
        .model()
        .map_or(&[][..], |model| &model.defaults.example_prompts[..]);
    let examples = &examples[..examples.len().min(EXAMPLES)];
    let height = 190.0 + 38.0 * examples.len() as f32;
    let space = ((ui.available_height() - height) / 2.0).max(size::M);
    ui.add_space(space);
    ui.vertical_centered(|ui| {
        ui.set_max_width(WIDTH.min(ui.available_width() - 2.0 * size::L));
        ui.label(
            widgets::icon_text(icons::ICON_BRUSH.outlined())
                .size(30.0)
                .color(palette.accent),
        );
        ui.add_space(size::XS);
        let (title, note) = if studio.model().is_some() {
            (t("welcome-title"), t("welcome-note"))
        } else {
            (t("welcome-no-model"), t("welcome-no-model-note"))
        };
        ui.add(egui::Label::new(theme::strong(title).size(type_size::TITLE)).wrap());
        ui.add(egui::Label::new(RichText::new(note).color(palette.muted)).wrap());
        ui.add_space(size::M);
        for example in examples {
            example_ui(ui, cx, example);
        }
        ui.add_space(size::S);
        foot_ui(ui, cx);
    });
}

/// A prompt to click: it goes into the prompt field.
fn example_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, example: &str) {
    let palette = theme::palette(ui);
    let button = egui::Button::new((
        RichText::new(example),
        egui::Atom::grow(),
        widgets::icon_text(icons::ICON_NORTH_WEST.outlined())
            .size(14.0)
            .color(palette.faint),
    ))
    .fill(palette.panel)
    .truncate()
    .min_size(vec2(ui.available_width(), 32.0));
    let response = ui.add(button);
    widgets::name(&response, true, example);
    if response.on_hover_text(t("welcome-example-tip")).clicked() {
        cx.commands.send(DraftEdit::Prompt(example.to_owned()));
        cx.commands.send(Action::FocusPrompt);
    }
}

fn foot_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let actions: &[Action] = if cx.studio.model().is_some() {
        &[]
    } else {
        &[Action::AddModel]
    };
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        for action in actions {
            if widgets::text_button_ui(ui, action.info().label()).clicked() {
                cx.commands.send(*action);
            }
        }
        ui.label(theme::muted(ui, t("welcome-drop")));
    });
}
