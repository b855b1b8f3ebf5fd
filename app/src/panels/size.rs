//! The picture's size: aspect presets around the model's own size, both sides, and a swap.

use egui::{DragValue, Ui, vec2};

use super::PanelCx;
use crate::action::Action;
use crate::studio::draft::{DraftEdit, SIDE_RANGE_PX, StartMode};
use crate::text::{t, t_args};
use crate::theme::size;
use crate::widgets;

/// Aspect presets: name, width and height in parts.
const ASPECTS: [(&str, [u32; 2]); 5] = [
    ("1:1", [1, 1]),
    ("4:3", [4, 3]),
    ("3:2", [3, 2]),
    ("16:9", [16, 9]),
    ("2:1", [2, 1]),
];

/// Draws the size's section.
pub(super) fn size_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    if studio.start_mode() != StartMode::New {
        // The canvas decides the size then.
        return;
    }
    widgets::section_ui(
        ui,
        t("size"),
        |_| {},
        |ui| {
            let native_px = studio.model().map_or([512, 512], |model| model.native_px);
            let multiple = studio.model().map_or(8, |model| model.multiple_px.max(1));
            let size_px = studio.draft.size_px;
            if let Some(size_px) = aspects_ui(ui, size_px, native_px, multiple) {
                cx.commands.send(DraftEdit::SizePx(size_px));
            }
            if let Some(size_px) = sides_ui(ui, cx, size_px, multiple) {
                cx.commands.send(DraftEdit::SizePx(size_px));
            }
            let (area, native) = (area(size_px), area(native_px));
            if area > native * 3 {
                widgets::note_ui(ui, t("size-large"));
            } else if area * 3 < native {
                widgets::note_ui(ui, t("size-small"));
            } else if size_px != native_px {
                let args = [
                    ("width", native_px[0].into()),
                    ("height", native_px[1].into()),
                ];
                widgets::note_ui(ui, t_args("size-native", args));
            }
        },
    );
}

fn aspects_ui(
    ui: &mut Ui,
    size_px: [u32; 2],
    native_px: [u32; 2],
    multiple: u32,
) -> Option<[u32; 2]> {
    let portrait = size_px[1] > size_px[0];
    let sizes: Vec<[u32; 2]> = ASPECTS
        .iter()
        .map(|(_, aspect)| {
            let mut size_px = aspect_size_px(*aspect, native_px, multiple);
            if portrait {
                size_px.reverse();
            }
            size_px
        })
        .collect();
    let labels: Vec<String> = ASPECTS
        .iter()
        .map(|(label, aspect)| {
            if portrait {
                format!("{}:{}", aspect[1], aspect[0])
            } else {
                (*label).to_owned()
            }
        })
        .collect();
    let choices: Vec<([u32; 2], &str)> = sizes
        .iter()
        .copied()
        .zip(labels.iter().map(String::as_str))
        .collect();
    let mut chosen = size_px;
    widgets::segmented_ui(ui, "", &mut chosen, &choices)
        .changed()
        .then_some(chosen)
}

fn sides_ui(
    ui: &mut Ui,
    cx: &mut PanelCx<'_>,
    size_px: [u32; 2],
    multiple: u32,
) -> Option<[u32; 2]> {
    let mut edited = size_px;
    ui.horizontal(|ui| {
        let gaps = 2.0 * ui.spacing().item_spacing.x;
        let width = (ui.available_width() - size::ICON_BUTTON - gaps) / 2.0;
        side_ui(ui, t("width"), &mut edited[0], width, multiple);
        widgets::action_button_ui(ui, Action::SwapSize, cx.studio, cx.commands);
        side_ui(ui, t("height"), &mut edited[1], width, multiple);
    });
    (edited != size_px).then_some(edited)
}

/// One side, its name inside the field.
fn side_ui(ui: &mut Ui, label: &str, side_px: &mut u32, width: f32, multiple: u32) {
    let number = DragValue::new(side_px)
        .range(SIDE_RANGE_PX)
        .speed(f64::from(multiple))
        .prefix(format!("{label} "))
        .suffix(" px")
        .min_size(vec2(width, size::CONTROL));
    let enabled = ui.is_enabled();
    let response = ui.add_sized([width, size::CONTROL], number);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, enabled, label));
}

/// The size of that aspect with about the model's own area, in multiples of `multiple`.
pub(crate) fn aspect_size_px(aspect: [u32; 2], native_px: [u32; 2], multiple: u32) -> [u32; 2] {
    let native_area = f64::from(native_px[0]) * f64::from(native_px[1]);
    let unit = (native_area / f64::from(aspect[0] * aspect[1])).sqrt();
    aspect.map(|parts| {
        let wanted = unit * f64::from(parts) / f64::from(multiple);
        (wanted.round() as u32).max(1) * multiple
    })
}

fn area(size_px: [u32; 2]) -> u64 {
    u64::from(size_px[0]) * u64::from(size_px[1])
}
