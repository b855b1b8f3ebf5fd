//! Rarely used controls: guidance rescale, how the networks are run, knobs of sampler and schedule, maths of weights, noise
//! source, precision.

use egui::Ui;
use egui_material_icons::icons;
use pentimento_engine::prompt::Weighting;
use pentimento_engine::recipe::{NoiseKind, Precision};

use super::PanelCx;
use super::knobs::knobs_ui;
use super::network::network_ui;
use super::refiner::refiner_ui;
use super::vae::{decoder_ui, tiles_ui};
use crate::command::Command;
use crate::studio::draft::DraftEdit;
use crate::text::t;
use crate::theme;
use crate::widgets;

/// Draws the section, folded unless it was opened.
pub(super) fn advanced_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let open = cx.studio.settings.open.advanced;
    let arrow = if open {
        icons::ICON_EXPAND_LESS
    } else {
        icons::ICON_EXPAND_MORE
    };
    let button = egui::Button::new((
        theme::strong(t("advanced")),
        egui::Atom::grow(),
        widgets::icon_text(arrow.outlined()).color(theme::palette(ui).muted),
    ))
    .frame_when_inactive(false)
    .min_size(egui::vec2(ui.available_width(), theme::size::CONTROL));
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding.x = 0.0;
            ui.add(button)
        })
        .inner;
    widgets::name(&response, true, t("advanced"));
    if response.clicked() {
        let mut settings = cx.studio.settings.clone();
        settings.open.advanced = !open;
        cx.commands.send(Command::Settings(Box::new(settings)));
    }
    if open {
        body_ui(ui, cx);
    }
}

fn body_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let mut sampling = cx.studio.draft.sampling.clone();
    let rescale = &mut sampling.guidance_rescale;
    widgets::slider_ui(
        ui,
        t("guidance-rescale"),
        rescale,
        0.0..=1.0,
        0.0..=1.0,
        0.05,
    )
    .on_hover_text(t("guidance-rescale-tip"));
    network_ui(ui, &mut sampling);
    decoder_ui(ui, cx.studio, &mut sampling);
    tiles_ui(ui, &mut sampling);
    knobs_ui(ui, &mut sampling);
    refiner_ui(ui, cx);
    ui.label(theme::muted(ui, t("weighting")).size(12.5))
        .on_hover_text(t("weighting-tip"));
    let mut weighting = cx.studio.draft.prompting.weighting;
    widgets::segmented_ui(
        ui,
        t("weighting"),
        &mut weighting,
        &[
            (Weighting::A1111, t("weighting-a1111")),
            (Weighting::NoNorm, t("weighting-no-norm")),
            (Weighting::ComfyUi, t("weighting-comfy-ui")),
        ],
    )
    .on_hover_text(t("weighting-tip"));
    if weighting != cx.studio.draft.prompting.weighting {
        cx.commands.send(DraftEdit::Weighting(weighting));
    }
    ui.label(theme::muted(ui, t("noise")).size(12.5))
        .on_hover_text(t("noise-tip"));
    widgets::segmented_ui(
        ui,
        t("noise"),
        &mut sampling.noise_source,
        &[
            (NoiseKind::TorchCpu, t("noise-torch-cpu")),
            (NoiseKind::Philox, t("noise-philox")),
        ],
    )
    .on_hover_text(t("noise-tip"));
    ui.label(theme::muted(ui, t("precision")).size(12.5))
        .on_hover_text(t("precision-tip"));
    widgets::segmented_ui(
        ui,
        t("precision"),
        &mut sampling.precision,
        &[
            (Precision::Auto, t("precision-auto")),
            (Precision::F32, t("precision-f32")),
            (Precision::Bf16, t("precision-bf16")),
            (Precision::Int8, t("precision-int8")),
        ],
    );
    if sampling != cx.studio.draft.sampling {
        cx.commands.send(DraftEdit::Sampling(Box::new(sampling)));
    }
}
