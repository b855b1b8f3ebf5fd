//! Buttons: the one that starts a job, plain ones, icons with a name, and actions of the table.

use egui::{Button, Response, RichText, Role, Stroke, Ui, WidgetInfo, vec2};
use egui_material_icons::MaterialIcon;

use crate::action::Action;
use crate::command::CommandSender;
use crate::studio::Studio;
use crate::theme::{self, size};

/// The button that starts a job, as wide as it may be.
pub fn primary_button_ui(ui: &mut Ui, icon: MaterialIcon, label: &str, enabled: bool) -> Response {
    let palette = theme::palette(ui);
    let text = theme::strong(label).color(palette.on_accent);
    let size = vec2(ui.available_width(), size::PRIMARY);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        for (look, fill) in [
            (&mut widgets.inactive, palette.accent),
            (&mut widgets.hovered, palette.accent_hovered),
            (&mut widgets.active, palette.accent_hovered),
        ] {
            look.weak_bg_fill = fill;
            look.bg_stroke = Stroke::new(1.0, fill);
            look.fg_stroke = Stroke::new(1.0, palette.on_accent);
        }
        let icon = icon_text(icon).color(palette.on_accent);
        let atoms = (egui::Atom::grow(), icon, text, egui::Atom::grow());
        let response = ui.add_enabled(enabled, Button::new(atoms).min_size(size));
        name(&response, enabled, label);
        response
    })
    .inner
}

/// A button in the accent, as wide as its label: what is most likely wanted next.
pub fn accent_button_ui(ui: &mut Ui, icon: MaterialIcon, label: &str) -> Response {
    let palette = theme::palette(ui);
    let icon = icon_text(icon).size(16.0).color(palette.on_accent);
    let text = theme::strong(label).color(palette.on_accent);
    let button = Button::new((icon, text))
        .fill(palette.accent)
        .min_size(vec2(0.0, size::CONTROL));
    let response = ui.add(button);
    name(&response, true, label);
    response
}

/// A plain button with text.
pub fn text_button_ui(ui: &mut Ui, label: &str) -> Response {
    ui.add(Button::new(label).min_size(vec2(0.0, size::CONTROL)))
}

/// A button that looks like a word of the text.
pub fn link_button_ui(ui: &mut Ui, label: &str) -> Response {
    let text = RichText::new(label).color(theme::palette(ui).accent);
    ui.add(Button::new(text).frame_when_inactive(false))
}

/// A square button with an icon. `label` is its tooltip and its accessible name.
pub fn icon_button_ui(ui: &mut Ui, icon: MaterialIcon, label: &str, enabled: bool) -> Response {
    let side = size::ICON_BUTTON;
    let button = Button::new(centred(icon_text(icon)))
        .frame_when_inactive(false)
        .min_size(vec2(side, side));
    let response = tight(ui, |ui| ui.add_enabled(enabled, button));
    name(&response, enabled, label);
    response.on_hover_text(label).on_disabled_hover_text(label)
}

/// A square button with an icon that is on or off.
pub fn icon_toggle_ui(ui: &mut Ui, icon: MaterialIcon, label: &str, on: bool) -> Response {
    let palette = theme::palette(ui);
    let side = size::ICON_BUTTON;
    let mut text = icon_text(icon);
    if on {
        text = text.color(palette.accent);
    }
    let button = Button::new(centred(text))
        .selected(on)
        .frame_when_inactive(on)
        .min_size(vec2(side, side));
    let response = tight(ui, |ui| ui.add(button));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, label));
    response.on_hover_text(label)
}

/// An action of the table as an icon; disabled when it makes no sense.
pub fn action_button_ui(
    ui: &mut Ui,
    action: Action,
    studio: &Studio,
    commands: &mut CommandSender,
) -> Response {
    let info = action.info();
    let enabled = (info.enabled)(studio);
    let response = icon_button_ui(ui, info.icon, info.label(), enabled);
    if response.clicked() {
        commands.send(action);
    }
    response
}

/// Keys as they stand on the keyboard.
pub fn keys_text(ui: &Ui, shortcut: &egui::KeyboardShortcut) -> String {
    let text = ui.ctx().format_shortcut(shortcut);
    text.replace("Comma", ",").replace("Escape", "Esc")
}

/// An icon at the size of icons.
pub(crate) fn icon_text(icon: MaterialIcon) -> RichText {
    RichText::new(icon.codepoint)
        .family(icon.font_family())
        .size(size::ICON)
}

/// Gives a response its accessible name.
pub(crate) fn name(response: &Response, enabled: bool, label: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, label));
}

fn centred(text: RichText) -> (egui::Atom<'static>, RichText, egui::Atom<'static>) {
    (egui::Atom::grow(), text, egui::Atom::grow())
}

/// Icons need no padding: their button's size is fixed.
fn tight(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> Response) -> Response {
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(0.0, 0.0);
        ui.spacing_mut().icon_spacing = 0.0;
        add(ui)
    })
    .inner
}
