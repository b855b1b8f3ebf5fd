//! Settings of the program: look, previews, threads, folders.

use std::path::Path;

use egui::{Label, RichText, ScrollArea, Ui};
use egui_material_icons::icons;
use pentimento_engine::preview::PreviewMode;

use super::PanelCx;
use crate::action::Action;
use crate::command::Command;
use crate::studio::settings::{SCALES_PERCENT, Settings, ThemeChoice};
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets::{self, ChoiceItem};

/// Draws the dialog's content.
pub(super) fn settings_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    ScrollArea::vertical().show(ui, |ui| {
        ui.set_width(ui.available_width());
        let mut settings = cx.studio.settings.clone();
        look_ui(ui, &mut settings);
        engine_ui(ui, &mut settings);
        if settings != cx.studio.settings {
            cx.commands.send(Command::Settings(Box::new(settings)));
        }
        folders_ui(ui, cx);
    });
}

fn look_ui(ui: &mut Ui, settings: &mut Settings) {
    widgets::section_ui(
        ui,
        t("settings-look"),
        |_| {},
        |ui| {
            widgets::field_ui(ui, t("theme"), |ui, _| {
                widgets::segmented_ui(
                    ui,
                    t("theme"),
                    &mut settings.theme,
                    &[
                        (ThemeChoice::Dark, t("theme-dark")),
                        (ThemeChoice::Light, t("theme-light")),
                        (ThemeChoice::System, t("theme-system")),
                    ],
                )
            });
            let ids: Vec<String> = SCALES_PERCENT.iter().map(u32::to_string).collect();
            let labels: Vec<String> = ids.iter().map(|id| format!("{id} %")).collect();
            let items: Vec<ChoiceItem<'_>> = ids
                .iter()
                .zip(&labels)
                .map(|(id, label)| ChoiceItem {
                    id,
                    label,
                    hint: "",
                })
                .collect();
            let mut chosen = settings.scale_percent.to_string();
            widgets::field_ui(ui, t("scale"), |ui, _| {
                widgets::choice_ui(ui, t("scale"), &mut chosen, &items)
            });
            if let Ok(percent) = chosen.parse() {
                settings.scale_percent = percent;
            }
        },
    );
}

fn engine_ui(ui: &mut Ui, settings: &mut Settings) {
    widgets::section_ui(
        ui,
        t("settings-engine"),
        |_| {},
        |ui| {
            widgets::field_ui(ui, t("settings-previews"), |ui, _| {
                widgets::segmented_ui(
                    ui,
                    t("settings-previews"),
                    &mut settings.previews,
                    &[
                        (PreviewMode::Off, t("previews-off")),
                        (PreviewMode::Linear, t("previews-linear")),
                        (PreviewMode::Tiny, t("previews-tiny")),
                    ],
                )
                .on_hover_text(t("settings-previews-tip"))
            });
            let mut automatic = settings.threads.is_none();
            widgets::switch_ui(ui, t("settings-threads-auto"), &mut automatic);
            if automatic {
                settings.threads = None;
            } else {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let mut threads = settings.threads.unwrap_or(cores) as u32;
                widgets::number_ui(ui, t("settings-threads"), &mut threads, 1..=256, "");
                settings.threads = Some(threads as usize);
            }
            widgets::note_ui(ui, t("settings-next-job"));
        },
    );
}

fn folders_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    widgets::section_ui(
        ui,
        t("settings-folders"),
        |_| {},
        |ui| {
            ui.label(theme::muted(ui, t("settings-library")));
            if let Some(folder) = &studio.places.library_dir {
                folder_ui(ui, cx, folder, None);
            }
            ui.horizontal(|ui| {
                if widgets::text_button_ui(ui, t("settings-choose-library")).clicked() {
                    cx.commands.send(Command::AskLibraryFolder);
                }
                if studio.settings.library_dir.is_some()
                    && widgets::text_button_ui(ui, t("settings-default-library")).clicked()
                {
                    let mut settings = studio.settings.clone();
                    settings.library_dir = None;
                    cx.commands.send(Command::Settings(Box::new(settings)));
                }
            });
            if let Some(next) = &studio.places.next_library_dir {
                let text = t_args(
                    "settings-library-next",
                    [("folder", next.display().to_string().into())],
                );
                widgets::note_ui(ui, text);
            }
            ui.add_space(size::S);
            ui.label(theme::muted(ui, t("settings-models")));
            if let Some(folder) = &studio.places.models_dir {
                folder_ui(ui, cx, folder, None);
            }
            for folder in &studio.settings.model_folders {
                let remove = Command::RemoveModelFolder(folder.clone());
                folder_ui(ui, cx, folder, Some(remove));
            }
            if widgets::text_button_ui(ui, Action::AddModel.info().label()).clicked() {
                cx.commands.send(Action::AddModel);
            }
        },
    );
}

fn folder_ui(ui: &mut Ui, cx: &mut PanelCx<'_>, folder: &Path, remove: Option<Command>) {
    let name = folder.display().to_string();
    ui.horizontal(|ui| {
        let buttons = if remove.is_some() { 2.0 } else { 1.0 };
        let room = ui.available_width() - buttons * (size::ICON_BUTTON + size::S);
        ui.allocate_ui_with_layout(
            egui::vec2(room, size::CONTROL),
            egui::Layout::left_to_right(egui::Align::Center),
            |ui| {
                ui.set_min_width(room);
                ui.add(Label::new(RichText::new(&name).size(12.5)).truncate())
                    .on_hover_text(&name);
            },
        );
        let label = format!("{}: {name}", t("show-in-folder"));
        let open = icons::ICON_FOLDER_OPEN.outlined();
        if widgets::icon_button_ui(ui, open, &label, true).clicked() {
            cx.commands
                .send(Command::ShowInFolder(folder.to_path_buf()));
        }
        if let Some(command) = remove {
            let label = format!("{}: {name}", t("remove-folder"));
            let icon = icons::ICON_CLOSE.outlined();
            if widgets::icon_button_ui(ui, icon, &label, true).clicked() {
                cx.commands.send(command);
            }
        }
    });
}
