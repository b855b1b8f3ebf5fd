//! The fill: masks an area of similar colours of the picture.

use egui::{CursorIcon, Key, Ui};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, Edits, Gesture, ToolCursor};
use crate::canvas::options::{bar_option_ui, toggle_option_ui};
use crate::studio::canvas_command::CanvasCommand;
use crate::studio::flood::Flood;
use crate::studio::tool_settings::ToolSettings;
use crate::text::t;

/// See the module.
pub(super) struct Fill;

impl CanvasTool for Fill {
    fn id(&self) -> &'static str {
        "fill"
    }

    fn label(&self) -> &'static str {
        t("tool-fill")
    }

    fn hint(&self) -> &'static str {
        t("tool-fill-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_FORMAT_COLOR_FILL.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::G]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::System(CursorIcon::Crosshair)
    }

    fn on_press(&self, gesture: &Gesture, settings: &ToolSettings, edits: &mut Edits<'_>) {
        let at = gesture.start();
        if at.x < 0.0 || at.y < 0.0 {
            return;
        }
        edits.send(CanvasCommand::Flood(Flood {
            seed_px: [at.x as u32, at.y as u32],
            tolerance: settings.fill_tolerance,
            connected: settings.fill_connected,
            erase: gesture.erase,
        }));
    }

    fn options_ui(&self, ui: &mut Ui, settings: &mut ToolSettings) {
        let mut tolerance = f32::from(settings.fill_tolerance);
        bar_option_ui(ui, t("fill-tolerance"), &mut tolerance, 0.0..=255.0, "")
            .on_hover_text(t("fill-tolerance-tip"));
        settings.fill_tolerance = tolerance.round() as u8;
        toggle_option_ui(ui, t("fill-connected"), &mut settings.fill_connected)
            .on_hover_text(t("fill-connected-tip"));
    }
}
