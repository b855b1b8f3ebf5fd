//! What the next job does with the picture on the canvas: nothing, a variation, or a repaint of
//! what the mask covers.

use egui::Ui;
use pentimento_engine::recipe::MaskedContent;

use super::PanelCx;
use crate::studio::Studio;
use crate::studio::draft::{DraftEdit, StartDraft, StartMode};
use crate::text::{t, t_args};
use crate::theme;
use crate::widgets::{self, ChoiceItem};

/// Draws the section; nothing while the canvas is empty.
pub(super) fn start_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    if !studio.has_picture() {
        return;
    }
    let mut start = studio.draft.start.clone();
    widgets::section_ui(
        ui,
        t("start"),
        |_| {},
        |ui| {
            widgets::segmented_ui(
                ui,
                "",
                &mut start.mode,
                &[
                    (StartMode::New, t("start-new")),
                    (StartMode::Variation, t("start-variation")),
                    (StartMode::Repaint, t("start-repaint")),
                ],
            );
            match start.mode {
                StartMode::New => {
                    widgets::note_ui(ui, t("start-new-note"));
                }
                StartMode::Variation => {
                    widgets::note_ui(ui, t("start-variation-note"));
                    strength_ui(ui, &mut start);
                }
                StartMode::Repaint => {
                    if studio.has_mask() {
                        widgets::note_ui(ui, t("start-repaint-note"));
                    } else {
                        let warning = theme::palette(ui).warning;
                        let text = theme::muted(ui, t("start-no-mask")).color(warning);
                        ui.add(egui::Label::new(text).wrap());
                    }
                    strength_ui(ui, &mut start);
                    repaint_ui(ui, &mut start);
                }
            }
            size_note_ui(ui, studio, &start);
        },
    );
    if start != studio.draft.start {
        cx.commands.send(DraftEdit::Start(start));
    }
}

/// The picture's size is the result's; says so where the model would not expect it.
fn size_note_ui(ui: &mut Ui, studio: &Studio, start: &StartDraft) {
    let sees_all = match start.mode {
        StartMode::New => false,
        StartMode::Variation => true,
        StartMode::Repaint => !start.only_masked,
    };
    let (Some(size_px), Some(model)) = (studio.start_size_px(), studio.model()) else {
        return;
    };
    if !sees_all || size_px == model.native_px {
        return;
    }
    let [width, height] = size_px.map(u64::from);
    let args = [("width", width.into()), ("height", height.into())];
    widgets::note_ui(ui, t_args("start-size", args));
    let [native_width, native_height] = model.native_px.map(u64::from);
    if width * height > 3 * native_width * native_height {
        widgets::note_ui(ui, t("size-large"));
    }
}

fn strength_ui(ui: &mut Ui, start: &mut StartDraft) {
    let strength = &mut start.strength;
    widgets::slider_ui(ui, t("strength"), strength, 0.05..=1.0, 0.01..=1.0, 0.05)
        .on_hover_text(t("strength-tip"));
}

fn repaint_ui(ui: &mut Ui, start: &mut StartDraft) {
    let mut blur = f64::from(start.blur_px);
    widgets::slider_ui(ui, t("mask-blur"), &mut blur, 0.0..=64.0, 0.0..=64.0, 1.0)
        .on_hover_text(t("mask-blur-tip"));
    start.blur_px = blur.round() as u32;
    widgets::switch_ui(ui, t("feather-preview"), &mut start.feather_preview)
        .on_hover_text(t("feather-preview-tip"));
    content_ui(ui, start);
    widgets::segmented_ui(
        ui,
        "",
        &mut start.only_masked,
        &[(false, t("area-whole")), (true, t("area-masked"))],
    )
    .on_hover_text(t("area-tip"));
    if start.only_masked {
        let mut padding = f64::from(start.padding_px);
        let limits = 0.0..=256.0;
        widgets::slider_ui(ui, t("padding"), &mut padding, limits.clone(), limits, 1.0)
            .on_hover_text(t("padding-tip"));
        start.padding_px = padding.round() as u32;
    }
}

fn content_ui(ui: &mut Ui, start: &mut StartDraft) {
    const CONTENTS: [(MaskedContent, &str); 4] = [
        (MaskedContent::Original, "original"),
        (MaskedContent::Fill, "fill"),
        (MaskedContent::Noise, "noise"),
        (MaskedContent::Nothing, "nothing"),
    ];
    let hints = [
        t("content-original-hint"),
        t("content-fill-hint"),
        t("content-noise-hint"),
        t("content-nothing-hint"),
    ];
    let items: Vec<ChoiceItem<'_>> = CONTENTS
        .iter()
        .zip(hints)
        .map(|((content, id), hint)| ChoiceItem {
            id,
            label: widgets::masked_content_text(*content),
            hint,
        })
        .collect();
    let chosen_id = CONTENTS
        .iter()
        .find(|(content, _)| *content == start.content)
        .map_or("original", |(_, id)| id);
    let mut chosen = chosen_id.to_owned();
    widgets::field_ui(ui, t("masked-content"), |ui, _| {
        widgets::choice_ui(ui, t("masked-content"), &mut chosen, &items)
    });
    if let Some((content, _)) = CONTENTS.iter().find(|(_, id)| *id == chosen) {
        start.content = *content;
    }
}
