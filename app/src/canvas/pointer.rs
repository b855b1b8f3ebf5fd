//! The pointer on the canvas, from raw events: every sample the system reports reaches the tool,
//! also those that came between two frames.

use egui::{Event, Modifiers, MouseWheelUnit, PointerButton, Pos2, Rect, Ui, Vec2, vec2};

use super::tools::{CanvasTool, Edits, Gesture, tool};
use super::view::Camera;
use crate::command::CommandSender;
use crate::studio::canvas_command::CanvasCommand;
use crate::studio::staging::StagingCommand;
use crate::studio::tool_settings::ToolSettings;

/// Zoom of one notch of a mouse wheel.
const ZOOM_PER_NOTCH: f32 = 1.2;
/// Points that a notch or a line of scrolling stands for.
const POINTS_PER_LINE: f32 = 40.0;
/// Scrolled points that double the zoom, about.
const POINTS_PER_E: f32 = 200.0;
/// Reach of the split line, in points to each side.
const SPLIT_REACH: f32 = 8.0;

/// What the pressed pointer is doing.
#[derive(Default)]
pub(super) enum Hold {
    /// It is not pressed, or not on the canvas.
    #[default]
    Nothing,
    /// It draws with the tool of this id.
    Tool(&'static dyn CanvasTool, Gesture),
    /// It moves the view.
    Pan(Pos2, PointerButton),
    /// It moves the line between before and after.
    Split,
}

/// What painting means for what is on show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Nothing: there is no mask to see.
    Refused,
    /// It changes the mask.
    ChangesMask,
    /// It accepts the result that is on show, and changes its mask.
    AcceptsResult,
}

/// What the events of a frame mean depends on this.
pub(super) struct PointerCx<'a> {
    /// The canvas on the screen.
    pub(super) viewport: Rect,
    /// What is on show, in pixels.
    pub(super) size_px: [u32; 2],
    /// What painting means for what is on show.
    pub(super) paint: Paint,
    /// Where the split line lies on the screen.
    pub(super) split_x: Option<f32>,
    /// The tools.
    pub(super) settings: &'a ToolSettings,
    /// Space is held and means: move the view.
    pub(super) space: bool,
    /// X is held and means: erase.
    pub(super) erase_key: bool,
    /// Whether the canvas is what lies under a screen point.
    pub(super) is_on_top: &'a dyn Fn(Pos2) -> bool,
}

/// Takes the frame's events in. Returns whether the canvas was pressed.
pub(super) fn take_events(
    ui: &Ui,
    hold: &mut Hold,
    camera: &mut Camera,
    cx: &PointerCx<'_>,
    commands: &mut CommandSender,
) -> bool {
    let pixels_per_point = ui.ctx().pixels_per_point();
    let mut pressed_here = false;
    for event in ui.input(|input| input.events.clone()) {
        match event {
            Event::PointerButton {
                pos,
                button,
                pressed: true,
                modifiers,
            } if cx.viewport.contains(pos)
                && (cx.is_on_top)(pos)
                && matches!(hold, Hold::Nothing) =>
            {
                pressed_here = true;
                let at = camera.transform(cx.viewport, pixels_per_point);
                *hold = press(cx, button, pos, modifiers, commands, |pos| {
                    at.image_from_screen(pos)
                });
            }
            Event::PointerMoved(pos) => {
                let modifiers = ui.input(|input| input.modifiers);
                moved(hold, camera, cx, pos, modifiers, pixels_per_point, commands);
            }
            Event::PointerButton {
                pos,
                button,
                pressed: false,
                modifiers,
            } => {
                moved(hold, camera, cx, pos, modifiers, pixels_per_point, commands);
                release(hold, button, cx, commands);
            }
            Event::WindowFocused(false) => release(hold, PointerButton::Primary, cx, commands),
            Event::MouseWheel {
                unit,
                delta,
                modifiers,
                ..
            } => {
                if let Some(pos) = hovering(ui, cx) {
                    wheel(camera, cx, pos, (unit, delta), modifiers, pixels_per_point);
                }
            }
            Event::Zoom(factor) => {
                if let Some(pos) = hovering(ui, cx) {
                    camera.zoom_about(pos, factor, cx.viewport, pixels_per_point);
                }
            }
            _ => {}
        }
    }
    pressed_here
}

/// Lets go of everything without an edit: the running stroke is taken back by its own command.
pub(super) fn abandon(hold: &mut Hold) {
    *hold = Hold::Nothing;
}

