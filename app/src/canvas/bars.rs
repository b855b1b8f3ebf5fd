//! The bars around the canvas: tools at its left, their options above, staged results below.

use egui::{Align, Frame, Layout, Margin, RichText, ScrollArea, Ui};
use egui_material_icons::{MaterialIcon, icons};

use super::tools::{TOOLS, tool};
use super::view::Camera;
use crate::action::Action;
use crate::command::CommandSender;
use crate::studio::Studio;
use crate::studio::canvas_command::{CanvasCommand, ViewCommand};
use crate::studio::staging::{Compare, StagingCommand};
use crate::text::{t, t_args};
use crate::theme::{self, size};
use crate::widgets;

/// Width of the tool bar, in points.
const TOOL_BAR: f32 = size::ICON_BUTTON + 2.0 * size::XS;
/// Height of the bar above.
const BAR: f32 = 36.0;
/// Narrower bars leave out what a menu, a key or the wheel does as well.
const WIDE_BAR: f32 = 640.0;
/// Narrower staging bars have icons in place of words.
const WIDE_STAGING: f32 = 440.0;

fn frame(ui: &Ui) -> Frame {
    Frame::new().fill(theme::palette(ui).panel)
}

/// The tools, and what concerns the whole mask.
pub(super) fn tool_bar_ui(ui: &mut Ui, studio: &Studio, commands: &mut CommandSender) {
    egui::Panel::left("canvas tools")
        .exact_size(TOOL_BAR)
        .resizable(false)
        .frame(frame(ui).inner_margin(Margin::symmetric(size::XS as i8, size::XS as i8)))
        .show(ui, |ui| {
            // A low window scrolls rather than cuts.
            ScrollArea::vertical()
                .scroll_bar_visibility(egui::scroll_area::ScrollBarVisibility::AlwaysHidden)
                .show(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    for tool in TOOLS {
                        let key = tool.keys().first().map_or("", |key| key.symbol_or_name());
                        let label = format!("{} ({key})", tool.label());
                        let on = studio.tools.tool == tool.id();
                        let button = widgets::icon_toggle_ui(ui, tool.icon(), &label, on);
                        if button.clicked() {
                            commands.send(CanvasCommand::SelectTool(tool.id()));
                        }
                    }
                    for group in [
                        &[Action::Undo, Action::Redo][..],
                        &[Action::InvertMask, Action::SelectAll, Action::ClearMask],
                    ] {
                        ui.separator();
                        for action in group {
                            widgets::action_button_ui(ui, *action, studio, commands);
                        }
                    }
                });
        });
}

/// The tool's options at the left, the view's at the right.
pub(super) fn options_bar_ui(
    ui: &mut Ui,
    camera: &Camera,
    studio: &Studio,
    commands: &mut CommandSender,
) {
    egui::Panel::top("canvas options")
        .exact_size(BAR)
        .resizable(false)
        .frame(frame(ui).inner_margin(Margin::symmetric(size::S as i8, 0)))
        .show(ui, |ui| {
            let wide = ui.available_width() >= WIDE_BAR;
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                zoom_ui(ui, camera, wide, studio, commands);
                overlay_ui(ui, studio, commands);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    tool_options_ui(ui, wide, studio, commands);
                });
            });
        });
}

fn tool_options_ui(ui: &mut Ui, wide: bool, studio: &Studio, commands: &mut CommandSender) {
    let tool = tool(&studio.tools.tool);
    ScrollArea::horizontal()
        .scroll_bar_visibility(egui::scroll_area::ScrollBarVisibility::AlwaysHidden)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = size::S;
            ui.set_min_height(BAR);
            if wide {
                ui.label(theme::strong(tool.label()))
                    .on_hover_text(tool.hint());
            }
            let mut settings = studio.tools.clone();
            tool.options_ui(ui, &mut settings);
            if settings != studio.tools {
                commands.send(CanvasCommand::SetTools(Box::new(settings)));
            }
        });
}

/// Zoom out, its figure, zoom in, fit: from right to left.
fn zoom_ui(
    ui: &mut Ui,
    camera: &Camera,
    wide: bool,
    studio: &Studio,
    commands: &mut CommandSender,
) {
    widgets::action_button_ui(ui, Action::ZoomFit, studio, commands);
    if wide {
        widgets::action_button_ui(ui, Action::ZoomIn, studio, commands);
    }
    let percent = camera.zoom() * 100.0;
    let text = if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    };
    let button = egui::Button::new(RichText::new(text).size(theme::type_size::SMALL))
        .frame_when_inactive(false)
        .min_size(egui::vec2(48.0, size::ICON_BUTTON));
    let response = ui.add(button);
    widgets::name(&response, true, Action::ZoomActual.info().label());
    if response
        .on_hover_text(Action::ZoomActual.info().label())
        .clicked()
    {
        commands.send(CanvasCommand::from(ViewCommand::ActualSize));
    }
    if wide {
        widgets::action_button_ui(ui, Action::ZoomOut, studio, commands);
    }
}

