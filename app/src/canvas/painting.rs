//! Draws what is on show: checkerboard, picture, mask, preview, staged result, and what the tool
//! in hand is about to do.

use std::time::Duration;

use egui::{
    Align2, Color32, ColorImage, Painter, Pos2, Rect, Shape, Stroke, TextureHandle, TextureOptions,
    TextureWrapMode, pos2, vec2,
};

use super::layers::{Layer, UploadBudget};
use super::shown::Shown;
use super::texels::{MaskTexels, PictureTexels};
use super::view::ViewTransform;
use crate::studio::Studio;
use crate::studio::geometry::{ImagePoint, PixelRect};
use crate::studio::tiles::Plane;
use crate::text::{t, t_args};
use crate::textures::Textures;
use crate::theme::{self, Palette, size};

/// Time for uploads in one frame.
const UPLOAD_TIME: Duration = Duration::from_millis(10);
/// Side of a square of the checkerboard, in points.
const CHECKER: f32 = 8.0;
/// Zoom from which the mask's edge line, one picture pixel wide, would hide too much: it becomes
/// translucent.
const FULL_EDGE_UNTIL_ZOOM: f32 = 3.0;

/// Textures of the canvas's planes.
#[derive(Default)]
pub(super) struct Layers {
    picture: Layer,
    staged: Layer,
    mask: Layer,
    feather: Layer,
    checkerboard: Option<TextureHandle>,
}

/// What to draw on.
pub(super) struct Easel<'a> {
    /// Clipped to the canvas.
    pub(super) painter: &'a Painter,
    /// The colours.
    pub(super) palette: &'static Palette,
    /// Where the picture lies.
    pub(super) transform: &'a ViewTransform,
}

impl Layers {
    /// Draws everything that lies in the picture. Returns whether uploads are left for the next
    /// frame.
    pub(super) fn draw(
        &mut self,
        easel: &Easel<'_>,
        shown: &Shown<'_>,
        studio: &Studio,
        textures: &mut Textures,
    ) -> bool {
        let mut budget = UploadBudget::new(UPLOAD_TIME);
        let frame = easel
            .transform
            .screen_from_pixels(PixelRect::of_size(shown.size_px));
        self.checkerboard(easel, frame);
        if let Some(canvas) = shown.document {
            let picture = &canvas.picture;
            self.picture.draw(
                easel.painter,
                picture,
                easel.transform,
                &PictureTexels,
                &mut budget,
            );
        }
        if let Some(result) = shown.staged {
            let mut clip = easel.painter.clip_rect();
            if let Some(split_at) = shown.split_at {
                clip.min.x = clip.min.x.max(split_x(frame, split_at));
            }
            let painter = easel.painter.with_clip_rect(clip);
            self.staged.draw(
                &painter,
                &result.pixels,
                easel.transform,
                &PictureTexels,
                &mut budget,
            );
        }
        if let (true, Some(canvas)) = (shown.is_paintable(), shown.document) {
            self.mask(easel, &canvas.mask, studio, &mut budget);
        }
        if let Some(preview) = shown.preview {
            draw_preview(easel, preview, studio, textures);
        }
        let edge = Stroke::new(1.0, easel.palette.edge);
        easel
            .painter
            .rect_stroke(frame, 0.0, edge, egui::StrokeKind::Outside);
        if let Some(split_at) = shown.split_at {
            draw_split(easel, frame, split_at);
        }
        budget.spent
    }

