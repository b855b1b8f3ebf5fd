//! What may be done to the canvas, as data.

use pentimento_engine::raster::Picture;

/// An edit of the document, the mask, the tools or the staging.
#[derive(Clone, Debug)]
pub enum CanvasCommand {
    /// Put this picture on the canvas, as a new document.
    Open {
        /// The pixels.
        picture: Picture,
        /// Name for people: the file's, or the prompt's first words.
        name: String,
    },
}