/// How strongly the mask is shown.
fn overlay_ui(ui: &mut Ui, studio: &Studio, commands: &mut CommandSender) {
    let button = widgets::icon_button_ui(
        ui,
        icons::ICON_OPACITY.outlined(),
        t("mask-overlay"),
        studio.document.canvas().is_some(),
    );
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            ui.set_width(220.0);
            let mut settings = studio.tools.clone();
            let mut percent = (settings.overlay_opacity * 100.0).round();
            ui.horizontal(|ui| {
                super::options::slider_option_ui(
                    ui,
                    t("mask-opacity"),
                    &mut percent,
                    0.0..=100.0,
                    " %",
                );
            });
            settings.overlay_opacity = percent / 100.0;
            super::options::toggle_option_ui(
                ui,
                t("clear-mask-on-accept"),
                &mut settings.clear_mask_on_accept,
            );
            if settings != studio.tools {
                commands.send(CanvasCommand::SetTools(Box::new(settings)));
            }
        });
}

/// Which result is shown, how it compares, and what becomes of it.
pub(super) fn staging_bar_ui(ui: &mut Ui, studio: &Studio, commands: &mut CommandSender) {
    let staging = &studio.staging;
    if staging.is_empty() {
        return;
    }
    egui::Panel::bottom("canvas staging")
        .exact_size(size::STAGING_BAR)
        .resizable(false)
        .frame(frame(ui).inner_margin(Margin::symmetric(size::S as i8, 0)))
        .show(ui, |ui| {
            let wide = ui.available_width() >= WIDE_STAGING;
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = size::XS;
                let accept = widgets::accent_button_ui(
                    ui,
                    icons::ICON_CHECK.outlined(),
                    Action::AcceptResult.info().label(),
                );
                if accept
                    .on_hover_text(Action::AcceptResult.info().tip())
                    .clicked()
                {
                    commands.send(Action::AcceptResult);
                }
                discard_ui(ui, wide, studio, commands);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    flip_through_ui(ui, wide, studio, commands);
                    compare_ui(ui, studio, commands);
                });
            });
        });
}

fn discard_ui(ui: &mut Ui, wide: bool, studio: &Studio, commands: &mut CommandSender) {
    let info = Action::DiscardResults.info();
    if !wide {
        widgets::action_button_ui(ui, info.action, studio, commands);
        return;
    }
    let discard = widgets::text_button_ui(ui, info.label());
    if discard.on_hover_text(info.tip()).clicked() {
        commands.send(info.action);
    }
}

fn flip_through_ui(ui: &mut Ui, wide: bool, studio: &Studio, commands: &mut CommandSender) {
    let staging = &studio.staging;
    let count = staging.results().len();
    if count > 1 {
        widgets::action_button_ui(ui, Action::PreviousResult, studio, commands);
        ui.label(
            RichText::new(t_args(
                "staging-position",
                [
                    ("at", (staging.current_index() + 1).into()),
                    ("count", count.into()),
                ],
            ))
            .size(theme::type_size::SMALL),
        );
        widgets::action_button_ui(ui, Action::NextResult, studio, commands);
    } else if wide {
        ui.label(theme::muted(ui, t("staging-one")));
    }
}

/// Before, after, or both; only where there is a before.
fn compare_ui(ui: &mut Ui, studio: &Studio, commands: &mut CommandSender) {
    let staging = &studio.staging;
    let (Some(canvas), Some(result)) = (studio.document.canvas(), staging.current()) else {
        return;
    };
    let same_size = canvas.size_px() == result.pixels.size_px();
    let choices: [(Compare, MaterialIcon, &str); 3] = [
        (
            Compare::After,
            icons::ICON_IMAGE.outlined(),
            t("compare-after"),
        ),
        (
            Compare::Before,
            icons::ICON_HISTORY.outlined(),
            t("compare-before"),
        ),
        (
            Compare::Split,
            icons::ICON_COMPARE.outlined(),
            t("compare-split"),
        ),
    ];
    for (compare, icon, label) in choices {
        if compare == Compare::Split && !same_size {
            continue;
        }
        let on = staging.compare() == compare;
        if widgets::icon_toggle_ui(ui, icon, label, on).clicked() {
            commands.send(CanvasCommand::from(StagingCommand::Compare(compare)));
        }
    }
}
