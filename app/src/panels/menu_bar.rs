//! The bar on top: name, menus, the palette's search field, and what opens and closes panels.

use egui::{Align, Button, Layout, RichText, Ui, vec2};
use egui_material_icons::icons;

use super::PanelCx;
use crate::action::{ACTIONS, Action, ActionInfo, Menu};
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// Draws the bar.
pub(super) fn menu_bar_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.label(theme::strong(t("app-name")).size(14.0));
        ui.add_space(size::M);
        let room = ui.available_width();
        for menu in Menu::ALL {
            menu_ui(ui, menu, cx);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let open = cx.studio.settings.open;
            toggle_ui(ui, Action::ToggleGallery, open.gallery, cx);
            toggle_ui(ui, Action::ToggleControls, open.controls, cx);
            widgets::action_button_ui(ui, Action::OpenSettings, cx.studio, cx.commands);
            widgets::action_button_ui(ui, Action::OpenHelp, cx.studio, cx.commands);
            ui.add_space(size::S);
            if room > 640.0 {
                search_ui(ui, cx);
            } else {
                widgets::action_button_ui(ui, Action::OpenPalette, cx.studio, cx.commands);
            }
        });
    });
}

fn toggle_ui(ui: &mut Ui, action: Action, on: bool, cx: &mut PanelCx<'_>) {
    let info = action.info();
    if widgets::icon_toggle_ui(ui, info.icon, info.label(), on).clicked() {
        cx.commands.send(action);
    }
}

/// A field that looks like a search field and opens the palette.
fn search_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let palette = theme::palette(ui);
    let info = Action::OpenPalette.info();
    let keys = info
        .shortcut
        .map(|shortcut| widgets::keys_text(ui, &shortcut))
        .unwrap_or_default();
    let icon = widgets::icon_text(icons::ICON_SEARCH.outlined())
        .size(16.0)
        .color(palette.muted);
    let button = Button::new((
        icon,
        RichText::new(info.label()).color(palette.muted),
        egui::Atom::grow(),
        RichText::new(keys).size(11.5).color(palette.faint),
    ))
    .fill(palette.sunken)
    .min_size(vec2(220.0, size::CONTROL - 2.0));
    let response = ui.add(button);
    widgets::name(&response, true, info.label());
    if response.on_hover_text(info.tip()).clicked() {
        cx.commands.send(Action::OpenPalette);
    }
}

fn menu_ui(ui: &mut Ui, menu: Menu, cx: &mut PanelCx<'_>) {
    let button = Button::new(menu.title()).frame_when_inactive(false);
    egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        ui.set_width(300.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        for info in ACTIONS.iter().filter(|info| info.menu == menu) {
            entry_ui(ui, info, cx);
        }
    });
}

fn entry_ui(ui: &mut Ui, info: &ActionInfo, cx: &mut PanelCx<'_>) {
    let palette = theme::palette(ui);
    let mut button = Button::new((
        widgets::icon_text(info.icon)
            .size(16.0)
            .color(palette.muted),
        info.label(),
    ))
    .frame_when_inactive(false)
    .min_size(vec2(ui.available_width(), size::CONTROL));
    if let Some(shortcut) = info.shortcut {
        let keys = RichText::new(widgets::keys_text(ui, &shortcut))
            .size(11.5)
            .color(palette.faint);
        button = button.shortcut_text(keys);
    }
    let enabled = (info.enabled)(cx.studio);
    let response = ui.add_enabled(enabled, button);
    widgets::name(&response, enabled, info.label());
    if response.on_hover_text(info.tip()).clicked() {
        cx.commands.send(info.action);
        ui.close();
    }
}
