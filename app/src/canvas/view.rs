//! Where the picture lies on the screen: zoom, pan and the transforms between screen points and
//! image pixels.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::studio::canvas_command::ViewCommand;
use crate::studio::geometry::{ImagePoint, PixelRect};

/// Smallest zoom, in screen pixels a picture pixel.
pub const MIN_ZOOM: f32 = 1.0 / 64.0;
/// Largest zoom.
pub const MAX_ZOOM: f32 = 64.0;
/// Free margin around a fitted picture, in points.
const FIT_MARGIN: f32 = 24.0;
/// A fitted picture is never enlarged beyond this zoom: small pictures stay recognisably small.
const MAX_FIT_ZOOM: f32 = 4.0;
/// Points of the picture that always stay inside the window.
const KEPT_IN_SIGHT: f32 = 48.0;

/// From screen points to image pixels and back, for one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewTransform {
    /// Where the picture's upper left corner lies, in screen points.
    pub origin: Pos2,
    /// Screen points a picture pixel.
    pub scale: f32,
}

impl ViewTransform {
    /// The image point under a screen point.
    pub fn image_from_screen(&self, screen: Pos2) -> ImagePoint {
        let offset = (screen - self.origin) / self.scale;
        ImagePoint::new(offset.x, offset.y)
    }

    /// The screen point of an image point.
    pub fn screen_from_image(&self, image: ImagePoint) -> Pos2 {
        self.origin + vec2(image.x, image.y) * self.scale
    }

    /// The screen rectangle of whole pixels.
    pub fn screen_from_pixels(&self, rect: PixelRect) -> Rect {
        Rect::from_min_max(
            self.screen_from_image(ImagePoint::new(rect.x0 as f32, rect.y0 as f32)),
            self.screen_from_image(ImagePoint::new(rect.x1 as f32, rect.y1 as f32)),
        )
    }

    /// The pixels of a picture that a screen rectangle shows.
    pub fn pixels_from_screen(&self, screen: Rect, size_px: [u32; 2]) -> PixelRect {
        PixelRect::covering(
            self.image_from_screen(screen.min),
            self.image_from_screen(screen.max),
            size_px,
        )
    }
}

/// Zoom and place of the view.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Screen pixels a picture pixel.
    zoom: f32,
    /// The image point in the middle of the view.
    centre: ImagePoint,
    /// Keeps the whole picture in the view, until the artist zooms or pans.
    fits: bool,
    /// What was shown last: a picture of another size is fitted anew.
    size_px: [u32; 2],
    seen_serial: u64,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            centre: ImagePoint::default(),
            fits: true,
            size_px: [0, 0],
            seen_serial: 0,
        }
    }
}

impl Camera {
    /// Screen pixels a picture pixel.
    pub fn zoom(&self) -> f32 {
        self.zoom
    }

    /// Whether the whole picture is kept in the view.
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// This frame's transform for a picture shown in `viewport` (points).
    pub fn transform(&self, viewport: Rect, pixels_per_point: f32) -> ViewTransform {
        let scale = self.zoom / pixels_per_point;
        let centre = viewport.center();
        let origin = centre - vec2(self.centre.x, self.centre.y) * scale;
        // On whole screen pixels, so that at 100 % every picture pixel is one screen pixel.
        let snap = |value: f32| (value * pixels_per_point).round() / pixels_per_point;
        ViewTransform {
            origin: pos2(snap(origin.x), snap(origin.y)),
            scale,
        }
    }

    /// Brings the camera up to date: another picture, another window, a wish from a menu.
    pub fn follow(
        &mut self,
        size_px: [u32; 2],
        viewport: Rect,
        pixels_per_point: f32,
        request: (u64, Option<ViewCommand>),
    ) {
        if self.size_px != size_px {
            self.size_px = size_px;
            self.fits = true;
        }
        if request.0 != self.seen_serial {
            self.seen_serial = request.0;
            if let Some(command) = request.1 {
                self.apply(command);
            }
        }
        if self.fits {
            self.zoom = fit_zoom(size_px, viewport.size(), pixels_per_point);
            self.centre = ImagePoint::new(size_px[0] as f32 / 2.0, size_px[1] as f32 / 2.0);
        }
        self.keep_in_sight(viewport, pixels_per_point);
    }

