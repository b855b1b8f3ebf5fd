//! The eraser: takes the mask away.

use egui::{Key, Ui};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, Edits, Gesture, ToolCursor};
use crate::canvas::options::brush_options_ui;
use crate::studio::document::DocumentCommand;
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;

/// See the module.
pub(super) struct Eraser;

impl CanvasTool for Eraser {
    fn id(&self) -> &'static str {
        "eraser"
    }

    fn label(&self) -> &'static str {
        t("tool-eraser")
    }

    fn hint(&self) -> &'static str {
        t("tool-eraser-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_INK_ERASER.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::E]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::Ring
    }

    fn erases(&self) -> bool {
        true
    }

    fn on_press(&self, gesture: &Gesture, settings: &ToolSettings, edits: &mut Edits<'_>) {
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
