//! Asks for a path where the system has no file dialog: a field to type or paste it into.

use egui::{Id, Key, Label, RichText, TextEdit, Ui};
use egui_material_icons::icons;

use super::PanelCx;
use crate::command::Command;
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// Draws the dialog's content.
pub(super) fn type_path_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let Some(ask) = &cx.studio.asked else {
        return;
    };
    let suggested = match ask.suggested_name() {
        name if name.is_empty() => name,
        name => format!("~/{name}"),
    };
    let memory = Id::unique("typed path").with((ask.title(), &suggested));
    let mut text: String = ui.data(|data| data.get_temp(memory)).unwrap_or(suggested);
    ui.add(Label::new(theme::muted(ui, t("type-path-note"))).wrap());
    let hint = RichText::new(t("type-path-hint")).color(theme::palette(ui).faint);
    let field = ui.add(
        TextEdit::singleline(&mut text)
            .id(memory.with("field"))
            .hint_text(hint)
            .desired_width(f32::INFINITY)
            .min_size(egui::vec2(0.0, size::CONTROL))
            .align(egui::Align2::LEFT_CENTER),
    );
    field.widget_info(|| {
        let mut info = egui::WidgetInfo::text_edit(true, "", text.as_str(), t("type-path-hint"));
        info.label = Some(t("type-path-hint").to_owned());
        info
    });
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    // Whatever had the focus before the dialog came must not take its Enter.
    let is_new = ui.data(|data| data.get_temp::<String>(memory).is_none());
    if is_new || ui.memory(|memory| memory.focused().is_none()) {
        field.request_focus();
    }
    ui.add_space(size::XS);
    let row = egui::vec2(ui.available_width(), size::CONTROL);
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let done = ui
        .allocate_ui_with_layout(row, layout, |ui| {
            let accept = icons::ICON_CHECK.outlined();
            widgets::accent_button_ui(ui, accept, t("type-path-done")).clicked() || enter
        })
        .inner;
    if done && !text.trim().is_empty() {
        ui.data_mut(|data| data.remove::<String>(memory));
        cx.commands.send(Command::TypedPath(text));
    } else {
        ui.data_mut(|data| data.insert_temp(memory, text));
    }
}