    /// Zooms by a factor, keeping the image point under `anchor` (screen) where it is.
    pub fn zoom_about(&mut self, anchor: Pos2, factor: f32, viewport: Rect, pixels_per_point: f32) {
        if !factor.is_finite() || factor <= 0.0 {
            return;
        }
        let fixed = self
            .transform(viewport, pixels_per_point)
            .image_from_screen(anchor);
        self.fits = false;
        self.zoom = (self.zoom * factor).clamp(MIN_ZOOM, MAX_ZOOM);
        let offset = (anchor - viewport.center()) * (pixels_per_point / self.zoom);
        self.centre = ImagePoint::new(fixed.x - offset.x, fixed.y - offset.y);
        self.keep_in_sight(viewport, pixels_per_point);
    }

    /// Moves the picture by screen points.
    pub fn pan(&mut self, by: Vec2, viewport: Rect, pixels_per_point: f32) {
        if by == Vec2::ZERO {
            return;
        }
        self.fits = false;
        let by = by * (pixels_per_point / self.zoom);
        self.centre = ImagePoint::new(self.centre.x - by.x, self.centre.y - by.y);
        self.keep_in_sight(viewport, pixels_per_point);
    }

    fn apply(&mut self, command: ViewCommand) {
        match command {
            ViewCommand::ZoomIn => self.set_zoom(next_step(self.zoom)),
            ViewCommand::ZoomOut => self.set_zoom(previous_step(self.zoom)),
            ViewCommand::ActualSize => self.set_zoom(1.0),
            ViewCommand::Fit => self.fits = true,
        }
    }

    /// Zooms about the middle of the view.
    fn set_zoom(&mut self, zoom: f32) {
        self.fits = false;
        self.zoom = zoom.clamp(MIN_ZOOM, MAX_ZOOM);
    }

    /// The picture never leaves the view wholly.
    fn keep_in_sight(&mut self, viewport: Rect, pixels_per_point: f32) {
        let kept = |centre: f32, side_px: u32, view: f32| {
            let scale = self.zoom / pixels_per_point;
            let side = side_px as f32 * scale;
            let least = KEPT_IN_SIGHT.min(side);
            // Centre of the view in points from the picture's edge.
            let limit = (view / 2.0 - least).max(0.0);
            (centre * scale).clamp(-limit, side + limit) / scale
        };
        self.centre = ImagePoint::new(
            kept(self.centre.x, self.size_px[0], viewport.width()),
            kept(self.centre.y, self.size_px[1], viewport.height()),
        );
    }
}

/// The zoom that shows a whole picture in a view of this size (points).
fn fit_zoom(size_px: [u32; 2], view: Vec2, pixels_per_point: f32) -> f32 {
    let room = |points: f32, side_px: u32| {
        ((points - 2.0 * FIT_MARGIN).max(16.0) * pixels_per_point) / side_px.max(1) as f32
    };
    room(view.x, size_px[0])
        .min(room(view.y, size_px[1]))
        .clamp(MIN_ZOOM, MAX_FIT_ZOOM)
}

/// The zoom steps of menus and keys: powers of two with one step between.
fn steps() -> impl DoubleEndedIterator<Item = f32> {
    (-12..=12).map(|half: i32| {
        let whole = 2.0_f32.powi(half.div_euclid(2));
        if half.rem_euclid(2) == 0 {
            whole
        } else {
            whole * 1.5
        }
    })
}

fn next_step(zoom: f32) -> f32 {
    steps().find(|step| *step > zoom * 1.01).unwrap_or(MAX_ZOOM)
}

