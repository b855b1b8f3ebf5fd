//! Which canvas tool is in hand and how the tools are set; kept between starts.

use serde::{Deserialize, Serialize};

use super::stroke::{Brush, MAX_BRUSH_PX, MIN_BRUSH_PX};

/// The tool in hand and the options of all tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolSettings {
    /// Id of the tool in hand, one of `canvas::tools::TOOLS`.
    pub tool: String,
    /// Diameter of brush and eraser in image pixels, 1 to 512.
    pub brush_size_px: f32,
    /// Share of the brush's radius that is painted fully, 0 to 1.
    pub brush_hardness: f32,
    /// Largest colour difference a fill spreads over, 0 to 255.
    pub fill_tolerance: u8,
    /// Whether a fill stops at edges instead of taking similar colours everywhere.
    pub fill_connected: bool,
    /// Strength of the mask's colour over the picture, 0 to 1.
    pub overlay_opacity: f32,
    /// Whether the blurred mask that a run would use is shown.
    pub show_feather: bool,
    /// Whether accepting a result empties the mask.
    pub clear_mask_on_accept: bool,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self {
            tool: "brush".to_owned(),
            brush_size_px: 48.0,
            brush_hardness: 0.8,
            fill_tolerance: 24,
            fill_connected: true,
            overlay_opacity: 0.55,
            show_feather: false,
            clear_mask_on_accept: false,
        }
    }
}

impl ToolSettings {
    /// The brush as set.
    pub fn brush(&self, erase: bool) -> Brush {
        Brush {
            size_px: self.brush_size_px,
            hardness: self.brush_hardness,
            erase,
        }
        .clamped()
    }

    /// The same settings with every number brought into its range: they may come from a file.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        let brush = self.brush(false);
        self.brush_size_px = brush.size_px;
        self.brush_hardness = brush.hardness;
        self.overlay_opacity = if self.overlay_opacity.is_finite() {
            self.overlay_opacity.clamp(0.0, 1.0)
        } else {
            Self::default().overlay_opacity
        };
        self
    }

    /// The next brush size up or down: about an eighth, at least one pixel.
    pub fn stepped_brush_size(&self, larger: bool) -> f32 {
        let step = (self.brush_size_px / 8.0).round().max(1.0);
        let size = if larger {
            self.brush_size_px + step
        } else {
            self.brush_size_px - step
        };
        size.round().clamp(MIN_BRUSH_PX, MAX_BRUSH_PX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_step_within_range_and_both_ways() {
        let mut tools = ToolSettings::default();
        for _ in 0..100 {
            tools.brush_size_px = tools.stepped_brush_size(true);
        }
        assert_eq!(tools.brush_size_px, MAX_BRUSH_PX);
        for _ in 0..100 {
            tools.brush_size_px = tools.stepped_brush_size(false);
        }
        assert_eq!(tools.brush_size_px, MIN_BRUSH_PX);
    }

    #[test]
    fn settings_from_an_older_or_broken_file_are_usable() {
        let older: ToolSettings =
            serde_json::from_str(r#"{"brush_size_px": 9000.0, "overlay_opacity": -3.0}"#)
                .expect("parses");
        let clamped = older.clamped();
        assert_eq!(clamped.brush_size_px, MAX_BRUSH_PX);
        assert_eq!(clamped.overlay_opacity, 0.0);
        assert_eq!(
            clamped.fill_tolerance,
            ToolSettings::default().fill_tolerance
        );
    }
}
