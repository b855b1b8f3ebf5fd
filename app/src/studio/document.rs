//! The picture on the canvas.

use pentimento_engine::raster::Picture;

use super::Effect;
use super::canvas_command::CanvasCommand;

/// The canvas's content.
#[derive(Debug, Default)]
pub struct Document {
    /// The picture, if one is open.
    pub picture: Option<Picture>,
    /// Name for people.
    pub name: String,
}

impl Document {
    /// Applies one edit.
    pub fn apply(&mut self, command: CanvasCommand) -> Vec<Effect> {
        match command {
            CanvasCommand::Open { picture, name } => {
                self.picture = Some(picture);
                self.name = name;
            }
        }
        Vec::new()
    }
}
