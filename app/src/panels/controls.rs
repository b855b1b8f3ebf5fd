//! The frame of the controls: sections that scroll, and the start button below, always in sight.

use egui::{Frame, Margin, Panel, ScrollArea, Ui};

use super::{PanelCx, Place, place_ui};
use crate::theme::size;

/// Draws all control panels.
pub fn controls_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let margin = Margin::symmetric(size::L as i8, size::M as i8);
    Panel::bottom("controls_foot")
        .resizable(false)
        .frame(Frame::new().inner_margin(margin))
        .show(ui, |ui| place_ui(ui, Place::ControlsFoot, cx));
    egui::CentralPanel::no_frame().show(ui, |ui| {
        ScrollArea::vertical()
            .id_salt("controls")
            .auto_shrink(false)
            .show(ui, |ui| {
                Frame::new().inner_margin(margin).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    place_ui(ui, Place::Controls, cx);
                });
            });
    });
}
