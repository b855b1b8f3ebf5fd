//! About: version, licences, and whose pictures the built-in model learned from.

use egui::{Label, ScrollArea, Ui};

use super::PanelCx;
use crate::text::{t, t_args};
use crate::theme::{self, size};

/// The text that comes with the built-in model.
const STARTER_NOTICE: &str = include_str!("../../../assets/starter/NOTICE.txt");

/// Draws the dialog's content.
pub(super) fn about_ui(ui: &mut Ui, _cx: &mut PanelCx<'_>) {
    let version = t_args(
        "about-version",
        [("version", env!("CARGO_PKG_VERSION").into())],
    );
    ui.label(theme::muted(ui, version));
    ui.add(Label::new(t("about-text")).wrap());
    ui.add_space(size::S);
    ui.label(theme::strong(t("about-licences")));
    ui.add(Label::new(t("about-program-licence")).wrap());
    ui.add(Label::new(t("about-font-licences")).wrap());
    ui.add_space(size::S);
    ui.label(theme::strong(t("about-starter")));
    let room = (ui.ctx().content_rect().height() * 0.35).max(120.0);
    ScrollArea::vertical().max_height(room).show(ui, |ui| {
        let notice = theme::muted(ui, STARTER_NOTICE);
        ui.add(Label::new(notice).wrap().selectable(true));
    });
}
