//! Asks before the window closes over pictures that could not be saved.

use egui::{Label, Ui};
use egui_material_icons::icons;

use super::PanelCx;
use crate::command::Command;
use crate::text::{t, t_args};
use crate::theme::size;
use crate::widgets;

/// Draws the dialog's content.
pub(super) fn unsaved_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let count = cx.studio.staging.unsaved_count();
    let text = t_args("unsaved-note", [("count", count.into())]);
    ui.add(Label::new(text).wrap());
    ui.add_space(size::S);
    let row = egui::vec2(ui.available_width(), size::CONTROL);
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    ui.allocate_ui_with_layout(row, layout, |ui| {
        let save = icons::ICON_DOWNLOAD.outlined();
        if widgets::accent_button_ui(ui, save, t("unsaved-save")).clicked() {
            cx.commands.send(Command::SaveUnsaved);
        }
        if widgets::text_button_ui(ui, t("unsaved-leave")).clicked() {
            cx.commands.send(Command::LeaveUnsaved);
        }
    });
}
