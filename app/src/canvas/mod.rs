//! The canvas: the picture, its mask and the live preview, with zoom and pan.

use crate::command::CommandSender;
use crate::studio::Studio;
use crate::textures::Textures;

/// What belongs to the view and not to the document: zoom, pan, hover.
#[derive(Debug, Default)]
pub struct CanvasView {
    /// Screen points a picture pixel.
    pub zoom: f32,
}

/// Draws the canvas into all of `ui`.
pub fn canvas_ui(
    ui: &mut egui::Ui,
    _view: &mut CanvasView,
    studio: &Studio,
    textures: &mut Textures,
    _commands: &mut CommandSender,
) {
    let _ = (ui, studio, textures);
}