fn previous_step(zoom: f32) -> f32 {
    steps()
        .rev()
        .find(|step| *step < zoom * 0.99)
        .unwrap_or(MIN_ZOOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: Rect = Rect {
        min: pos2(100.0, 50.0),
        max: pos2(900.0, 650.0),
    };

    fn fitted(size_px: [u32; 2], pixels_per_point: f32) -> Camera {
        let mut camera = Camera::default();
        camera.follow(size_px, VIEW, pixels_per_point, (0, None));
        camera
    }

    #[test]
    fn the_transforms_are_inverses() {
        let camera = fitted([1000, 400], 1.5);
        let transform = camera.transform(VIEW, 1.5);
        for point in [pos2(0.0, 0.0), pos2(123.4, 567.8)] {
            let back = transform.screen_from_image(transform.image_from_screen(point));
            assert!((back - point).length() < 1e-3);
        }
    }

    #[test]
    fn a_fitted_picture_lies_wholly_in_the_view() {
        for (size, pixels_per_point) in
            [([16_384, 16_384], 1.0), ([64, 64], 1.0), ([640, 4000], 2.0)]
        {
            let camera = fitted(size, pixels_per_point);
            let rect = camera
                .transform(VIEW, pixels_per_point)
                .screen_from_pixels(PixelRect::of_size(size));
            assert!(VIEW.expand(0.5).contains_rect(rect), "{size:?} {rect:?}");
            assert!((rect.center() - VIEW.center()).length() < 1.0);
        }
    }

    #[test]
    fn zoom_keeps_the_point_under_the_pointer() {
        let mut camera = fitted([2000, 1500], 1.0);
        let anchor = pos2(400.0, 300.0);
        let before = camera.transform(VIEW, 1.0).image_from_screen(anchor);
        for factor in [1.3, 2.0, 0.8] {
            camera.zoom_about(anchor, factor, VIEW, 1.0);
            let after = camera.transform(VIEW, 1.0).image_from_screen(anchor);
            assert!(before.distance(after) < 2.0 / camera.zoom(), "{after:?}");
        }
        camera.zoom_about(anchor, f32::NAN, VIEW, 1.0);
        for _ in 0..100 {
            camera.zoom_about(anchor, 3.0, VIEW, 1.0);
        }
        assert_eq!(camera.zoom(), MAX_ZOOM);
    }

    #[test]
    fn the_picture_cannot_be_pushed_out_of_sight() {
        let mut camera = fitted([500, 500], 1.0);
        camera.pan(vec2(1e6, -1e6), VIEW, 1.0);
        let rect = camera
            .transform(VIEW, 1.0)
            .screen_from_pixels(PixelRect::of_size([500, 500]));
        assert!(rect.intersect(VIEW).width() >= 40.0);
        assert!(rect.intersect(VIEW).height() >= 40.0);
    }

    #[test]
    fn wishes_are_followed_once_and_steps_go_both_ways() {
        let mut camera = fitted([500, 500], 1.0);
        camera.follow([500, 500], VIEW, 1.0, (1, Some(ViewCommand::ActualSize)));
        assert_eq!(camera.zoom(), 1.0);
        camera.follow([500, 500], VIEW, 1.0, (2, Some(ViewCommand::ZoomIn)));
        camera.follow([500, 500], VIEW, 1.0, (2, Some(ViewCommand::ZoomIn)));
        assert_eq!(camera.zoom(), 1.5);
        camera.follow([500, 500], VIEW, 1.0, (3, Some(ViewCommand::ZoomOut)));
        assert_eq!(camera.zoom(), 1.0);
        camera.follow([500, 500], VIEW, 1.0, (4, Some(ViewCommand::Fit)));
        assert!(camera.fits());
        camera.pan(vec2(3.0, 0.0), VIEW, 1.0);
        assert!(!camera.fits());
        camera.follow([501, 500], VIEW, 1.0, (4, None));
        assert!(camera.fits(), "another picture is fitted anew");
    }
}
