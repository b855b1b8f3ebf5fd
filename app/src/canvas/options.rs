//! Options of the tools, in one row above the canvas.

use std::ops::RangeInclusive;

use egui::{DragValue, Response, Role, Slider, Ui, WidgetInfo, vec2};

use crate::studio::stroke::{MAX_BRUSH_PX, MIN_BRUSH_PX};
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;
use crate::theme::{self, size};

/// Width of a slider, in points.
const SLIDER_WIDTH: f32 = 96.0;
/// Width of a slider's number.
const NUMBER_WIDTH: f32 = 52.0;

/// Narrower bars leave the sliders out: each option is a number with its name inside.
const BAR_WITH_SLIDERS: f32 = 420.0;

/// Size and hardness of brush and eraser.
pub(super) fn brush_options_ui(ui: &mut Ui, settings: &mut ToolSettings) {
    let label = t("brush-size");
    let range = MIN_BRUSH_PX..=MAX_BRUSH_PX;
    if has_sliders(ui) {
        // Small brushes need finer steps than large ones.
        let slider = Slider::new(&mut settings.brush_size_px, range.clone())
            .logarithmic(true)
            .step_by(1.0);
        labelled_ui(ui, label, slider).on_hover_text(t("brush-size-tip"));
        number_ui(ui, label, &mut settings.brush_size_px, range, " px");
    } else {
        named_number_ui(ui, label, &mut settings.brush_size_px, range, " px")
            .on_hover_text(t("brush-size-tip"));
    }
    let mut percent = (settings.brush_hardness * 100.0).round();
    bar_option_ui(ui, t("brush-hardness"), &mut percent, 0.0..=100.0, " %")
        .on_hover_text(t("brush-hardness-tip"));
    settings.brush_hardness = percent / 100.0;
}

/// An option of the bar: a slider and its number, or where there is no room the number alone.
pub(super) fn bar_option_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut f32,
    range: RangeInclusive<f32>,
    suffix: &str,
) -> Response {
    if has_sliders(ui) {
        slider_option_ui(ui, label, value, range, suffix)
    } else {
        named_number_ui(ui, label, value, range, suffix)
    }
}

/// The bar scrolls: what is seen of it counts, not how long it may get.
fn has_sliders(ui: &Ui) -> bool {
    ui.clip_rect().width() >= BAR_WITH_SLIDERS
}

/// A label, a slider and its number.
pub(super) fn slider_option_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut f32,
    range: RangeInclusive<f32>,
    suffix: &str,
) -> Response {
    let slider = Slider::new(value, range.clone()).step_by(1.0);
    let slider = labelled_ui(ui, label, slider);
    let number = number_ui(ui, label, value, range, suffix);
    slider.union(number)
}

/// A check box.
pub(super) fn toggle_option_ui(ui: &mut Ui, label: &str, on: &mut bool) -> Response {
    ui.checkbox(on, label)
}

fn labelled_ui(ui: &mut Ui, label: &str, slider: Slider<'_>) -> Response {
    let text = ui.label(theme::muted(ui, label));
    ui.spacing_mut().slider_width = SLIDER_WIDTH;
    let slider = crate::widgets::rail_ui(ui, slider.show_value(false)).labelled_by(text.id);
    slider.widget_info(|| WidgetInfo::labeled(Role::Slider, ui.is_enabled(), label));
    slider
}

fn number_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut f32,
    range: RangeInclusive<f32>,
    suffix: &str,
) -> Response {
    prefixed_number_ui(ui, label, String::new(), value, range, suffix)
}

/// A number with its name inside the field.
fn named_number_ui(
    ui: &mut Ui,
    label: &str,
    value: &mut f32,
    range: RangeInclusive<f32>,
    suffix: &str,
) -> Response {
    prefixed_number_ui(ui, label, format!("{label} "), value, range, suffix)
}

fn prefixed_number_ui(
    ui: &mut Ui,
    label: &str,
    prefix: String,
    value: &mut f32,
    range: RangeInclusive<f32>,
    suffix: &str,
) -> Response {
    let number = DragValue::new(value)
        .range(range)
        .max_decimals(0)
        .prefix(prefix)
        .suffix(suffix)
        .min_size(vec2(NUMBER_WIDTH, size::CONTROL - 4.0));
    let number = ui.add(number);
    number.widget_info(|| WidgetInfo::labeled(Role::SpinButton, ui.is_enabled(), label));
    number
}
