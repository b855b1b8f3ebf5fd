//! Pictures on the system's clipboard.

use std::borrow::Cow;

use crate::studio::io_task::IoReply;
use crate::studio::tiles::Plane;

/// The clipboard, opened at first use and kept: on X11 the pixels live in the program that offers
/// them.
#[derive(Default)]
pub(super) struct Clipboard {
    system: Option<arboard::Clipboard>,
}

impl Clipboard {
    /// Offers a picture.
    pub(super) fn copy(&mut self, picture: &Plane<4>) -> IoReply {
        let [width, height] = picture.size_px().map(|side| side as usize);
        let image = arboard::ImageData {
            width,
            height,
            bytes: Cow::Owned(picture.to_bytes()),
        };
        match self.open().and_then(|system| system.set_image(image)) {
            Ok(()) => IoReply::Copied,
            Err(error) => self.failed(&error),
        }
    }

    /// Takes the picture that is offered.
    pub(super) fn paste(&mut self) -> IoReply {
        match self.open().and_then(arboard::Clipboard::get_image) {
            Ok(image) => {
                let size =
                    [image.width, image.height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
                match Plane::from_bytes(size, &image.bytes) {
                    Some(plane) => IoReply::Pasted(plane),
                    None => IoReply::NothingToPaste,
                }
            }
            // There is a clipboard: then what it holds is no picture, or none that can be read.
            Err(
                arboard::Error::ContentNotAvailable
                | arboard::Error::ConversionFailure
                | arboard::Error::Unknown { .. },
            ) => IoReply::NothingToPaste,
            Err(error) => self.failed(&error),
        }
    }

    fn open(&mut self) -> Result<&mut arboard::Clipboard, arboard::Error> {
        match &mut self.system {
            Some(system) => Ok(system),
            closed => Ok(closed.insert(arboard::Clipboard::new()?)),
        }
    }

    /// The next use opens it anew.
    fn failed(&mut self, error: &arboard::Error) -> IoReply {
        self.system = None;
        IoReply::NoClipboard(error.to_string())
    }
}
