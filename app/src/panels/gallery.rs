//! The gallery: finished pictures, newest first, searched by prompt, drawn only where they are seen.

use egui::{Id, Layout, RichText, ScrollArea, TextEdit, Ui, vec2};
use egui_material_icons::icons;

use pentimento_engine::library::Entry;

use super::PanelCx;
use crate::command::GalleryCommand;
use crate::studio::gallery::OpenFor;
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets::{self, ThumbnailLook};

/// Space between thumbnails.
const GAP: f32 = 6.0;

/// The search field's id, for moving the focus there.
pub fn search_id() -> Id {
    Id::unique("gallery search field")
}

/// Draws the gallery.
pub(super) fn gallery_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    ui.label(theme::strong(t("gallery")));
    ui.add_space(-size::XS);
    search_ui(ui, cx);
    let gallery = &cx.studio.gallery;
    if gallery.entries.is_empty() {
        empty_ui(ui, cx);
    } else {
        grid_ui(ui, cx);
    }
}

fn search_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let query = &cx.studio.gallery.query;
    let palette = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = size::XS;
        let width = ui.available_width() - size::ICON_BUTTON - size::XS;
        let mut text = query.text.clone();
        let response = ui.add(
            TextEdit::singleline(&mut text)
                .id(search_id())
                .hint_text(RichText::new(t("gallery-search-hint")).color(palette.faint))
                .desired_width(width)
                .min_size(vec2(width, size::CONTROL))
                .align(egui::Align2::LEFT_CENTER),
        );
        response.widget_info(|| {
            let mut info = egui::WidgetInfo::text_edit(
                true,
                query.text.clone(),
                query.text.clone(),
                t("gallery-search"),
            );
            info.label = Some(t("gallery-search").to_owned());
            info
        });
        if text != query.text {
            cx.commands.send(GalleryCommand::Search(text));
        }
        let on = query.starred_only;
        let star = if on {
            icons::ICON_STAR.filled()
        } else {
            icons::ICON_STAR.outlined()
        };
        if widgets::icon_toggle_ui(ui, star, t("gallery-starred"), on).clicked() {
            cx.commands.send(GalleryCommand::StarredOnly(!on));
        }
    });
}

/// Says why nothing is shown.
fn empty_ui(ui: &mut Ui, cx: &PanelCx<'_>) {
    let gallery = &cx.studio.gallery;
    let text = if !gallery.loaded {
        return;
    } else if !gallery.query.text.is_empty() || gallery.query.starred_only {
        t("gallery-nothing-found")
    } else {
        t("gallery-empty")
    };
    ui.add_space(size::XL);
    ui.vertical_centered(|ui| {
        let palette = theme::palette(ui);
        ui.label(
            widgets::icon_text(icons::ICON_PHOTO_LIBRARY.outlined())
                .size(32.0)
                .color(palette.edge),
        );
        ui.add(egui::Label::new(RichText::new(text).color(palette.muted)).wrap());
    });
}

fn grid_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let entries = &studio.gallery.entries;
    let room = ui.available_width();
    let columns = ((room + GAP) / (size::THUMBNAIL + GAP)).round().max(1.0) as usize;
    let side = ((room - GAP * (columns as f32 - 1.0)) / columns as f32).floor();
    let rows = entries.len().div_ceil(columns);
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    ScrollArea::vertical()
        .id_salt("gallery grid")
        .auto_shrink(false)
        .show_rows(ui, side, rows, |ui, shown| {
            if shown.end == rows && studio.gallery.has_more() {
                cx.commands.send(GalleryCommand::More);
            }
            for row in shown {
                ui.horizontal(|ui| {
                    let first = row * columns;
                    for entry in entries.iter().skip(first).take(columns) {
                        tile_ui(ui, cx, entry, side);
                    }
                });
            }
        });
}

fn tile_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry, side: f32) {
    let texture = cx.textures.thumbnail(&entry.path);
    let look = ThumbnailLook {
        selected: cx.studio.gallery.selected.as_ref() == Some(&entry.path),
        starred: entry.starred,
    };
    let label = if entry.prompt.is_empty() {
        t("untitled")
    } else {
        &entry.prompt
    };
    let response = widgets::thumbnail_ui(ui, texture.as_ref(), label, side, look);
    if response.clicked() {
        cx.commands.send(GalleryCommand::View(entry.path.clone()));
    }
    response.context_menu(|ui| entry_menu_ui(ui, cx, entry));
    if !entry.prompt.is_empty() {
        response.on_hover_text(&entry.prompt);
    }
}

/// What can be done with a picture, without opening it.
fn entry_menu_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, entry: &Entry) {
    ui.set_min_width(200.0);
    let path = &entry.path;
    let star = if entry.starred {
        t("unstar")
    } else {
        t("star")
    };
    let entries: [(&str, GalleryCommand); 6] = [
        (
            t("send-to-canvas"),
            GalleryCommand::Open(path.clone(), OpenFor::Canvas),
        ),
        (t("use-recipe"), GalleryCommand::UseRecipe(path.clone())),
        (
            t("copy-picture"),
            GalleryCommand::Open(path.clone(), OpenFor::Clipboard),
        ),
        (t("save-copy"), GalleryCommand::SaveCopy(path.clone())),
        (star, GalleryCommand::Star(path.clone(), !entry.starred)),
        (t("delete"), GalleryCommand::Delete(path.clone())),
    ];
    ui.with_layout(Layout::top_down_justified(egui::Align::Min), |ui| {
        for (label, command) in entries {
            if ui.button(label).clicked() {
                cx.commands.send(command);
                ui.close();
            }
        }
        if ui.button(t("show-in-folder")).clicked() {
            cx.commands
                .send(crate::command::Command::ShowInFolder(path.clone()));
            ui.close();
        }
    });
}
