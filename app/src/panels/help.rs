//! Help: the first steps in a few lines, and every key.

use egui::{Align, KeyboardShortcut, Label, Layout, RichText, ScrollArea, Ui};

use super::PanelCx;
use crate::action::{ACTIONS, Menu};
use crate::canvas::keys::SECOND_KEYS;
use crate::canvas::tools::TOOLS;
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
                let second = SECOND_KEYS.iter().filter(|(.., of)| *of == info.action);
                let second = second.map(|(held, key, _)| KeyboardShortcut::new(*held, *key));
                let keys: Vec<String> = info
                    .shortcut
                    .into_iter()
                    .chain(second)
                    .map(|shortcut| crate::widgets::keys_text(ui, &shortcut))
                    .collect();
                key_ui(ui, info.label(), &keys);
            }
        }
        canvas_ui(ui);
    });
}

/// What the keys mean on the canvas.
fn canvas_ui(ui: &mut Ui) {
    ui.add_space(size::S);
    ui.label(theme::strong(t("canvas")));
    for tool in TOOLS {
        let keys = tool
            .keys()
            .iter()
            .map(|key| key.symbol_or_name().to_owned());
        key_ui(ui, tool.label(), &keys.collect::<Vec<_>>());
    }
    for (label, keys) in [
        (t("help-brush-size"), vec!["[", "]"]),
        (t("help-erase"), vec!["X", "Alt"]),
        (t("help-straight"), vec!["Shift"]),
        (
            t("help-move"),
            vec![t("help-space"), t("help-middle-button")],
        ),
        (t("help-zoom"), vec![t("help-wheel")]),
    ] {
        key_ui(ui, label, &keys);
    }
}

/// A line of the table; nothing for what has no keys.
fn key_ui(ui: &mut Ui, label: &str, keys: &[impl AsRef<str>]) {
    if keys.is_empty() {
        return;
    }
    let palette = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(label).color(palette.muted));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for keys in keys.iter().rev() {
                egui::Frame::new()
                    .fill(palette.raised)
                    .stroke(egui::Stroke::new(1.0, palette.edge))
                    .corner_radius(4)
                    .inner_margin(egui::Margin::symmetric(6, 1))
                    .show(ui, |ui| ui.label(RichText::new(keys.as_ref()).size(11.5)));
            }
        });
    });
}
