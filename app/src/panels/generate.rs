//! The button that starts a job, and the one that stops it.

use egui::{Layout, Ui};
use egui_material_icons::icons;
use pentimento_engine::forecast::Forecast;
use pentimento_engine::residency::Residency;

use super::PanelCx;
use crate::action::Action;
use crate::studio::Studio;
use crate::studio::draft::StartMode;
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets::{self, duration_text};

/// Draws the buttons.
pub(super) fn generate_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let busy = studio.jobs.is_busy();
    ui.spacing_mut().item_spacing.y = size::XS;
    let row = egui::vec2(ui.available_width(), size::PRIMARY);
    ui.allocate_ui_with_layout(row, Layout::right_to_left(egui::Align::Center), |ui| {
        if busy {
            let cancel = Action::Cancel.info();
            let button = egui::Button::new((
                egui::Atom::grow(),
                widgets::icon_text(icons::ICON_STOP.filled()).size(22.0),
                egui::Atom::grow(),
            ))
            .min_size(egui::Vec2::splat(size::PRIMARY));
            let response = ui
                .scope(|ui| {
                    ui.spacing_mut().button_padding = egui::Vec2::ZERO;
                    ui.add(button)
                })
                .inner;
            widgets::name(&response, true, cancel.label());
            if response.on_hover_text(cancel.tip()).clicked() {
                cx.commands.send(Action::Cancel);
            }
        }
        let label = if busy {
            t("generate-queue")
        } else {
            match studio.start_mode() {
                StartMode::New => t("generate-new"),
                StartMode::Variation => t("generate-variation"),
                StartMode::Repaint => t("generate-repaint"),
            }
        };
        let enabled = studio.can_generate();
        let icon = icons::ICON_AUTO_AWESOME.filled();
        let response = widgets::primary_button_ui(ui, icon, label, enabled);
        let tip = Action::Generate.info().tip();
        if response.on_hover_text(tip).clicked() {
            cx.commands.send(Action::Generate);
        }
    });
    note_ui(ui, cx);
}

/// A line that is always there, so that the button does not jump.
fn note_ui(ui: &mut Ui, cx: &PanelCx<'_>) {
    let jobs = &cx.studio.jobs;
    let text = if jobs.is_busy() {
        let waiting = jobs.waiting();
        t_args("generate-busy", [("waiting", waiting.into())])
    } else if !cx.studio.can_generate() {
        t("generate-no-model").to_owned()
    } else {
        let keys = Action::Generate
            .info()
            .shortcut
            .map(|shortcut| widgets::keys_text(ui, &shortcut))
            .unwrap_or_default();
        let ready = t_args(
            "generate-ready",
            [
                ("keys", keys.into()),
                ("count", cx.studio.draft.count.max(1).into()),
            ],
        );
        // What may not fit needs all of the line.
        let tight = cx
            .studio
            .foretold
            .known
            .is_some_and(|known| known.exceeds_memory());
        [Some(ready).filter(|_| !tight), forecast_text(cx.studio)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · ")
    };
    let palette = theme::palette(ui);
    let forecast = cx.studio.foretold.known.filter(|_| !jobs.is_busy());
    let warning = forecast.filter(Forecast::exceeds_memory);
    let color = if warning.is_some() {
        palette.warning
    } else {
        palette.muted
    };
    ui.vertical_centered(|ui| {
        let response = ui.add(egui::Label::new(theme::muted(ui, text).color(color)).truncate());
        if let Some(forecast) = forecast {
            response.on_hover_text(forecast_tip(&forecast));
        }
    });
}

/// What the job will take, in a few letters.
fn forecast_text(studio: &Studio) -> Option<String> {
    let forecast = studio.foretold.known?;
    let secs = forecast
        .secs
        .map(|secs| t_args("forecast-time", [("time", duration_text(secs).into())]));
    let memory = widgets::bytes_text(forecast.memory_bytes);
    let key = if forecast.exceeds_memory() {
        "forecast-too-large"
    } else {
        "forecast-memory"
    };
    let memory = t_args(key, [("memory", memory.into())]);
    Some(
        secs.into_iter()
            .chain([memory])
            .collect::<Vec<_>>()
            .join(" · "),
    )
}

fn forecast_tip(forecast: &Forecast) -> String {
    let memory = widgets::bytes_text(forecast.memory_bytes);
    let mut lines = vec![match forecast.available_bytes {
        Some(available) => t_args(
            "forecast-tip-memory-of",
            [
                ("memory", memory.into()),
                ("available", widgets::bytes_text(available).into()),
            ],
        ),
        None => t_args("forecast-tip-memory", [("memory", memory.into())]),
    }];
    if forecast.exceeds_memory() {
        lines.push(t("forecast-tip-too-large").to_owned());
    }
    match forecast.residency {
        Residency::Everything => {}
        Residency::Networks => lines.push(t("forecast-tip-networks").to_owned()),
        Residency::OneAtATime => lines.push(t("forecast-tip-one-at-a-time").to_owned()),
        Residency::LayerByLayer => lines.push(t("forecast-tip-layer-by-layer").to_owned()),
    }
    if !forecast.measured {
        lines.push(t("forecast-tip-estimated").to_owned());
    }
    lines.push(match forecast.secs {
        Some(secs) => t_args("forecast-tip-time", [("time", duration_text(secs).into())]),
        None => t("forecast-tip-no-time").to_owned(),
    });
    if let Some(secs) = forecast.load_secs {
        lines.push(t_args(
            "forecast-tip-load",
            [("time", duration_text(secs).into())],
        ));
    }
    lines.join("\n")
}
