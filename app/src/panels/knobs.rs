//! The knobs of sampler and schedule: those that the chosen sampler uses, and no other.

use egui::Ui;
use pentimento_engine::recipe::StepNoise;

use crate::studio::draft::Sampling;
use crate::text::t;
use crate::theme;
use crate::widgets;

/// Bends that the schedules have of their own.
const KARRAS_RHO: f64 = 7.0;
const POLYEXPONENTIAL_RHO: f64 = 1.0;

/// Draws the rows into the advanced section.
pub(super) fn knobs_ui(ui: &mut Ui, sampling: &mut Sampling) {
    let uses = sampling.uses();
    if let Some(own) = uses.eta {
        let mut eta = sampling.knobs.eta.unwrap_or(own);
        if row_ui(ui, "eta", "eta-tip", &mut eta, 1.0, 1.0) {
            sampling.knobs.eta = Some(eta).filter(|eta| *eta != own);
        }
    }
    if uses.churn {
        churn_ui(ui, sampling);
    }
    if uses.fresh_noise || (uses.churn && sampling.knobs.s_churn > 0.0) {
        let factor = &mut sampling.knobs.s_noise;
        row_ui(ui, "s-noise", "s-noise-tip", factor, 2.0, 2.0);
    }
    if uses.brownian {
        ui.label(theme::muted(ui, t("step-noise")).size(12.5))
            .on_hover_text(t("step-noise-tip"));
        widgets::segmented_ui(
            ui,
            t("step-noise"),
            &mut sampling.knobs.step_noise,
            &[
                (StepNoise::Fresh, t("step-noise-fresh")),
                (StepNoise::Brownian, t("step-noise-brownian")),
            ],
        )
        .on_hover_text(t("step-noise-tip"));
    }
    let own_rho = match sampling.schedule.as_str() {
        "karras" => Some(KARRAS_RHO),
        "polyexponential" => Some(POLYEXPONENTIAL_RHO),
        _ => None,
    };
    if let Some(own) = own_rho {
        let mut rho = sampling.knobs.rho.unwrap_or(own);
        if row_ui(ui, "rho", "rho-tip", &mut rho, 15.0, 100.0) {
            sampling.knobs.rho = Some(rho.max(0.1)).filter(|rho| *rho != own);
        }
    }
    widgets::field_ui(ui, t("sigmas"), |ui, label_id| {
        let id = egui::Id::unique("sigmas field");
        let sigmas = &mut sampling.knobs.sigmas;
        widgets::numbers_field_ui(ui, id, label_id, sigmas, t("sigmas-hint"))
            .on_hover_text(t("sigmas-tip"));
    });
}

/// The engine's own limit: models with zero terminal SNR begin far above a thousand.
const MOST_SIGMA: f64 = 100_000.0;

/// Churn, and while it is on the range of sigmas it works in.
fn churn_ui(ui: &mut Ui, sampling: &mut Sampling) {
    let knobs = &mut sampling.knobs;
    row_ui(
        ui,
        "s-churn",
        "s-churn-tip",
        &mut knobs.s_churn,
        50.0,
        100.0,
    );
    if knobs.s_churn > 0.0 {
        row_ui(
            ui,
            "s-tmin",
            "s-tmin-tip",
            &mut knobs.s_tmin,
            10.0,
            MOST_SIGMA,
        );
        // 0 stands for no limit, as in other programs.
        let mut most = knobs.s_tmax.unwrap_or(0.0);
        if row_ui(ui, "s-tmax", "s-tmax-tip", &mut most, 50.0, MOST_SIGMA) {
            knobs.s_tmax = Some(most).filter(|most| *most > 0.0);
        }
    }
}

/// A slider from 0 to `most` whose number goes on to `limit`; whether it was moved.
fn row_ui(
    ui: &mut Ui,
    label: &'static str,
    tip: &'static str,
    value: &mut f64,
    most: f64,
    limit: f64,
) -> bool {
    let before = *value;
    widgets::slider_ui(ui, t(label), value, 0.0..=most, 0.0..=limit, 0.05).on_hover_text(t(tip));
    *value != before
}
