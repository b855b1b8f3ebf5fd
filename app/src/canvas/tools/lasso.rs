//! The lasso: masks what a freehand line goes around.

use egui::{CursorIcon, Key};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, Edits, Gesture, ToolCursor};
use crate::studio::document::DocumentCommand;
use crate::studio::edit::EditKind;
use crate::studio::geometry::ImagePoint;
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;

/// See the module.
pub(super) struct Lasso;

impl CanvasTool for Lasso {
    fn id(&self) -> &'static str {
        "lasso"
    }

    fn label(&self) -> &'static str {
        t("tool-lasso")
    }

    fn hint(&self) -> &'static str {
        t("tool-lasso-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_LASSO_SELECT.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::L]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::System(CursorIcon::Crosshair)
    }

    fn on_release(&self, gesture: &Gesture, _settings: &ToolSettings, edits: &mut Edits<'_>) {
        if gesture.points.len() >= 3 {
            edits.send(DocumentCommand::FillOutline {
                kind: EditKind::Lasso,
                outline: gesture.points.clone(),
                erase: gesture.erase,
            });
        }
    }

    fn outline(&self, gesture: &Gesture) -> Vec<ImagePoint> {
        gesture.points.clone()
    }
}
