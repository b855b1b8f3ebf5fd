//! The canvas's own keys: tools, brush size, and moving the view while the canvas has the focus.
//! Undo, zoom and the rest stand in the table of actions.

use egui::{Key, Modifiers, Rect, Ui, vec2};

use super::tools::TOOLS;
use super::view::Camera;
use crate::action::Action;
use crate::command::CommandSender;
use crate::studio::Studio;
use crate::studio::canvas_command::CanvasCommand;

/// Points an arrow key moves the view.
const ARROW_STEP: f32 = 64.0;

/// Second keys of actions, where people look for them.
pub const SECOND_KEYS: [(Modifiers, Key, Action); 6] = [
    (Modifiers::COMMAND, Key::Y, Action::Redo),
    (Modifiers::COMMAND, Key::Equals, Action::ZoomIn),
    (Modifiers::COMMAND, Key::A, Action::SelectAll),
    (Modifiers::NONE, Key::Backslash, Action::FlipResult),
    (Modifiers::NONE, Key::PageDown, Action::NextResult),
    (Modifiers::NONE, Key::PageUp, Action::PreviousResult),
];

/// Letters choose tools, brackets change the brush. Call only while no text is being typed.
pub(super) fn take_tool_keys(ui: &Ui, studio: &Studio, commands: &mut CommandSender) {
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    for tool in TOOLS {
        if tool.keys().iter().any(|key| pressed(*key)) {
            commands.send(CanvasCommand::SelectTool(tool.id()));
        }
    }
    for (key, larger) in [(Key::OpenBracket, false), (Key::CloseBracket, true)] {
        if pressed(key) {
            let mut settings = studio.tools.clone();
            settings.brush_size_px = settings.stepped_brush_size(larger);
            commands.send(CanvasCommand::SetTools(Box::new(settings)));
        }
    }
}

/// Takes the [`SECOND_KEYS`]. Call only while no text is being typed.
pub(super) fn take_action_keys(ui: &Ui, studio: &Studio, commands: &mut CommandSender) {
    for (modifiers, key, action) in SECOND_KEYS {
        if ui.input_mut(|input| input.consume_key(modifiers, key))
            && (action.info().enabled)(studio)
        {
            commands.send(action);
        }
    }
}

/// Arrow keys move the view.
pub(super) fn take_view_keys(ui: &Ui, camera: &mut Camera, viewport: Rect) {
    let pixels_per_point = ui.ctx().pixels_per_point();
    for (key, x, y) in [
        (Key::ArrowLeft, 1.0, 0.0),
        (Key::ArrowRight, -1.0, 0.0),
        (Key::ArrowUp, 0.0, 1.0),
        (Key::ArrowDown, 0.0, -1.0),
    ] {
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            let by = vec2(x, y) * ARROW_STEP;
            camera.pan(by, viewport, pixels_per_point);
        }
    }
}
