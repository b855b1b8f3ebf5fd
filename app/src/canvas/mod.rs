//! The canvas: the picture, its mask, live previews and staged results, with zoom and pan, and the
//! tools that paint the mask.
//!
//! `view` knows where the picture lies, `pointer` turns raw events into gestures, `tools` turn
//! gestures into document commands, `layers` and `texels` keep planes on the graphics card,
//! `painting` draws, `bars` are the rows of buttons around.

mod bars;
pub mod keys;
mod layers;
mod options;
mod painting;
mod pointer;
mod shown;
mod texels;
pub mod tools;
pub mod view;

use egui::{CursorIcon, Id, Pos2, Rect, Response, Role, Sense, Ui, WidgetInfo};

use crate::command::CommandSender;
use crate::studio::Studio;
use crate::studio::canvas_command::FileCommand;
use crate::text::t;
use crate::textures::Textures;
use crate::theme;
use painting::{Easel, Layers};
use pointer::{Hold, Paint, PointerCx};
use shown::Shown;
use tools::ToolCursor;
use view::{Camera, ViewTransform};

/// What belongs to the view and not to the document: zoom, pan, the pressed pointer, textures.
#[derive(Default)]
pub struct CanvasView {
    camera: Camera,
    hold: Hold,
    layers: Layers,
    viewport: Option<Rect>,
}

impl CanvasView {
    /// Where the picture lay in the last frame, if one was shown.
    pub fn transform(&self, pixels_per_point: f32) -> Option<ViewTransform> {
        self.viewport
            .map(|viewport| self.camera.transform(viewport, pixels_per_point))
    }

    /// Zoom in screen pixels a picture pixel.
    pub fn zoom(&self) -> f32 {
        self.camera.zoom()
    }
}

/// Draws the canvas into all of `ui`: the picture with its bars, or nothing while none is there.
pub fn canvas_ui(
    ui: &mut Ui,
    view: &mut CanvasView,
    studio: &Studio,
    textures: &mut Textures,
    commands: &mut CommandSender,
) {
    take_files(ui, commands);
    let shown = Shown::of(studio);
    if shown.is_some() {
        bars::options_bar_ui(ui, &view.camera, studio, commands);
        bars::tool_bar_ui(ui, studio, commands);
        bars::staging_bar_ui(ui, studio, commands);
    }
    let viewport = ui.available_rect_before_wrap();
    if shown.is_none() {
        view.viewport = None;
        draw_drop_hint(ui, viewport);
        return;
    }
    let response = ui.allocate_rect(viewport, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, t("canvas")));
    if let Some(shown) = &shown {
        interact(ui, view, studio, shown, &response, commands);
        draw(ui, view, studio, shown, &response, textures);
    }
    draw_drop_hint(ui, viewport);
}

/// Whether letters are keys of the canvas: not while text is being typed.
fn response_has_keys(ui: &Ui) -> bool {
    !ui.ctx().text_edit_focused()
}

/// What painting means now. Whoever paints on a result with nothing below it means to keep it.
fn paint(studio: &Studio, shown: &Shown<'_>) -> Paint {
    let is_still = shown.preview.is_none();
    let is_alone =
        shown.staged.is_some() && studio.document.canvas().is_none() && !studio.jobs.is_busy();
    match (shown.is_paintable(), is_alone) {
        (true, _) if is_still => Paint::ChangesMask,
        (_, true) if is_still => Paint::AcceptsResult,
        _ => Paint::Refused,
    }
}

fn interact(
    ui: &Ui,
    view: &mut CanvasView,
    studio: &Studio,
    shown: &Shown<'_>,
    response: &Response,
    commands: &mut CommandSender,
) {
    let viewport = response.rect;
    let pixels_per_point = ui.ctx().pixels_per_point();
    let request = (studio.view_request.serial, studio.view_request.command);
    view.camera
        .follow(shown.size_px, viewport, pixels_per_point, request);
    view.viewport = Some(viewport);

    let typing = !response_has_keys(ui);
    if !typing {
        keys::take_action_keys(ui, studio, commands);
        keys::take_tool_keys(ui, studio, commands);
        if response.has_focus() {
            keys::take_view_keys(ui, &mut view.camera, viewport);
        }
    }
    // A stroke that was taken back elsewhere (by Escape) leaves nothing to draw on.
    if matches!(&view.hold, Hold::Tool(..)) && ui.input(|i| i.key_pressed(egui::Key::Escape)) {
        pointer::abandon(&mut view.hold);
    }
    let layer = ui.layer_id();
    let ctx = ui.ctx().clone();
    let is_on_top = move |pos: Pos2| ctx.layer_id_at(pos).is_none_or(|top| top == layer);
    let transform = view.camera.transform(viewport, pixels_per_point);
    let frame =
        transform.screen_from_pixels(crate::studio::geometry::PixelRect::of_size(shown.size_px));
    let cx = PointerCx {
        viewport,
        size_px: shown.size_px,
        paint: paint(studio, shown),
        split_x: shown.split_at.map(|at| painting::split_x(frame, at)),
        settings: &studio.tools,
        space: !typing && ui.input(|i| i.key_down(egui::Key::Space)),
        erase_key: !typing && ui.input(|i| i.key_down(egui::Key::X)),
        is_on_top: &is_on_top,
    };
    if pointer::take_events(ui, &mut view.hold, &mut view.camera, &cx, commands) {
        response.request_focus();
    }
    if !matches!(view.hold, Hold::Nothing) {
        // What was sent is applied after this frame and shown in the next.
        ui.ctx().request_repaint();
    }
}

