//! A field that opens a list: each entry has a name and may have a picture beside and a sentence below
//! it.

use egui::{
    Align, Atom, Button, Layout, Popup, Response, Role, ScrollArea, TextureHandle, Ui, WidgetInfo,
    vec2,
};
use egui_material_icons::icons::ICON_KEYBOARD_ARROW_DOWN;

use super::buttons::icon_text;
use super::thumbnail::picture_ui;
use crate::theme::{self, size};

/// An entry of the list.
#[derive(Clone, Copy, Debug)]
pub struct ChoiceItem<'a> {
    /// Stable id.
    pub id: &'a str,
    /// Name for people.
    pub label: &'a str,
    /// One sentence; may be empty.
    pub hint: &'a str,
}

/// Gives entries their pictures, by id; `None` while one is on the way and for entries without one.
pub type Pictures<'a> = &'a mut dyn FnMut(&str) -> Option<TextureHandle>;

/// Side of an entry's picture.
const PICTURE: f32 = 44.0;

/// Shows the field; `chosen` is an id. An id that is not in the list is shown as it is. The
/// response is marked as changed when another entry was chosen.
pub fn choice_ui(
    ui: &mut Ui,
    label: &str,
    chosen: &mut String,
    items: &[ChoiceItem<'_>],
) -> Response {
    pictured_choice_ui(ui, label, chosen, items, None)
}

/// As [`choice_ui`], with a picture beside each entry.
pub fn pictured_choice_ui(
    ui: &mut Ui,
    label: &str,
    chosen: &mut String,
    items: &[ChoiceItem<'_>],
    pictures: Option<Pictures<'_>>,
) -> Response {
    let shown = items
        .iter()
        .find(|item| item.id == chosen.as_str())
        .map_or_else(|| chosen.clone(), |item| item.label.to_owned());
    let width = ui.available_width();
    let arrow = icon_text(ICON_KEYBOARD_ARROW_DOWN)
        .size(16.0)
        .color(theme::palette(ui).muted);
    let button = Button::new((shown.as_str(), Atom::grow(), arrow))
        .truncate()
        .min_size(vec2(width, size::CONTROL));
    let mut response = ui.add(button);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, ui.is_enabled(), label);
        info.current_text_value = Some(shown.clone());
        info
    });
    let picked = Popup::menu(&response)
        .width(width.max(260.0))
        .show(|ui| list(ui, chosen, items, pictures))
        .and_then(|shown| shown.inner);
    if let Some(id) = picked
        && id != *chosen
    {
        *chosen = id;
        response.mark_changed();
    }
    response
}

fn list(
    ui: &mut Ui,
    chosen: &str,
    items: &[ChoiceItem<'_>],
    mut pictures: Option<Pictures<'_>>,
) -> Option<String> {
    let mut picked = None;
    ui.set_min_width(ui.available_width());
    let room = (ui.ctx().content_rect().height() * 0.6).max(160.0);
    ScrollArea::vertical().max_height(room).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for item in items {
            let response = entry(ui, item, item.id == chosen, &mut pictures);
            if response.clicked() {
                picked = Some(item.id.to_owned());
                ui.close();
            }
        }
    });
    picked
}

fn entry(
    ui: &mut Ui,
    item: &ChoiceItem<'_>,
    selected: bool,
    pictures: &mut Option<Pictures<'_>>,
) -> Response {
    let width = ui.available_width();
    let response = ui
        .scope_builder(
            egui::UiBuilder::new()
                .id_salt(item.id)
                .sense(egui::Sense::click()),
            |ui| {
                let response = ui.response();
                let palette = theme::palette(ui);
                let fill = if response.hovered() || response.has_focus() {
                    palette.hovered
                } else if selected {
                    palette.accent_wash
                } else {
                    egui::Color32::TRANSPARENT
                };
                egui::Frame::new()
                    .fill(fill)
                    .corner_radius(size::RADIUS)
                    .inner_margin(egui::Margin::symmetric(8, 5))
                    .show(ui, |ui| {
                        ui.set_width(width - 16.0);
                        match pictures {
                            None => words(ui, item),
                            Some(pictures) => {
                                ui.horizontal(|ui| {
                                    picture_ui(ui, || pictures(item.id), item.label, PICTURE);
                                    words(ui, item);
                                });
                            }
                        }
                    });
            },
        )
        .response;
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, selected, item.label));
    response
}

fn words(ui: &mut Ui, item: &ChoiceItem<'_>) {
    ui.with_layout(Layout::top_down(Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.label(item.label);
        if !item.hint.is_empty() {
            ui.add(egui::Label::new(theme::muted(ui, item.hint)).wrap());
        }
    });
}
