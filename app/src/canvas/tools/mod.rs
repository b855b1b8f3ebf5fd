//! The canvas tools: one a file, listed in [`TOOLS`]. A tool sees the pointer in image pixels and
//! sends document commands; undo, zoom and redraw are not its concern.

mod brush;
mod eraser;
mod fill;
mod lasso;
mod pan;
mod rectangle;

use egui::{Key, Ui};
use egui_material_icons::MaterialIcon;

use crate::command::CommandSender;
use crate::studio::canvas_command::CanvasCommand;
use crate::studio::geometry::ImagePoint;
use crate::studio::tool_settings::ToolSettings;

/// One press of the pointer, from button down to button up.
#[derive(Clone, Debug)]
pub struct Gesture {
    /// All samples in image pixels, the press first; never empty.
    pub points: Vec<ImagePoint>,
    /// Takes the mask away: a tool of its own does, or a key is held that does for any tool.
    pub erase: bool,
    /// Shift is held: straight lines, squares.
    pub constrained: bool,
}

impl Gesture {
    /// The press.
    pub fn start(&self) -> ImagePoint {
        self.points.first().copied().unwrap_or_default()
    }

    /// The newest sample.
    pub fn end(&self) -> ImagePoint {
        self.points.last().copied().unwrap_or_default()
    }
}

/// What marks the pointer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToolCursor {
    /// A ring of the brush's size.
    Ring,
    /// One of the system's.
    System(egui::CursorIcon),
}

/// A tool of the canvas. Tools keep no state: a gesture holds what they need.
pub trait CanvasTool: Sync {
    /// Stable id, snake_case.
    fn id(&self) -> &'static str;
    /// Name for people.
    fn label(&self) -> &'static str;
    /// How to use it, in one line.
    fn hint(&self) -> &'static str;
    /// Its picture.
    fn icon(&self) -> MaterialIcon;
    /// The keys that choose it; the first is shown.
    fn keys(&self) -> &'static [Key];
    /// What marks the pointer.
    fn cursor(&self) -> ToolCursor;
    /// Whether dragging moves the view instead of changing the mask.
    fn pans(&self) -> bool {
        false
    }
    /// Whether the tool takes the mask away without any key held.
    fn erases(&self) -> bool {
        false
    }
    /// The button went down.
    fn on_press(&self, _gesture: &Gesture, _settings: &ToolSettings, _edits: &mut Edits<'_>) {}
    /// The pointer moved with the button down.
    fn on_move(&self, _gesture: &Gesture, _settings: &ToolSettings, _edits: &mut Edits<'_>) {}
    /// The button went up.
    fn on_release(&self, _gesture: &Gesture, _settings: &ToolSettings, _edits: &mut Edits<'_>) {}
    /// The outline that is being drawn, in image pixels, closed by its first point.
    fn outline(&self, _gesture: &Gesture) -> Vec<ImagePoint> {
        Vec::new()
    }
    /// Its options, in one row.
    fn options_ui(&self, _ui: &mut Ui, _settings: &mut ToolSettings) {}
}

/// Sends a tool's edits.
pub struct Edits<'a> {
    commands: &'a mut CommandSender,
}

impl<'a> Edits<'a> {
    /// Sends through `commands`.
    pub fn new(commands: &'a mut CommandSender) -> Self {
        Self { commands }
    }

    /// Sends one edit.
    pub fn send(&mut self, command: impl Into<CanvasCommand>) {
        self.commands.send(command.into());
    }
}

/// Every tool, in the order of the tool bar.
pub static TOOLS: &[&dyn CanvasTool] = &[
    &brush::Brush,
    &eraser::Eraser,
    &rectangle::Rectangle,
    &lasso::Lasso,
    &fill::Fill,
    &pan::Pan,
];

/// The tool of this id; the first tool for an id that is not known (any more).
pub fn tool(id: &str) -> &'static dyn CanvasTool {
    TOOLS
        .iter()
        .copied()
        .find(|tool| tool.id() == id)
        .unwrap_or(TOOLS[0])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::text::has;

    #[test]
    fn ids_keys_and_texts_are_whole_and_unique() {
        let ids: HashSet<_> = TOOLS.iter().map(|tool| tool.id()).collect();
        assert_eq!(ids.len(), TOOLS.len());
        let keys: Vec<_> = TOOLS.iter().flat_map(|tool| tool.keys()).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        for tool in TOOLS {
            assert!(!tool.keys().is_empty(), "{}", tool.id());
            assert!(has(&format!("tool-{}", tool.id())), "{}", tool.id());
            assert!(has(&format!("tool-{}-hint", tool.id())), "{}", tool.id());
        }
        assert_eq!(tool("no such tool").id(), "brush");
        assert_eq!(tool("lasso").id(), "lasso");
    }
}
