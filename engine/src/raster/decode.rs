//! Opening pictures that anybody may have made: format by content, limits before memory, EXIF
//! orientation applied, colours brought to sRGB, everything converted to 8-bit RGBA.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageResult, Limits};

use super::header::{Format, inspect};
use super::profile::to_srgb;
use super::{Mask, Picture};
use crate::error::{EngineError, Result};

/// Largest picture file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// What a PNG decoder may ask for besides the pixels: rows, colour profile, text.
const PNG_EXTRA_BYTES: u64 = 64 << 20;

const REMEDY: &str = "open it in an image editor and save it again as PNG, or choose another file";

/// Reads a picture file whole, refusing what is too large to be one (above [`MAX_FILE_BYTES`]) and
/// what is no regular file.
///
/// # Errors
/// `Io` when it cannot be read, `BadFile` when it is too large or no file.
pub fn read_picture_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| EngineError::io(path, "read", &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(EngineError::bad_file(
            path,
            "this is not a file",
            "choose a PNG, JPEG or WebP file",
        ));
    }
    let too_large = || {
        EngineError::bad_file(
            path,
            format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20),
            "make a smaller copy of it in an image editor",
        )
    };
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // The file may grow while it is read.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Opens a PNG, JPEG or WebP file as it is meant to be seen: EXIF orientation applied, an embedded
/// colour profile converted to sRGB, 8 bits a channel, alpha kept. See [`decode_picture`].
///
/// # Errors
/// `Io` when it cannot be read, `BadFile` when it is no picture, is broken, or is too large.
pub fn load_picture(path: &Path) -> Result<Picture> {
    decode_picture(&read_picture_file(path)?, path)
}

/// Opens a mask (255 = repaint) from a PNG, JPEG or WebP file. Its values are amounts and no
/// colours, so a colour profile does not change them. See [`mask_from_picture`].
///
/// # Errors
/// As [`load_picture`].
pub fn load_mask(path: &Path) -> Result<Mask> {
    decode(&read_picture_file(path)?, path, Numbers::AsTheyAre)
        .map(|picture| mask_from_picture(&picture))
}

/// Decodes a PNG, JPEG or WebP file held in memory; `name` is what errors call it.
///
/// 16-bit channels are rounded to 8, grey and palette pictures become RGBA, a missing alpha is 255.
/// At most 16,384 pixels a side; the header is checked before memory is asked for, and a header
/// that promises more than the file can hold is refused. An embedded ICC profile is converted to
/// sRGB.
///
/// # Errors
/// `BadFile` with what is wrong and what to do.
pub fn decode_picture(bytes: &[u8], name: impl AsRef<Path>) -> Result<Picture> {
    decode(bytes, name.as_ref(), Numbers::AreColours)
}

/// What a file's numbers mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// Colours, to be brought to sRGB.
    AreColours,
    /// Amounts.
    AsTheyAre,
}

fn decode(bytes: &[u8], name: &Path, numbers: Numbers) -> Result<Picture> {
    let broken = |problem: String| EngineError::bad_file(name, problem, REMEDY);
    let header = inspect(bytes).map_err(broken)?;
    // The decoders are not ours: a panic in one must not reach further than this file.
    let decoded = catch_unwind(AssertUnwindSafe(|| match header.format {
        Format::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(PNG_EXTRA_BYTES);
            PngDecoder::with_limits(Cursor::new(bytes), limits)
                .and_then(|decoder| upright(decoder, numbers))
        }
        Format::Jpeg => {
            JpegDecoder::new(Cursor::new(bytes)).and_then(|decoder| upright(decoder, numbers))
        }
        Format::WebP => {
            WebPDecoder::new(Cursor::new(bytes)).and_then(|decoder| upright(decoder, numbers))
        }
    }));
    let picture = match decoded {
        Ok(Ok(image)) => image.into_rgba8(),
        Ok(Err(error)) => return Err(broken(format!("the picture is broken: {error}"))),
        Err(_) => return Err(broken("the picture is broken".to_owned())),
    };
    let (width_px, height_px) = picture.dimensions();
    Picture::new(width_px, height_px, picture.into_raw())
        .ok_or_else(|| broken("the picture has no pixels".to_owned()))
}

fn upright(mut decoder: impl ImageDecoder, numbers: Numbers) -> ImageResult<DynamicImage> {
    let orientation = decoder.orientation()?;
    // A profile that cannot be read is no reason to refuse the picture.
    let profile = match numbers {
        Numbers::AreColours => decoder.icc_profile().ok().flatten(),
        Numbers::AsTheyAre => None,
    };
    let mut image = to_srgb(DynamicImage::from_decoder(decoder)?, profile);
    image.apply_orientation(orientation);
    Ok(image)
}

/// A mask from a picture: luminance (Rec. 601) times alpha. White means repaint, black and
/// transparent mean keep; grey is kept as it is, so that a saved mask comes back unchanged.
pub fn mask_from_picture(picture: &Picture) -> Mask {
    let values: Vec<u8> = picture
        .rgba
        .chunks_exact(4)
        .map(|pixel| {
            let [red, green, blue, alpha] = [0, 1, 2, 3].map(|at| u32::from(pixel[at]));
            let luminance = (299 * red + 587 * green + 114 * blue + 500) / 1000;
            // At most 255: both factors are.
            ((luminance * alpha + 127) / 255) as u8
        })
        .collect();
    Mask {
        width_px: picture.width_px,
        height_px: picture.height_px,
        values: values.into(),
    }
}
