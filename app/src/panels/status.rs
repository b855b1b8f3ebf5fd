//! The bar below: what is being done and how long it takes, the queue, device and precision.

use egui::{Align, Layout, Popup, RichText, Ui, vec2};
use egui_material_icons::icons;
use pentimento_engine::event::Stage;
use pentimento_engine::recipe::Precision;

use super::PanelCx;
use crate::action::Action;
use crate::command::Command;
use crate::studio::jobs::{Job, Running};
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets;

/// Draws the bar.
pub(super) fn status_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    ui.horizontal_centered(|ui| {
        match cx.studio.jobs.active.first() {
            Some(job) => job_ui(ui, cx, job),
            None => {
                ui.label(theme::muted(ui, idle_text(cx)));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(theme::muted(ui, machine_text(cx)));
        });
    });
}

fn idle_text(cx: &PanelCx<'_>) -> &'static str {
    if cx.studio.model().is_some() {
        t("status-ready")
    } else {
        t("status-no-model")
    }
}

fn job_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, job: &Job) {
    let bar_width = (ui.available_width() * 0.22).clamp(80.0, 260.0);
    let share = job.running.map(|_| job.share_done());
    ui.allocate_ui(vec2(bar_width, 6.0), |ui| {
        ui.set_width(bar_width);
        widgets::progress_bar_ui(ui, t("progress"), share, 5.0);
    });
    ui.label(RichText::new(job_text(job)).size(12.0));
    let waiting = cx.studio.jobs.waiting() - usize::from(job.running.is_none());
    let label = if waiting == 0 {
        t("queue").to_owned()
    } else {
        t_args("queue-waiting", [("waiting", waiting.into())])
    };
    let response = ui.add(
        egui::Button::new(RichText::new(label).size(12.0))
            .frame_when_inactive(false)
            .min_size(vec2(0.0, 24.0)),
    );
    widgets::name(&response, true, t("queue"));
    Popup::menu(&response)
        .align(egui::RectAlign::TOP_START)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| queue_ui(ui, cx));
}

/// “Painting, step 7 of 20, picture 2 of 4 · 12 s left”.
fn job_text(job: &Job) -> String {
    let Some(running) = job.running else {
        return t("status-waiting").to_owned();
    };
    if job.cancelling {
        return t("status-cancelling").to_owned();
    }
    let mut text = stage_text(&running);
    if job.count > 1 {
        text.push_str(" · ");
        text.push_str(&t_args(
            "status-picture",
            [
                ("picture", (running.picture + 1).into()),
                ("count", job.count.into()),
            ],
        ));
    }
    if let Some(left) = running.left_secs {
        text.push_str(" · ");
        let left = widgets::duration_text(left);
        text.push_str(&t_args("status-left", [("left", left.into())]));
    }
    text
}

fn stage_text(running: &Running) -> String {
    let key = match running.stage {
        None => return t("status-starting").to_owned(),
        Some(Stage::Denoising) if running.steps > 0 => {
            return t_args(
                "status-step",
                [
                    ("step", running.step.into()),
                    ("steps", running.steps.into()),
                ],
            );
        }
        Some(Stage::LoadingModel) => "stage-loading-model",
        Some(Stage::EncodingPrompt) => "stage-encoding-prompt",
        Some(Stage::EncodingPicture) => "stage-encoding-picture",
        Some(Stage::Denoising) => "stage-denoising",
        Some(Stage::Decoding) => "stage-decoding",
        Some(Stage::Saving) => "stage-saving",
    };
    t(key).to_owned()
}

fn queue_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    ui.set_width(340.0);
    ui.horizontal(|ui| {
        ui.label(theme::strong(t("queue")));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let info = Action::CancelAll.info();
            if widgets::link_button_ui(ui, info.label()).clicked() {
                cx.commands.send(Action::CancelAll);
            }
        });
    });
    for job in &cx.studio.jobs.active {
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let label = t_args("cancel-job", [("job", job.id.to_string().into())]);
                let icon = icons::ICON_CLOSE.outlined();
                if widgets::icon_button_ui(ui, icon, &label, !job.cancelling).clicked() {
                    cx.commands.send(Command::CancelJob(job.id));
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    let prompt = if job.recipe.prompt.is_empty() {
                        t("untitled")
                    } else {
                        &job.recipe.prompt
                    };
                    ui.add(egui::Label::new(prompt).truncate());
                    ui.label(theme::muted(ui, job_text(job)));
                });
            });
        });
    }
    if !cx.studio.jobs.is_busy() {
        ui.label(theme::muted(ui, t("queue-empty")));
    }
    ui.add_space(size::XS);
}

/// Device, kernels and precision, as the latest picture was made.
fn machine_text(cx: &PanelCx<'_>) -> String {
    let mut parts = Vec::new();
    if let Some(outcome) = &cx.studio.jobs.last_outcome {
        parts.push(outcome.device.to_uppercase());
        if !outcome.kernels.is_empty() {
            parts.push(outcome.kernels.clone());
        }
    }
    parts.push(
        match cx.studio.shown_precision() {
            Precision::Auto => t("precision-auto-long"),
            Precision::F32 => t("precision-f32"),
            Precision::Bf16 => t("precision-bf16"),
            Precision::Int8 => t("precision-int8"),
        }
        .to_owned(),
    );
    parts.join(" · ")
}
