//! Small pictures cut to a square: ones that can be clicked, and ones that only show.

use egui::{Response, Role, Sense, TextureHandle, Ui, Vec2, WidgetInfo};
use egui_material_icons::icons::{ICON_IMAGE, ICON_STAR};

use crate::theme::{self, size};

/// How a thumbnail is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThumbnailLook {
    /// Framed in the accent.
    pub selected: bool,
    /// A star in its corner.
    pub starred: bool,
}

/// Shows a picture cut to a square; an empty field while its texture is on the way. `label` is its
/// accessible name.
pub fn thumbnail_ui(
    ui: &mut Ui,
    texture: Option<&TextureHandle>,
    label: &str,
    side: f32,
    look: ThumbnailLook,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, look.selected, label));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let palette = theme::palette(ui);
    let radius = egui::CornerRadius::same(size::RADIUS);
    paint(ui, rect, texture);
    let edge = if look.selected || response.has_focus() {
        egui::Stroke::new(2.0, palette.accent)
    } else if response.hovered() {
        egui::Stroke::new(1.0, palette.text)
    } else {
        egui::Stroke::new(1.0, palette.line)
    };
    ui.painter()
        .rect_stroke(rect, radius, edge, egui::StrokeKind::Inside);
    if look.starred {
        let centre = rect.right_top() + egui::vec2(-14.0, 14.0);
        ui.painter().circle_filled(centre, 10.0, palette.scrim);
        ui.painter().text(
            centre,
            egui::Align2::CENTER_CENTER,
            ICON_STAR.codepoint,
            egui::FontId::new(14.0, ICON_STAR.font_family()),
            palette.star,
        );
    }
    response
}

/// Shows a picture cut to a square; a mark where there is none, or it is on the way. `texture` is asked
/// where the square is in sight. `label` is the picture's accessible name.
pub fn picture_ui(
    ui: &mut Ui,
    texture: impl FnOnce() -> Option<TextureHandle>,
    label: &str,
    side: f32,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
    if ui.is_rect_visible(rect) {
        let texture = texture();
        paint(ui, rect, texture.as_ref());
        if texture.is_some() {
            response.widget_info(|| WidgetInfo::labeled(Role::Image, true, label));
        } else {
            ui.painter().text(
                rect.center(),
                egui::Align2::CENTER_CENTER,
                ICON_IMAGE.codepoint,
                egui::FontId::new((side * 0.45).min(32.0), ICON_IMAGE.font_family()),
                theme::palette(ui).line,
            );
        }
    }
    response
}

/// As [`picture_ui`], uncut: `side` is the longer one.
pub fn whole_picture_ui(
    ui: &mut Ui,
    texture: impl FnOnce() -> Option<TextureHandle>,
    label: &str,
    side: f32,
) -> Response {
    match texture() {
        Some(texture) => {
            let image = egui::Image::new(&texture).alt_text(label);
            let radius = egui::CornerRadius::same(size::RADIUS);
            ui.add(image.max_size(Vec2::splat(side)).corner_radius(radius))
        }
        None => picture_ui(ui, || None, label, side),
    }
}

fn paint(ui: &Ui, rect: egui::Rect, texture: Option<&TextureHandle>) {
    let radius = egui::CornerRadius::same(size::RADIUS);
    let sunken = theme::palette(ui).sunken;
    ui.painter().rect_filled(rect, radius, sunken);
    if let Some(texture) = texture {
        egui::Image::new(texture)
            .uv(square_uv(texture.size_vec2()))
            .corner_radius(radius)
            .paint_at(ui, rect);
    }
}

/// The middle square of a picture.
fn square_uv(size: Vec2) -> egui::Rect {
    let (width, height) = (size.x.max(1.0), size.y.max(1.0));
    let side = width.min(height);
    egui::Rect::from_center_size(
        egui::pos2(0.5, 0.5),
        egui::vec2(side / width, side / height),
    )
}