    fn mask(
        &mut self,
        easel: &Easel<'_>,
        mask: &Plane<1>,
        studio: &Studio,
        budget: &mut UploadBudget,
    ) {
        let zoom = easel.transform.scale * easel.painter.pixels_per_point();
        let rgb = |colour: Color32| [colour.r(), colour.g(), colour.b()];
        let wash = MaskTexels {
            colour: rgb(easel.palette.accent),
            edge: Some(rgb(easel.palette.on_scrim)),
            edge_opacity: if zoom < FULL_EDGE_UNTIL_ZOOM {
                1.0
            } else {
                0.5
            },
            opacity: studio.tools.overlay_opacity,
        };
        match studio.feather_shown() {
            Some(feather) => {
                // The blurred mask as a wash, the painted one as its line.
                let line = MaskTexels {
                    opacity: 0.0,
                    ..wash
                };
                let wash = MaskTexels { edge: None, ..wash };
                self.feather
                    .draw(easel.painter, feather, easel.transform, &wash, budget);
                self.mask
                    .draw(easel.painter, mask, easel.transform, &line, budget);
            }
            None => self
                .mask
                .draw(easel.painter, mask, easel.transform, &wash, budget),
        }
    }

    /// Squares behind a picture that may be transparent.
    fn checkerboard(&mut self, easel: &Easel<'_>, frame: Rect) {
        let visible = frame.intersect(easel.painter.clip_rect());
        if !visible.is_positive() {
            return;
        }
        let texture = self.checkerboard.get_or_insert_with(|| {
            let [light, dark] = [0xcc_u8, 0x99];
            let grey = [light, dark, dark, light];
            let image = ColorImage::from_gray([2, 2], &grey);
            let options = TextureOptions {
                wrap_mode: TextureWrapMode::Repeat,
                ..TextureOptions::NEAREST
            };
            easel
                .painter
                .ctx()
                .load_texture("checkerboard", image, options)
        });
        // The squares stay with the picture's corner while it moves.
        let uv = |pos: Pos2| ((pos - frame.min) / (2.0 * CHECKER)).to_pos2();
        let uv = Rect::from_min_max(uv(visible.min), uv(visible.max));
        easel
            .painter
            .image(texture.id(), visible, uv, Color32::WHITE);
    }
}

/// Where the split line lies on the screen.
pub(super) fn split_x(frame: Rect, split_at: f32) -> f32 {
    egui::lerp(frame.x_range(), split_at)
}

fn draw_preview(
    easel: &Easel<'_>,
    preview: &pentimento_engine::event::Preview,
    studio: &Studio,
    textures: &mut Textures,
) {
    let [x, y, width, height] = preview.bounds_px;
    let bounds = easel.transform.screen_from_pixels(PixelRect {
        x0: x,
        y0: y,
        x1: x.saturating_add(width),
        y1: y.saturating_add(height),
    });
    let texture = textures.preview(easel.painter.ctx(), &preview.image);
    let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    easel
        .painter
        .image(texture.id(), bounds, whole, Color32::WHITE);
    let steps = studio
        .jobs
        .get(preview.job)
        .and_then(|job| job.running)
        .map_or(0, |running| running.steps);
    let label = if steps > 0 {
        t_args(
            "canvas-preview-step",
            [("step", preview.step.into()), ("steps", steps.into())],
        )
    } else {
        t("canvas-preview").to_owned()
    };
    pill(easel, bounds.min + vec2(size::S, size::S), &label);
}

/// Words on a dark ground, legible on any picture.
pub(super) fn pill(easel: &Easel<'_>, at: Pos2, text: &str) {
    let visible = easel.painter.clip_rect().shrink(size::S);
    let at = at.max(visible.min);
    let galley =
        easel
            .painter
            .layout_no_wrap(text.to_owned(), theme::small_font(), easel.palette.on_scrim);
    let rect = Rect::from_min_size(at, galley.size() + vec2(2.0 * size::S, size::S));
    easel
        .painter
        .rect_filled(rect, rect.height() / 2.0, easel.palette.scrim);
    let text_at = Align2::CENTER_CENTER.anchor_size(rect.center(), galley.size());
    easel
        .painter
        .galley(text_at.min, galley, easel.palette.on_scrim);
}