fn hovering(ui: &Ui, cx: &PointerCx<'_>) -> Option<Pos2> {
    ui.input(|input| input.pointer.latest_pos())
        .filter(|pos| cx.viewport.contains(*pos) && (cx.is_on_top)(*pos))
}

fn press(
    cx: &PointerCx<'_>,
    button: PointerButton,
    pos: Pos2,
    modifiers: Modifiers,
    commands: &mut CommandSender,
    image_from_screen: impl Fn(Pos2) -> crate::studio::geometry::ImagePoint,
) -> Hold {
    let tool = tool(&cx.settings.tool);
    match button {
        PointerButton::Middle => return Hold::Pan(pos, button),
        PointerButton::Primary if cx.space || tool.pans() => return Hold::Pan(pos, button),
        PointerButton::Primary => {}
        _ => return Hold::Nothing,
    }
    if cx.split_x.is_some_and(|x| (x - pos.x).abs() <= SPLIT_REACH) {
        return Hold::Split;
    }
    if cx.paint == Paint::Refused {
        return Hold::Nothing;
    }
    // Held keys turn a painting tool into an erasing one for this stroke.
    let gesture = Gesture {
        points: vec![image_from_screen(pos)],
        erase: tool.erases() || modifiers.alt || cx.erase_key,
        constrained: modifiers.shift,
    };
    if cx.paint == Paint::AcceptsResult {
        commands.send(CanvasCommand::from(StagingCommand::Accept));
    }
    tool.on_press(&gesture, cx.settings, &mut Edits::new(commands));
    Hold::Tool(tool, gesture)
}

fn moved(
    hold: &mut Hold,
    camera: &mut Camera,
    cx: &PointerCx<'_>,
    pos: Pos2,
    modifiers: Modifiers,
    pixels_per_point: f32,
    commands: &mut CommandSender,
) {
    match hold {
        Hold::Nothing => {}
        Hold::Pan(last, _) => {
            camera.pan(pos - *last, cx.viewport, pixels_per_point);
            *last = pos;
        }
        Hold::Split => {
            let at = camera.transform(cx.viewport, pixels_per_point);
            let x = at.image_from_screen(pos).x / cx.size_px[0].max(1) as f32;
            commands.send(CanvasCommand::from(StagingCommand::SplitAt(x)));
        }
        Hold::Tool(tool, gesture) => {
            let at = camera.transform(cx.viewport, pixels_per_point);
            let point = at.image_from_screen(pos);
            gesture.constrained = modifiers.shift;
            if point != gesture.end() {
                gesture.points.push(point);
                tool.on_move(gesture, cx.settings, &mut Edits::new(commands));
            }
        }
    }
}

fn release(
    hold: &mut Hold,
    button: PointerButton,
    cx: &PointerCx<'_>,
    commands: &mut CommandSender,
) {
    let ends = match hold {
        Hold::Nothing => false,
        Hold::Pan(_, held) => *held == button,
        Hold::Split | Hold::Tool(..) => button == PointerButton::Primary,
    };
    if ends && let Hold::Tool(tool, gesture) = std::mem::take(hold) {
        tool.on_release(&gesture, cx.settings, &mut Edits::new(commands));
    }
}

/// A mouse wheel zooms about the pointer; a track pad's two fingers move the view, and zoom with
/// Ctrl, as pinching does.
fn wheel(
    camera: &mut Camera,
    cx: &PointerCx<'_>,
    pos: Pos2,
    (unit, delta): (MouseWheelUnit, Vec2),
    modifiers: Modifiers,
    pixels_per_point: f32,
) {
    let points = match unit {
        MouseWheelUnit::Point => delta,
        MouseWheelUnit::Line => delta * POINTS_PER_LINE,
        MouseWheelUnit::Page => vec2(
            delta.x * cx.viewport.width(),
            delta.y * cx.viewport.height(),
        ),
    };
    match unit {
        _ if modifiers.shift => {
            let sideways = if points.x == 0.0 { points.y } else { points.x };
            camera.pan(vec2(sideways, 0.0), cx.viewport, pixels_per_point);
        }
        MouseWheelUnit::Point if modifiers.command || modifiers.ctrl => {
            let factor = (points.y / POINTS_PER_E).exp();
            camera.zoom_about(pos, factor, cx.viewport, pixels_per_point);
        }
        MouseWheelUnit::Point => camera.pan(points, cx.viewport, pixels_per_point),
        MouseWheelUnit::Line | MouseWheelUnit::Page => {
            let factor = ZOOM_PER_NOTCH.powf(delta.y);
            camera.zoom_about(pos, factor, cx.viewport, pixels_per_point);
        }
    }
}
