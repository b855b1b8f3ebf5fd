//! The model: which one, what it is, where others lie, and why some cannot be used.

use egui::{Label, RichText, Ui};

use super::PanelCx;
use super::vae::vae_ui;
use crate::action::Action;
use crate::command::Command;
use crate::studio::draft::DraftEdit;
use crate::studio::notices::Wording;
use crate::text::{t, t_args};
use crate::theme;
use crate::widgets::{self, ChoiceItem};

/// Draws the model's section.
pub(super) fn model_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let mut actions = Vec::new();
    widgets::section_ui(
        ui,
        t("model"),
        |ui| {
            for action in [Action::AddModel, Action::OpenModelsFolder] {
                let info = action.info();
                let enabled = (info.enabled)(studio);
                if widgets::icon_button_ui(ui, info.icon, info.label(), enabled).clicked() {
                    actions.push(action);
                }
            }
        },
        |ui| {
            let items: Vec<ChoiceItem<'_>> = studio
                .catalog
                .models
                .iter()
                .map(|model| ChoiceItem {
                    id: &model.id,
                    label: &model.name,
                    hint: &model.description,
                })
                .collect();
            let mut chosen = studio.draft.model.clone();
            if widgets::choice_ui(ui, t("model"), &mut chosen, &items).changed() {
                cx.commands.send(DraftEdit::Model(chosen));
            }
            about_ui(ui, cx);
            vae_ui(ui, cx);
            problems_ui(ui, cx);
        },
    );
    for action in actions {
        cx.commands.send(action);
    }
}

fn about_ui(ui: &mut Ui, cx: &PanelCx<'_>) {
    let studio = cx.studio;
    let Some(model) = studio.model() else {
        let text = if studio.catalog.models.is_empty() {
            t("model-none").to_owned()
        } else if studio.draft.model.is_empty() {
            t("model-choose").to_owned()
        } else {
            t_args(
                "model-missing",
                [("model", studio.draft.model.clone().into())],
            )
        };
        let warning = theme::palette(ui).warning;
        ui.add(Label::new(RichText::new(text).color(warning)).wrap());
        return;
    };
    if !model.description.is_empty() {
        widgets::note_ui(ui, model.description.as_str());
    }
    let storage = &model.storage;
    let mut facts = vec![
        storage.variant.clone(),
        t_args(
            "model-native",
            [
                ("width", model.native_px[0].into()),
                ("height", model.native_px[1].into()),
            ],
        ),
        format!("{} {}", storage.precision, storage.format),
        widgets::bytes_text(model.size_bytes),
    ];
    if let Some(hash) = model.short_hash() {
        facts.push(t_args("model-hash", [("hash", hash.into())]));
    }
    facts.retain(|fact| !fact.trim().is_empty());
    if model.inpainting {
        facts.push(t("model-inpainting").to_owned());
    }
    if model.edits {
        facts.push(t("model-edits").to_owned());
    }
    // Kept together with what stands before it, the dot never begins a line.
    widgets::note_ui(ui, facts.join("\u{a0}\u{a0}·  "));
    for line in storage.inferred.iter().chain([&storage.notes]) {
        if !line.is_empty() {
            widgets::note_ui(ui, line.as_str());
        }
    }
}

/// Folders and files that cannot be used, each with its reason.
fn problems_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let problems = &cx.studio.catalog.problems;
    if problems.is_empty() {
        return;
    }
    let palette = theme::palette(ui);
    let title = t_args("model-problems", [("count", problems.len().into())]);
    let title = RichText::new(title)
        .size(theme::type_size::SMALL)
        .color(palette.warning);
    egui::CollapsingHeader::new(title)
        .id_salt("model problems")
        .show(ui, |ui| {
            for problem in problems {
                let name = problem.path.file_name().map_or_else(
                    || problem.path.display().to_string(),
                    |name| name.to_string_lossy().into_owned(),
                );
                let wording = Wording::of(&problem.error);
                ui.add(Label::new(theme::strong(name).size(12.5)).wrap());
                ui.add(Label::new(RichText::new(wording.headline).size(12.5)).wrap());
                for line in [wording.details, wording.hint] {
                    if !line.is_empty() {
                        ui.add(Label::new(theme::muted(ui, line)).wrap().selectable(true));
                    }
                }
                if widgets::link_button_ui(ui, t("show-in-folder")).clicked() {
                    cx.commands
                        .send(Command::ShowInFolder(problem.path.clone()));
                }
            }
        });
}
