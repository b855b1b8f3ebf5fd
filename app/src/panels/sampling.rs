//! Steps, guidance, sampler and schedule.

use egui::Ui;
use pentimento_engine::catalog::Choice;

use super::PanelCx;
use crate::action::Action;
use crate::studio::draft::DraftEdit;
use crate::text::t;
use crate::widgets::{self, ChoiceItem};

/// Draws the sampling's section.
pub(super) fn sampling_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let mut reset = false;
    let mut sampling = studio.draft.sampling.clone();
    widgets::section_ui(
        ui,
        t("sampling"),
        |ui| {
            let info = Action::ModelDefaults.info();
            let enabled = (info.enabled)(studio);
            reset = widgets::icon_button_ui(ui, info.icon, info.label(), enabled).clicked();
        },
        |ui| {
            // Levels typed by hand decide both.
            let typed = !sampling.knobs.sigmas.is_empty();
            ui.add_enabled_ui(!typed, |ui| {
                let mut steps = f64::from(sampling.run_steps());
                widgets::slider_ui(ui, t("steps"), &mut steps, 1.0..=60.0, 1.0..=1000.0, 1.0);
                if !typed {
                    sampling.steps = steps.round() as u32;
                }
            });
            if typed {
                widgets::note_ui(ui, t("sigmas-decide"));
            }
            let guidance = &mut sampling.guidance;
            widgets::slider_ui(ui, t("guidance"), guidance, 1.0..=20.0, 0.0..=100.0, 0.1)
                .on_hover_text(t("guidance-tip"));
            choices_ui(
                ui,
                t("sampler"),
                &mut sampling.sampler,
                &studio.catalog.samplers,
            );
            ui.add_enabled_ui(!typed, |ui| {
                choices_ui(
                    ui,
                    t("schedule"),
                    &mut sampling.schedule,
                    &studio.catalog.schedules,
                );
            });
        },
    );
    if reset {
        cx.commands.send(Action::ModelDefaults);
    } else if sampling != studio.draft.sampling {
        cx.commands.send(DraftEdit::Sampling(Box::new(sampling)));
    }
}

fn choices_ui(ui: &mut Ui, label: &str, chosen: &mut String, choices: &[Choice]) {
    let items: Vec<ChoiceItem<'_>> = choices
        .iter()
        .map(|choice| ChoiceItem {
            id: &choice.id,
            label: &choice.label,
            hint: &choice.hint,
        })
        .collect();
    widgets::field_ui(ui, label, |ui, _| {
        widgets::choice_ui(ui, label, chosen, &items)
    });
}
