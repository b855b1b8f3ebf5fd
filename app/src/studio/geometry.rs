//! Points and rectangles in image pixels. The origin is the picture's top left corner; the centre
//! of the first pixel lies at (0.5, 0.5).

use serde::{Deserialize, Serialize};

/// A point in image pixels; may lie outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImagePoint {
    /// To the right.
    pub x: f32,
    /// Downward.
    pub y: f32,
}

impl ImagePoint {
    /// The point (x, y).
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Distance to `other` in pixels.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The point at share `t` of the way to `other`.
    pub fn lerp(self, other: Self, t: f32) -> Self {
        Self::new(
            self.x + (other.x - self.x) * t,
            self.y + (other.y - self.y) * t,
        )
    }

    /// Whether both coordinates are finite.
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

/// Whole pixels, half open: `x0 <= x < x1`, `y0 <= y < y1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelRect {
    /// First column.
    pub x0: u32,
    /// First row.
    pub y0: u32,
    /// One past the last column.
    pub x1: u32,
    /// One past the last row.
    pub y1: u32,
}

impl PixelRect {
    /// The whole of a picture of this size.
    pub const fn of_size(size_px: [u32; 2]) -> Self {
        Self {
            x0: 0,
            y0: 0,
            x1: size_px[0],
            y1: size_px[1],
        }
    }

    /// Every pixel that the box between two corners touches, clipped to a picture of `size_px`.
    /// Empty when the box lies outside, or is not finite.
    pub fn covering(min: ImagePoint, max: ImagePoint, size_px: [u32; 2]) -> Self {
        // A float cast saturates and sends NaN to 0, so every input ends inside the picture.
        let low = |value: f32, side: u32| (value.floor().max(0.0) as u32).min(side);
        let high = |value: f32, side: u32| (value.ceil().max(0.0) as u32).min(side);
        Self {
            x0: low(min.x, size_px[0]),
            y0: low(min.y, size_px[1]),
            x1: high(max.x, size_px[0]),
            y1: high(max.y, size_px[1]),
        }
    }

    /// Width in pixels, 0 when empty.
    pub const fn width(&self) -> u32 {
        self.x1.saturating_sub(self.x0)
    }

    /// Height in pixels, 0 when empty.
    pub const fn height(&self) -> u32 {
        self.y1.saturating_sub(self.y0)
    }

    /// Whether it holds no pixel.
    pub const fn is_empty(&self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    /// The smallest rectangle around both; an empty one adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_clips_and_survives_nonsense() {
        let size = [100, 50];
        let rect = PixelRect::covering(
            ImagePoint::new(-3.5, 10.2),
            ImagePoint::new(20.1, 1e9),
            size,
        );
        assert_eq!(
            rect,
            PixelRect {
                x0: 0,
                y0: 10,
                x1: 21,
                y1: 50
            }
        );
        let outside = PixelRect::covering(
            ImagePoint::new(200.0, 0.0),
            ImagePoint::new(300.0, 9.0),
            size,
        );
        assert!(outside.is_empty());
        let nan = PixelRect::covering(
            ImagePoint::new(f32::NAN, f32::NAN),
            ImagePoint::new(f32::NAN, f32::NAN),
            size,
        );
        assert!(nan.is_empty());
    }

    #[test]
    fn union_ignores_empty_rectangles() {
        let some = PixelRect {
            x0: 2,
            y0: 3,
            x1: 5,
            y1: 7,
        };
        assert_eq!(some.union(&PixelRect::default()), some);
        assert_eq!(PixelRect::default().union(&some), some);
        let both = some.union(&PixelRect {
            x0: 0,
            y0: 6,
            x1: 3,
            y1: 9,
        });
        assert_eq!(
            both,
            PixelRect {
                x0: 0,
                y0: 3,
                x1: 5,
                y1: 9
            }
        );
    }
}
