//! Jobs that an earlier run left behind: resume or forget them.

use egui::{Label, Ui};

use super::PanelCx;
use crate::command::Command;
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets;

/// Draws the card; nothing when no job was left behind.
pub(super) fn unfinished_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let jobs = &cx.studio.unfinished;
    if jobs.is_empty() {
        return;
    }
    let palette = theme::palette(ui);
    let card = egui::Frame::new()
        .fill(palette.raised)
        .stroke(egui::Stroke::new(1.0, palette.accent))
        .corner_radius(8)
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(size::M);
    card.show(ui, |ui| {
        ui.set_width(size::NOTICE);
        let title = t_args("unfinished-title", [("count", jobs.len().into())]);
        ui.add(Label::new(theme::strong(title)).wrap());
        ui.add(Label::new(theme::muted(ui, t("unfinished-note"))).wrap());
        for job in jobs.iter().take(3) {
            ui.add(Label::new(job.request.recipe.prompt.as_str()).truncate());
        }
        ui.horizontal(|ui| {
            if widgets::text_button_ui(ui, t("resume")).clicked() {
                for job in jobs {
                    cx.commands.send(Command::ResumeUnfinished(job.key.clone()));
                }
            }
            if widgets::text_button_ui(ui, t("discard")).clicked() {
                for job in jobs {
                    cx.commands.send(Command::ForgetUnfinished(job.key.clone()));
                }
            }
        });
    });
}
