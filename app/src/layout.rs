//! Where things stand: bars, panels, canvas, dialogs, notices.

use egui::{Align2, Area, Context, Frame, Id, Margin, Modal, Order, Panel, Ui, vec2};
use egui_material_icons::icons;

use crate::canvas::{self, CanvasView};
use crate::command::Command;
use crate::command_palette;
use crate::panels::{PanelCx, Place, controls_ui, place_ui};
use crate::studio::Overlay;
use crate::studio::io_task::Ask;
use crate::text::t;
use crate::theme::{self, size};
use crate::widgets;

/// Draws the whole window.
pub fn window_ui(ui: &mut Ui, view: &mut CanvasView, cx: &mut PanelCx<'_>) {
    let palette = theme::palette(ui);
    let bar = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(size::M as i8, 0));
    Panel::top("top bar")
        .exact_size(size::TOP_BAR)
        .resizable(false)
        .frame(bar)
        .show(ui, |ui| place_ui(ui, Place::Top, cx));
    Panel::bottom("status bar")
        .exact_size(size::STATUS_BAR)
        .resizable(false)
        .frame(bar)
        .show(ui, |ui| place_ui(ui, Place::Status, cx));
    let open = cx.studio.settings.open;
    let plain = Frame::new().fill(palette.panel);
    let window_width = ui.available_width();
    if open.controls {
        Panel::left("controls")
            .exact_size(size::CONTROLS_WIDTH.min(window_width * 0.45))
            .resizable(false)
            .frame(plain)
            .show(ui, |ui| controls_ui(ui, cx));
    }
    if open.gallery {
        let narrow = window_width < size::NARROW_WINDOW;
        let width = if narrow {
            size::GALLERY_MIN_WIDTH
        } else {
            size::GALLERY_WIDTH
        };
        // Two names, so that a width dragged in a wide window is not forced upon a narrow one.
        Panel::right(if narrow { "gallery narrow" } else { "gallery" })
            .default_size(width)
            .size_range(size::GALLERY_MIN_WIDTH..=(window_width * 0.45))
            .frame(plain.inner_margin(size::M))
            .show(ui, |ui| place_ui(ui, Place::Gallery, cx));
    }
    egui::CentralPanel::no_frame()
        .frame(Frame::new().fill(palette.desk))
        .show(ui, |ui| {
            let room = ui.max_rect();
            canvas::canvas_ui(ui, view, cx.studio, cx.textures, cx.commands);
            if cx.studio.shows_nothing() {
                empty_canvas_ui(ui, room, cx);
            }
        });
}

/// Draws the page of an empty canvas over `room`.
fn empty_canvas_ui(ui: &mut Ui, room: egui::Rect, cx: &mut PanelCx<'_>) {
    ui.scope_builder(egui::UiBuilder::new().max_rect(room), |ui| {
        place_ui(ui, Place::EmptyCanvas, cx);
    });
}

/// Draws the open dialog, if any. `just_opened`: it was not there in the last frame.
pub fn dialog_ui(ctx: &Context, cx: &mut PanelCx<'_>, just_opened: bool) {
    let Some(overlay) = cx.studio.overlay else {
        return;
    };
    let palette = theme::palette_of(ctx.theme() == egui::Theme::Dark);
    let window = ctx.content_rect().size();
    let id = Id::unique("dialog").with(overlay as u8);
    let frame = Frame::new()
        .fill(palette.panel)
        .stroke(egui::Stroke::new(1.0, palette.edge))
        .corner_radius(10)
        .inner_margin(if overlay == Overlay::Viewer {
            0.0
        } else {
            size::L
        });
    let mut modal = Modal::new(id).backdrop_color(palette.backdrop).frame(frame);
    if overlay == Overlay::Palette {
        let top = vec2(0.0, (window.y * 0.12).min(96.0));
        modal = modal.area(Modal::default_area(id).anchor(Align2::CENTER_TOP, top));
    }
    let response = modal.show(ctx, |ui| {
        if overlay == Overlay::Viewer {
            ui.set_min_size(window * vec2(0.96, 0.94));
            ui.set_max_size(window * vec2(0.96, 0.94));
            place_ui(ui, Place::Dialog(overlay), cx);
            return;
        }
        let margins = 4.0 * size::XL;
        ui.set_width(size::DIALOG.min(window.x - margins));
        ui.set_max_height(window.y - margins);
        if overlay == Overlay::Palette {
            command_palette::palette_ui(ui, cx.studio, cx.commands, just_opened);
        } else {
            title_ui(ui, overlay, cx);
            place_ui(ui, Place::Dialog(overlay), cx);
        }
    });
    // Escape is handled with the other keys; here it is a click beside the dialog.
    if response.backdrop_response.clicked() {
        cx.commands.send(Command::CloseOverlay);
    }
}

fn title_ui(ui: &mut Ui, overlay: Overlay, cx: &mut PanelCx<'_>) {
    let title = match overlay {
        Overlay::Settings => t("action-settings"),
        Overlay::Help => t("action-help"),
        Overlay::About => t("action-about"),
        Overlay::TypePath => cx.studio.asked.as_ref().map_or("", Ask::title),
        Overlay::Unsaved => t("unsaved-title"),
        Overlay::Palette | Overlay::Viewer => "",
    };
    ui.horizontal(|ui| {
        ui.label(theme::heading(title));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let close = icons::ICON_CLOSE.outlined();
            if widgets::icon_button_ui(ui, close, t("close"), true).clicked() {
                cx.commands.send(Command::CloseOverlay);
            }
        });
    });
    ui.add_space(size::XS);
}

/// Draws the notices in the lower right corner, above the status bar.
pub fn corner_ui(ctx: &Context, cx: &mut PanelCx<'_>) {
    if cx.studio.notices.shown.is_empty() && cx.studio.unfinished.is_empty() {
        return;
    }
    // In the large view the buttons are at the right, and those of staged results are below.
    let (corner, right) = if cx.studio.overlay == Some(Overlay::Viewer) {
        (Align2::LEFT_BOTTOM, size::XL + size::L)
    } else {
        (Align2::RIGHT_BOTTOM, -size::L)
    };
    let below = if cx.studio.staging.is_empty() {
        size::STATUS_BAR
    } else {
        size::STATUS_BAR + size::STAGING_BAR
    };
    Area::new(Id::unique("notices"))
        // Above dialogs too: deleting in the large view offers its undo here.
        .order(Order::Tooltip)
        .anchor(corner, vec2(right, -(below + size::M)))
        .show(ctx, |ui| {
            ui.set_width(size::NOTICE + 2.0 * size::M);
            place_ui(ui, Place::Corner, cx);
        });
}
