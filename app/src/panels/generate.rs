//! The button that starts a job, and the one that stops it.

use egui::{Layout, Ui};
use egui_material_icons::icons;

use super::PanelCx;
use crate::action::Action;
use crate::studio::draft::StartMode;
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets;

/// Draws the buttons.
pub(super) fn generate_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let busy = studio.jobs.is_busy();
    ui.spacing_mut().item_spacing.y = size::XS;
    let row = egui::vec2(ui.available_width(), size::PRIMARY);
    ui.allocate_ui_with_layout(row, Layout::right_to_left(egui::Align::Center), |ui| {
        if busy {
            let cancel = Action::Cancel.info();
            let button = egui::Button::new((
                egui::Atom::grow(),
                widgets::icon_text(icons::ICON_STOP.filled()).size(22.0),
                egui::Atom::grow(),
            ))
            .min_size(egui::Vec2::splat(size::PRIMARY));
            let response = ui
                .scope(|ui| {
                    ui.spacing_mut().button_padding = egui::Vec2::ZERO;
                    ui.add(button)
                })
                .inner;
            widgets::name(&response, true, cancel.label());
            if response.on_hover_text(cancel.tip()).clicked() {
                cx.commands.send(Action::Cancel);
            }
        }
        let label = if busy {
            t("generate-queue")
        } else {
            match studio.start_mode() {
                StartMode::New => t("generate-new"),
                StartMode::Variation => t("generate-variation"),
                StartMode::Repaint => t("generate-repaint"),
            }
        };
        let enabled = studio.can_generate();
        let icon = icons::ICON_AUTO_AWESOME.filled();
        let response = widgets::primary_button_ui(ui, icon, label, enabled);
        let tip = Action::Generate.info().tip();
        if response.on_hover_text(tip).clicked() {
            cx.commands.send(Action::Generate);
        }
    });
    note_ui(ui, cx);
}

/// A line that is always there, so that the button does not jump.
fn note_ui(ui: &mut Ui, cx: &PanelCx<'_>) {
    let jobs = &cx.studio.jobs;
    let text = if jobs.is_busy() {
        let waiting = jobs.waiting();
        t_args("generate-busy", [("waiting", waiting.into())])
    } else if !cx.studio.can_generate() {
        t("generate-no-model").to_owned()
    } else {
        let keys = Action::Generate
            .info()
            .shortcut
            .map(|shortcut| widgets::keys_text(ui, &shortcut))
            .unwrap_or_default();
        t_args(
            "generate-ready",
            [
                ("keys", keys.into()),
                ("count", cx.studio.draft.count.max(1).into()),
            ],
        )
    };
    ui.vertical_centered(|ui| ui.label(theme::muted(ui, text)));
}
