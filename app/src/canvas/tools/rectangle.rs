//! The rectangle: masks whole pixels between two corners; with Shift a square.

use egui::{CursorIcon, Key};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, Edits, Gesture, ToolCursor};
use crate::studio::document::DocumentCommand;
use crate::studio::edit::EditKind;
use crate::studio::geometry::ImagePoint;
use crate::studio::region::rectangle_outline;
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;

/// See the module.
pub(super) struct Rectangle;

impl CanvasTool for Rectangle {
    fn id(&self) -> &'static str {
        "rectangle"
    }

    fn label(&self) -> &'static str {
        t("tool-rectangle")
    }

    fn hint(&self) -> &'static str {
        t("tool-rectangle-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_SELECT.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::R, Key::U]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::System(CursorIcon::Crosshair)
    }

    fn on_release(&self, gesture: &Gesture, _settings: &ToolSettings, edits: &mut Edits<'_>) {
        // A click without a drag is no rectangle.
        if gesture.start() != gesture.end() {
            edits.send(DocumentCommand::FillOutline {
                kind: EditKind::Rectangle,
                outline: self.outline(gesture),
                erase: gesture.erase,
            });
        }
    }

    fn outline(&self, gesture: &Gesture) -> Vec<ImagePoint> {
        let (start, mut end) = (gesture.start(), gesture.end());
        if gesture.constrained {
            let (dx, dy) = (end.x - start.x, end.y - start.y);
            let side = dx.abs().max(dy.abs());
            end = ImagePoint::new(start.x + side.copysign(dx), start.y + side.copysign(dy));
        }
        rectangle_outline(start, end).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_makes_a_square_in_the_drag_s_direction() {
        let gesture = Gesture {
            points: vec![ImagePoint::new(100.0, 100.0), ImagePoint::new(70.0, 110.0)],
            erase: false,
            constrained: true,
        };
        let outline = Rectangle.outline(&gesture);
        assert_eq!(outline[0], ImagePoint::new(70.0, 100.0));
        assert_eq!(outline[2], ImagePoint::new(100.0, 130.0));
    }
}
