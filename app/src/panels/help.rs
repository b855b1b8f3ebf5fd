//! Help: the first steps in a few lines, and every key.

use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};

use super::PanelCx;
use crate::action::{ACTIONS, Menu};
use crate::text::t;
use crate::theme::{self, size};

/// Draws the dialog's content.
pub(super) fn help_ui(ui: &mut Ui, _cx: &mut PanelCx<'_>) {
    ScrollArea::vertical().show(ui, |ui| {
        ui.set_width(ui.available_width());
        for key in ["help-step-1", "help-step-2", "help-step-3", "help-step-4"] {
            ui.add(Label::new(t(key)).wrap());
        }
        for menu in Menu::ALL {
            ui.add_space(size::S);
            ui.label(theme::strong(menu.title()));
            for info in ACTIONS.iter().filter(|info| info.menu == menu) {
                if let Some(shortcut) = info.shortcut {
                    key_ui(ui, info.label(), &crate::widgets::keys_text(ui, &shortcut));
                }
            }
        }
    });
}

fn key_ui(ui: &mut Ui, label: &str, keys: &str) {
    let palette = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(label).color(palette.muted));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            egui::Frame::new()
                .fill(palette.raised)
                .stroke(egui::Stroke::new(1.0, palette.edge))
                .corner_radius(4)
                .inner_margin(egui::Margin::symmetric(6, 1))
                .show(ui, |ui| ui.label(RichText::new(keys).size(11.5)));
        });
    });
}
