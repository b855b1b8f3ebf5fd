//! The model: which one, what it is, where others lie, and why some cannot be used.

use std::cell::RefCell;

use egui::{Label, RichText, Ui};
use pentimento_engine::catalog::ModelInfo;

use super::PanelCx;
use super::parts::parts_ui;
use super::vae::vae_ui;
use crate::action::Action;
use crate::command::Command;
use crate::studio::draft::DraftEdit;
use crate::studio::notices::Wording;
use crate::text::{t, t_args};
use crate::theme;
use crate::widgets::{
    self, ChoiceItem, Pictures, picture_ui, pictured_choice_ui, whole_picture_ui,
};

/// Side of the model's picture, and of the one that a hover shows.
const PICTURE: f32 = 64.0;
const LARGE_PICTURE: f32 = 256.0;
/// Characters of notes that are shown at once; longer ones open.
const SHORT_NOTES: usize = 240;

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
                    hint: match model.description.as_str() {
                        "" => &model.storage.variant,
                        description => description,
                    },
                })
                .collect();
            let previews = &studio.catalog.models;
            let preview = |id: &str| {
                let model = previews.iter().find(|model| model.id == id)?;
                model.storage.preview.as_deref()
            };
            let textures = &mut *cx.textures;
            let mut picture = |id: &str| textures.thumbnail(preview(id)?);
            let pictured = items.iter().any(|item| preview(item.id).is_some());
            let pictures: Option<Pictures<'_>> = pictured.then_some(&mut picture);
            let mut chosen = studio.draft.model.clone();
            let field = pictured_choice_ui(ui, t("model"), &mut chosen, &items, pictures);
            if field.changed() {
                cx.commands.send(DraftEdit::Model(chosen));
            }
            about_ui(ui, cx);
            parts_ui(ui, cx);
            vae_ui(ui, cx);
            problems_ui(ui, cx);
        },
    );
    for action in actions {
        cx.commands.send(action);
    }
}

fn about_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
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
    let Some(preview) = &model.storage.preview else {
        facts_ui(ui, model);
        return notes_ui(ui, model);
    };
    let textures = RefCell::new(&mut *cx.textures);
    let texture = || textures.borrow_mut().thumbnail(preview);
    ui.horizontal_top(|ui| {
        let name = t_args("model-picture", [("model", model.name.clone().into())]);
        picture_ui(ui, texture, &name, PICTURE).on_hover_ui(|ui| {
            whole_picture_ui(ui, texture, &name, LARGE_PICTURE);
        });
        ui.vertical(|ui| facts_ui(ui, model));
    });
    notes_ui(ui, model);
}

/// What it is.
fn facts_ui(ui: &mut Ui, model: &ModelInfo) {
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
}

/// What was inferred about it, and what was written about it.
fn notes_ui(ui: &mut Ui, model: &ModelInfo) {
    let storage = &model.storage;
    for line in &storage.inferred {
        widgets::note_ui(ui, line.as_str());
    }
    let notes = storage.notes.as_str();
    if notes.chars().count() > SHORT_NOTES {
        egui::CollapsingHeader::new(RichText::new(t("model-notes")).size(theme::type_size::SMALL))
            .id_salt("model notes")
            .show(ui, |ui| {
                ui.add(Label::new(theme::muted(ui, notes)).wrap().selectable(true));
            });
    } else if !notes.is_empty() {
        widgets::note_ui(ui, notes);
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
