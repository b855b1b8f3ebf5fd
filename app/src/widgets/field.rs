//! The rows of a panel: a section with its title, a label in the left column and a control in the
//! right one, sliders with their number, switches.

use std::ops::RangeInclusive;

use egui::{
    Align, DragValue, Label, Layout, Response, Role, Slider, SliderClamping, Ui, WidgetInfo, vec2,
};

use crate::theme::{self, size};

/// Width of the label column, in points.
pub const LABEL_WIDTH: f32 = 88.0;
/// Width of a slider's number.
const NUMBER_WIDTH: f32 = 54.0;

/// A titled part of a panel, a hairline above it. `trailing` draws at the title's right.
pub fn section_ui<R>(
    ui: &mut Ui,
    title: &str,
    trailing: impl FnOnce(&mut Ui),
    body: impl FnOnce(&mut Ui) -> R,
) -> R {
    ui.horizontal(|ui| {
        ui.set_min_height(size::CONTROL);
        ui.label(theme::strong(title));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            trailing(ui);
        });
    });
    ui.add_space(-size::XS);
    let result = body(ui);
    ui.add_space(size::XS);
    result
}

/// A row: `label` in the left column, what `add` draws in the rest. `add` gets the label's id for
/// `labelled_by`.
pub fn field_ui<R>(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui, egui::Id) -> R) -> R {
    ui.horizontal(|ui| {
        let cell = vec2(LABEL_WIDTH, size::CONTROL);
        let label = ui
            .allocate_ui_with_layout(cell, Layout::left_to_right(Align::Center), |ui| {
                ui.set_min_size(cell);
                ui.add(Label::new(theme::muted(ui, label).size(12.5)).truncate())
            })
            .inner;
        add(ui, label.id)
    })
    .inner
}

/// A note below a control.
pub fn note_ui(ui: &mut Ui, text: impl Into<String>) -> Response {
    ui.add(Label::new(theme::muted(ui, text)).wrap())
}

/// A row with a slider and its number. The number may leave the slider's range as far as `limits`.
pub fn slider_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut f64,
    range: RangeInclusive<f64>,
    limits: RangeInclusive<f64>,
    step: f64,
) -> Response {
    let decimals = if step >= 1.0 { 0 } else { 2 };
    field_ui(ui, label, |ui, label_id| {
        let gap = ui.spacing().item_spacing.x;
        ui.spacing_mut().slider_width = (ui.available_width() - NUMBER_WIDTH - gap).max(48.0);
        let slider = Slider::new(value, range)
            .show_value(false)
            .clamping(SliderClamping::Never)
            .step_by(step);
        let slider = rail_ui(ui, slider).labelled_by(label_id);
        slider.widget_info(|| WidgetInfo::labeled(Role::Slider, ui.is_enabled(), label));
        let number = DragValue::new(value)
            .range(limits)
            .speed(step)
            .max_decimals(decimals)
            .min_size(vec2(NUMBER_WIDTH, size::CONTROL));
        let number = ui.add(number).labelled_by(label_id);
        slider.union(number)
    })
}

/// A bare slider with its trailing part in the accent.
pub fn rail_ui(ui: &mut Ui, slider: Slider<'_>) -> Response {
    ui.scope(|ui| {
        let palette = theme::palette(ui);
        ui.visuals_mut().selection.bg_fill = palette.accent;
        ui.visuals_mut().widgets.inactive.bg_fill = palette.edge;
        // The handle's size follows the height; the number beside it stays as high as any field.
        ui.spacing_mut().interact_size.y = 18.0;
        ui.add(slider)
    })
    .inner
}

/// A row with a whole number.
pub fn number_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut u32,
    range: RangeInclusive<u32>,
    suffix: &str,
) -> Response {
    field_ui(ui, label, |ui, label_id| {
        let width = ui.available_width();
        let number = DragValue::new(value)
            .range(range)
            .suffix(suffix)
            .min_size(vec2(width, size::CONTROL));
        ui.add(number).labelled_by(label_id)
    })
}

/// A row with an on/off switch at its right, the whole row clickable.
pub fn switch_ui(ui: &mut Ui, label: &str, on: &mut bool) -> Response {
    let width = ui.available_width();
    let (rect, mut response) =
        ui.allocate_exact_size(vec2(width, size::CONTROL), egui::Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), *on, label));
    if ui.is_rect_visible(rect) {
        paint_switch(ui, rect, &response, label, *on);
    }
    response
}

fn paint_switch(ui: &Ui, rect: egui::Rect, response: &Response, label: &str, on: bool) {
    let palette = theme::palette(ui);
    let how_on = ui.ctx().animate_bool_responsive(response.id, on);
    ui.painter().text(
        rect.left_center(),
        egui::Align2::LEFT_CENTER,
        label,
        egui::FontId::proportional(12.5),
        if response.hovered() {
            palette.text
        } else {
            palette.muted
        },
    );
    let track =
        egui::Rect::from_center_size(rect.right_center() - vec2(16.0, 0.0), vec2(30.0, 16.0));
    let fill = if on { palette.accent } else { palette.pressed };
    ui.painter().rect(
        track,
        8.0,
        fill,
        egui::Stroke::new(
            1.0,
            if response.has_focus() {
                palette.text
            } else {
                fill
            },
        ),
        egui::StrokeKind::Outside,
    );
    let knob_x = egui::lerp((track.left() + 8.0)..=(track.right() - 8.0), how_on);
    let knob = if on { palette.on_accent } else { palette.text };
    ui.painter()
        .circle_filled(egui::pos2(knob_x, track.center().y), 5.5, knob);
}
