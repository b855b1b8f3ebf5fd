//! Toasts: what was done, what the user should know, what failed and what to do about it.

use egui::{Align, Frame, Label, Layout, RichText, Ui};
use egui_material_icons::icons;

use super::PanelCx;
use crate::command::Command;
use crate::studio::notices::{Level, Notice};
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// Draws the notices, the newest at the bottom.
pub(super) fn notices_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    for notice in &cx.studio.notices.shown {
        ui.push_id(notice.id, |ui| notice_ui(ui, cx, notice));
    }
}

fn notice_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, notice: &Notice) {
    let palette = theme::palette(ui);
    let (icon, color) = match notice.level {
        Level::Info => (icons::ICON_CHECK_CIRCLE, palette.accent),
        Level::Warning => (icons::ICON_WARNING, palette.warning),
        Level::Error => (icons::ICON_ERROR, palette.danger),
    };
    card(ui).show(ui, |ui| {
        ui.set_width(size::NOTICE);
        ui.horizontal_top(|ui| {
            ui.label(widgets::icon_text(icon.outlined()).color(color));
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let close = icons::ICON_CLOSE.outlined();
                if widgets::icon_button_ui(ui, close, t("dismiss"), true).clicked() {
                    cx.commands.send(Command::DismissNotice(notice.id));
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| words_ui(ui, cx, notice));
            });
        });
    });
}

fn words_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, notice: &Notice) {
    ui.spacing_mut().item_spacing.y = size::XS;
    ui.add_space(1.0);
    ui.add(Label::new(theme::strong(&notice.headline)).wrap());
    if !notice.hint.is_empty() {
        ui.add(Label::new(notice.hint.as_str()).wrap());
    }
    if !notice.details.is_empty() {
        let details = RichText::new(&notice.details)
            .size(theme::type_size::SMALL)
            .color(theme::palette(ui).muted);
        ui.add(Label::new(details).wrap().selectable(true));
    }
    if notice.action.is_none() && notice.details.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        if let Some((label, command)) = &notice.action
            && widgets::text_button_ui(ui, label).clicked()
        {
            cx.commands.send(command.clone());
            cx.commands.send(Command::DismissNotice(notice.id));
        }
        if !notice.details.is_empty() && widgets::text_button_ui(ui, t("copy-details")).clicked() {
            let text = [&notice.headline, &notice.hint, &notice.details].map(String::as_str);
            cx.commands.send(Command::CopyText(text.join("\n")));
        }
    });
}

/// The card of a notice.
pub(super) fn card(ui: &Ui) -> Frame {
    let palette = theme::palette(ui);
    Frame::new()
        .fill(palette.raised)
        .stroke(egui::Stroke::new(1.0, palette.edge))
        .corner_radius(8)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(size::M)
}
