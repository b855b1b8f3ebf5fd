//! The hand: moves the view. Space held does the same for any tool.

use egui::{CursorIcon, Key};
use egui_material_icons::{MaterialIcon, icons};

use super::{CanvasTool, ToolCursor};
use crate::text::t;

/// See the module.
pub(super) struct Pan;

impl CanvasTool for Pan {
    fn id(&self) -> &'static str {
        "pan"
    }

    fn label(&self) -> &'static str {
        t("tool-pan")
    }

    fn hint(&self) -> &'static str {
        t("tool-pan-hint")
    }

    fn icon(&self) -> MaterialIcon {
        icons::ICON_PAN_TOOL.outlined()
    }

    fn keys(&self) -> &'static [Key] {
        &[Key::H]
    }

    fn cursor(&self) -> ToolCursor {
        ToolCursor::System(CursorIcon::Grab)
    }

    fn pans(&self) -> bool {
        true
    }
}
