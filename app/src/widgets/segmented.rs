//! A row of exclusive choices of equal width.

use egui::{Button, Response, Role, Ui, WidgetInfo, vec2};

use crate::theme::{self, size};

/// Shows the choices; the response is marked as changed when another was chosen.
pub fn segmented_ui<T: Copy + PartialEq>(
    ui: &mut Ui,
    value: &mut T,
    choices: &[(T, &str)],
) -> Response {
    let palette = theme::palette(ui);
    let frame = egui::Frame::new()
        .fill(palette.sunken)
        .stroke(egui::Stroke::new(1.0, palette.edge))
        .corner_radius(size::RADIUS)
        .inner_margin(2);
    let mut changed = false;
    let mut response = frame
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                ui.spacing_mut().button_padding.x = 4.0;
                let gaps = 2.0 * (choices.len().saturating_sub(1)) as f32;
                let width = (ui.available_width() - gaps) / choices.len().max(1) as f32;
                for (choice, label) in choices {
                    let on = choice == value;
                    let text = egui::RichText::new(*label).size(12.5).color(if on {
                        palette.text
                    } else {
                        palette.muted
                    });
                    let mut button = Button::new((egui::Atom::grow(), text, egui::Atom::grow()))
                        .frame_when_inactive(on)
                        .corner_radius(size::RADIUS - 2)
                        .min_size(vec2(width, size::CONTROL - 6.0))
                        .truncate();
                    if on {
                        button = button.fill(palette.pressed);
                    }
                    let response = ui.add_sized([width, size::CONTROL - 6.0], button);
                    response.widget_info(|| {
                        WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), on, *label)
                    });
                    if response.clicked() && !on {
                        *value = *choice;
                        changed = true;
                    }
                }
            });
        })
        .response;
    if changed {
        response.mark_changed();
    }
    response
}
