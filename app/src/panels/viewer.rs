//! The large view: the selected picture, its recipe beside it, and what can be done with it.

use egui::{Align, Layout, Panel, RichText, ScrollArea, Ui, vec2};
use egui_material_icons::icons;

use pentimento_engine::library::Entry;

use super::PanelCx;
use crate::command::{Command, GalleryCommand};
use crate::studio::gallery::OpenFor;
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// Width of the recipe's column.
const RECIPE_WIDTH: f32 = 320.0;

/// Draws the view into all of `ui`.
pub(super) fn viewer_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let Some(entry) = cx.studio.gallery.selected_entry() else {
        ui.label(theme::muted(ui, t("gallery-nothing-found")));
        return;
    };
    let width = RECIPE_WIDTH.min(ui.available_width() * 0.45);
    Panel::right("viewer recipe")
        .exact_size(width)
        .resizable(false)
        .show_separator_line(false)
        .frame(egui::Frame::new().inner_margin(egui::Margin::same(size::L as i8)))
        .show(ui, |ui| side_ui(ui, cx, entry));
    egui::CentralPanel::no_frame().show(ui, |ui| picture_ui(ui, cx, entry));
}

fn picture_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry) {
    let palette = theme::palette(ui);
    let room = ui.available_rect_before_wrap();
    ui.painter().rect_filled(room, 8.0, palette.desk);
    let inner = room.shrink2(vec2(52.0, size::L));
    if let Some(texture) = cx.textures.full(&entry.path) {
        let natural = texture.size_vec2();
        let scale = (inner.width() / natural.x).min(inner.height() / natural.y);
        // Small pictures are enlarged, but not to mush.
        let size = natural * scale.min(4.0);
        let rect = egui::Rect::from_center_size(inner.center(), size);
        let response = ui.put(rect, egui::Image::new(&texture).fit_to_exact_size(size));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &entry.prompt));
    }
    let gallery = &cx.studio.gallery;
    for (by, label, icon, x) in [
        (
            -1,
            t("previous"),
            icons::ICON_CHEVRON_LEFT,
            room.left() + 26.0,
        ),
        (1, t("next"), icons::ICON_CHEVRON_RIGHT, room.right() - 26.0),
    ] {
        let enabled = gallery.neighbour(by).is_some();
        let rect = egui::Rect::from_center_size(egui::pos2(x, room.center().y), vec2(36.0, 56.0));
        let child = egui::UiBuilder::new()
            .max_rect(rect)
            .layout(Layout::centered_and_justified(egui::Direction::TopDown));
        let response = ui
            .scope_builder(child, |ui| {
                widgets::icon_button_ui(ui, icon.outlined(), label, enabled)
            })
            .inner;
        if response.clicked() {
            cx.commands.send(GalleryCommand::Step(by));
        }
    }
}

fn side_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry) {
    ui.horizontal(|ui| {
        ui.label(theme::heading(t("picture")));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let close = icons::ICON_CLOSE.outlined();
            if widgets::icon_button_ui(ui, close, t("close"), true).clicked() {
                cx.commands.send(Command::CloseOverlay);
            }
            icons_ui(ui, cx, entry);
        });
    });
    Panel::bottom("viewer actions")
        .resizable(false)
        .show_separator_line(false)
        .frame(egui::Frame::new())
        .show(ui, |ui| actions_ui(ui, cx, entry));
    egui::CentralPanel::no_frame().show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            match cx.studio.gallery.selected_record() {
                Some(found) => {
                    widgets::recipe_table_ui(ui, &found.record, &found.notes, &cx.studio.catalog);
                    ui.add_space(size::S);
                    if widgets::text_button_ui(ui, t("copy-recipe")).clicked() {
                        cx.commands.send(Command::CopyText(widgets::recipe_text(
                            &found.record,
                            &found.notes,
                            &cx.studio.catalog,
                        )));
                    }
                }
                None if !entry.prompt.is_empty() => {
                    ui.add(egui::Label::new(entry.prompt.as_str()).wrap());
                }
                None => {
                    ui.label(theme::muted(ui, t("recipe-none")));
                }
            }
        });
    });
}

fn icons_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry) {
    let path = &entry.path;
    let delete = icons::ICON_DELETE.outlined();
    if widgets::icon_button_ui(ui, delete, t("delete"), true).clicked() {
        cx.commands.send(GalleryCommand::Delete(path.clone()));
    }
    let (star, label) = if entry.starred {
        (icons::ICON_STAR.filled(), t("unstar"))
    } else {
        (icons::ICON_STAR.outlined(), t("star"))
    };
    if widgets::icon_toggle_ui(ui, star, label, entry.starred).clicked() {
        cx.commands
            .send(GalleryCommand::Star(path.clone(), !entry.starred));
    }
}

fn actions_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry) {
    let path = &entry.path;
    ui.add_space(size::S);
    let edit = icons::ICON_BRUSH.outlined();
    if widgets::primary_button_ui(ui, edit, t("send-to-canvas"), true).clicked() {
        cx.commands
            .send(GalleryCommand::Open(path.clone(), OpenFor::Canvas));
    }
    let half = (ui.available_width() - ui.spacing().item_spacing.x) / 2.0;
    let pairs: [[(&str, Command); 2]; 2] = [
        [
            (
                t("use-recipe"),
                GalleryCommand::UseRecipe(path.clone()).into(),
            ),
            (
                t("copy-picture"),
                GalleryCommand::Open(path.clone(), OpenFor::Clipboard).into(),
            ),
        ],
        [
            (
                t("save-copy"),
                GalleryCommand::SaveCopy(path.clone()).into(),
            ),
            (t("show-in-folder"), Command::ShowInFolder(path.clone())),
        ],
    ];
    for pair in pairs {
        ui.horizontal(|ui| {
            for (label, command) in pair {
                let button = egui::Button::new((
                    egui::Atom::grow(),
                    RichText::new(label),
                    egui::Atom::grow(),
                ))
                .min_size(vec2(half, size::CONTROL));
                if ui.add_sized([half, size::CONTROL], button).clicked() {
                    cx.commands.send(command);
                }
            }
        });
    }
}