fn draw_split(easel: &Easel<'_>, frame: Rect, split_at: f32) {
    let x = split_x(frame, split_at);
    let visible = frame.intersect(easel.painter.clip_rect());
    two_tone(easel, &[pos2(x, visible.top()), pos2(x, visible.bottom())]);
    let handle = pos2(x, visible.center().y);
    easel.painter.circle(
        handle,
        9.0,
        easel.palette.scrim,
        Stroke::new(1.5, easel.palette.on_scrim),
    );
    for side in [-1.0, 1.0] {
        let tip = handle + vec2(5.5 * side, 0.0);
        let wing = vec2(-3.0 * side, 3.0);
        easel.painter.line(
            vec![tip + wing, tip, tip + vec2(wing.x, -wing.y)],
            Stroke::new(1.5, easel.palette.on_scrim),
        );
    }
    let label_at = |text: &str, left: bool| {
        let y = visible.top() + size::S;
        let x = if left {
            visible.left() + size::S
        } else {
            x + size::S
        };
        pill(easel, pos2(x, y), text);
    };
    if x - visible.left() > 72.0 {
        label_at(t("canvas-before"), true);
    }
    if visible.right() - x > 64.0 {
        label_at(t("canvas-after"), false);
    }
}

/// A line that is seen on light and on dark.
fn two_tone(easel: &Easel<'_>, points: &[Pos2]) {
    easel
        .painter
        .line(points.to_vec(), Stroke::new(3.0, easel.palette.scrim));
    easel
        .painter
        .line(points.to_vec(), Stroke::new(1.0, easel.palette.on_scrim));
}

/// The brush's outline: the ring it paints up to, and its fully painted core.
pub(super) fn draw_ring(easel: &Easel<'_>, at: Pos2, diameter_px: f32, hardness: f32, erase: bool) {
    let radius = (diameter_px * easel.transform.scale / 2.0).max(1.5);
    let (dark, light) = (easel.palette.scrim, easel.palette.on_scrim);
    easel
        .painter
        .circle_stroke(at, radius, Stroke::new(2.5, dark));
    easel
        .painter
        .circle_stroke(at, radius, Stroke::new(1.0, light));
    let core = radius * hardness;
    if hardness < 0.95 && core > 4.0 {
        let faint = Stroke::new(1.0, light.gamma_multiply(0.45));
        easel.painter.circle_stroke(at, core, faint);
    }
    if radius > 7.0 {
        cross(easel, at, erase);
    }
}

/// The pointer's place: a plus, or a minus where the mask goes away.
fn cross(easel: &Easel<'_>, at: Pos2, erase: bool) {
    two_tone(easel, &[at - vec2(3.5, 0.0), at + vec2(3.5, 0.0)]);
    if !erase {
        two_tone(easel, &[at - vec2(0.0, 3.5), at + vec2(0.0, 3.5)]);
    }
}

/// The outline a tool is drawing.
pub(super) fn draw_outline(easel: &Easel<'_>, outline: &[ImagePoint]) {
    let (Some(first), true) = (outline.first(), outline.len() > 1) else {
        return;
    };
    let points: Vec<Pos2> = outline
        .iter()
        .chain(std::iter::once(first))
        .map(|point| easel.transform.screen_from_image(*point))
        .collect();
    let dark = Stroke::new(1.5, easel.palette.scrim);
    easel.painter.line(points.clone(), dark);
    let dashes = Shape::dashed_line(&points, Stroke::new(1.5, easel.palette.on_scrim), 5.0, 4.0);
    easel.painter.extend(dashes);
}

/// A frame around the canvas while a file hangs over the window.
pub(super) fn draw_drop_hint(easel: &Easel<'_>, viewport: Rect) {
    let rect = viewport.shrink(size::M);
    easel
        .painter
        .rect_filled(rect, f32::from(size::RADIUS), easel.palette.scrim);
    easel.painter.rect_stroke(
        rect,
        f32::from(size::RADIUS),
        Stroke::new(2.0, easel.palette.accent),
        egui::StrokeKind::Inside,
    );
    easel.painter.text(
        rect.center(),
        Align2::CENTER_CENTER,
        t("canvas-drop"),
        egui::FontId::proportional(theme::type_size::HEADING),
        easel.palette.on_scrim,
    );
}