fn draw(
    ui: &Ui,
    view: &mut CanvasView,
    studio: &Studio,
    shown: &Shown<'_>,
    response: &Response,
    textures: &mut Textures,
) {
    let viewport = response.rect;
    let painter = ui.painter_at(viewport);
    let transform = view.camera.transform(viewport, ui.ctx().pixels_per_point());
    let easel = Easel {
        painter: &painter,
        palette: theme::palette(ui),
        transform: &transform,
    };
    if view.layers.draw(&easel, shown, studio, textures) {
        ui.ctx().request_repaint();
    }
    draw_pointer(ui, view, studio, shown, response, &easel);
}

/// The brush's ring or the system's cursor, and the outline that is being drawn.
fn draw_pointer(
    ui: &Ui,
    view: &CanvasView,
    studio: &Studio,
    shown: &Shown<'_>,
    response: &Response,
    easel: &Easel<'_>,
) {
    if let Hold::Tool(tool, gesture) = &view.hold {
        painting::draw_outline(easel, &tool.outline(gesture));
    }
    let hovered = response.contains_pointer() || !matches!(view.hold, Hold::Nothing);
    let Some(at) = ui.input(|i| i.pointer.latest_pos()).filter(|_| hovered) else {
        return;
    };
    let keys = response_has_keys(ui);
    let tool = tools::tool(&studio.tools.tool);
    let pans = tool.pans() || (keys && ui.input(|i| i.key_down(egui::Key::Space)));
    let icon = match &view.hold {
        Hold::Pan(..) => CursorIcon::Grabbing,
        Hold::Split => CursorIcon::ResizeHorizontal,
        Hold::Nothing if pans => CursorIcon::Grab,
        _ if shown.split_at.is_some() => CursorIcon::Default,
        _ if paint(studio, shown) == Paint::Refused => CursorIcon::Default,
        _ => match tool.cursor() {
            ToolCursor::System(icon) => icon,
            ToolCursor::Ring => {
                let erase = match &view.hold {
                    Hold::Tool(_, gesture) => gesture.erase,
                    _ => {
                        tool.erases()
                            || ui.input(|i| i.modifiers.alt || (keys && i.key_down(egui::Key::X)))
                    }
                };
                let settings = &studio.tools;
                let (diameter, hardness) = (settings.brush_size_px, settings.brush_hardness);
                painting::draw_ring(easel, at, diameter, hardness, erase);
                CursorIcon::None
            }
        },
    };
    ui.ctx().set_cursor_icon(icon);
}

/// Pictures dropped on the window or pasted into it.
fn take_files(ui: &Ui, commands: &mut CommandSender) {
    let typing = ui.ctx().text_edit_focused();
    let (dropped, pasted) = ui.input(|input| {
        let dropped = input.raw.dropped_files.iter();
        let pasted = input
            .events
            .iter()
            .any(|event| matches!(event, egui::Event::PasteImage(_)));
        (dropped.map(|file| file.path().to_path_buf()).next(), pasted)
    });
    if let Some(path) = dropped {
        commands.send(crate::studio::canvas_command::CanvasCommand::from(
            FileCommand::OpenPicture(path),
        ));
    }
    if pasted && !typing {
        // The clipboard is read again by our own thread: egui's copy lost the colours of
        // transparent pixels.
        commands.send(crate::studio::canvas_command::CanvasCommand::from(
            FileCommand::PastePicture,
        ));
    }
}

fn draw_drop_hint(ui: &Ui, viewport: Rect) {
    if ui.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let painter = ui.ctx().layer_painter(egui::LayerId::new(
        egui::Order::Foreground,
        Id::unique("drop hint"),
    ));
    let transform = ViewTransform {
        origin: Pos2::ZERO,
        scale: 1.0,
    };
    painting::draw_drop_hint(
        &Easel {
            painter: &painter,
            palette: theme::palette(ui),
            transform: &transform,
        },
        viewport,
    );
}
