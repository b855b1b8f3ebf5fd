//! A row of exclusive choices of equal width.

use egui::{Button, Response, Role, Ui, WidgetInfo, vec2};

use crate::theme::{self, size};

/// Shows the choices; the response is marked as changed when another was chosen. `group`: what is
/// chosen, for those who hear it instead of seeing the label above.
pub fn segmented_ui<T: Copy + PartialEq>(
    ui: &mut Ui,
    group: &str,
    value: &mut T,
    choices: &[(T, &str)],
) -> Response {
    let palette = theme::palette(ui);
    let mut changed = false;
    let room = vec2(ui.available_width(), size::CONTROL);
    let (rect, mut response) = ui.allocate_exact_size(room, egui::Sense::hover());
    let edge = egui::Stroke::new(1.0, palette.edge);
    let inside = egui::StrokeKind::Inside;
    ui.painter()
        .rect(rect, size::RADIUS, palette.sunken, edge, inside);
    let cells = rect.shrink(2.0);
    let width = cells.width() / choices.len().max(1) as f32;
    for (at, (choice, label)) in choices.iter().enumerate() {
        let on = choice == value;
        let cell = egui::Rect::from_min_size(
            cells.min + vec2(width * at as f32, 0.0),
            vec2(width, cells.height()),
        );
        if cell_ui(ui, cell, group, label, on).clicked() && !on {
            *value = *choice;
            changed = true;
        }
    }
    if changed {
        response.mark_changed();
    }
    response
}

fn cell_ui(ui: &mut Ui, cell: egui::Rect, group: &str, label: &str, on: bool) -> Response {
    let palette = theme::palette(ui);
    let color = if on { palette.text } else { palette.muted };
    let text = egui::RichText::new(label).size(12.5).color(color);
    let mut button = Button::new((egui::Atom::grow(), text, egui::Atom::grow()))
        .frame_when_inactive(on)
        .corner_radius(size::RADIUS - 2)
        .min_size(cell.size())
        .truncate();
    if on {
        button = button.fill(palette.pressed);
    }
    // A child of its own: the row's place in the panel is taken once, by the frame.
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(cell).id_salt(label));
    child.spacing_mut().button_padding = vec2(2.0, 0.0);
    child.spacing_mut().interact_size.y = cell.height();
    let response = child.add_sized(cell.size(), button);
    let name = if group.is_empty() {
        label.to_owned()
    } else {
        format!("{group}: {label}")
    };
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, &name));
    response
}
