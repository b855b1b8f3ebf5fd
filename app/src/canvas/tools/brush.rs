//! The brush: paints the mask.

use egui::{Key, Ui};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, Edits, Gesture, ToolCursor};
use crate::canvas::options::brush_options_ui;
use crate::studio::document::DocumentCommand;
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;

/// See the module.
pub(super) struct Brush;

impl CanvasTool for Brush {
    fn id(&self) -> &'static str {
        "brush"
    }

    fn label(&self) -> &'static str {
        t("tool-brush")
    }

    fn hint(&self) -> &'static str {
        t("tool-brush-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_BRUSH.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::B]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::Ring
    }

    fn on_press(&self, gesture: &Gesture, settings: &ToolSettings, edits: &mut Edits<'_>) {
        // With Shift, a straight line from the last stroke's end comes first.
        edits.send(DocumentCommand::BeginStroke {
            brush: settings.brush(gesture.erase),
            at: gesture.start(),
            joined: gesture.constrained,
        });
    }

    fn on_move(&self, gesture: &Gesture, _settings: &ToolSettings, edits: &mut Edits<'_>) {
        edits.send(DocumentCommand::StrokeTo(gesture.end()));
    }

    fn on_release(&self, _gesture: &Gesture, _settings: &ToolSettings, edits: &mut Edits<'_>) {
        edits.send(DocumentCommand::EndStroke);
    }

    fn options_ui(&self, ui: &mut Ui, settings: &mut ToolSettings) {
        brush_options_ui(ui, settings);
    }
}
