//! Pictures and masks to PNG files, the same bytes for the same pixels, and to blobs by content.

use std::borrow::Cow;

use super::{Mask, Picture};
use crate::client::Blob;
use crate::error::{EngineError, Result};
use crate::hash::sha256_hex;

/// A text chunk of a PNG: keyword (1 to 79 Latin-1 letters) and text.
pub type TextChunk<'a> = (&'a str, Cow<'a, str>);

/// A PNG file of these pixels: 8-bit RGB when every pixel is opaque, RGBA otherwise, sRGB.
/// Deterministic: the same pixels give the same bytes in the same build.
///
/// # Errors
/// `Internal` only: PNG can hold every picture.
pub fn encode_png(picture: &Picture) -> Result<Vec<u8>> {
    encode_png_with_text(picture, &[])
}

/// As [`encode_png`], with text chunks before the pixels: `tEXt` where Latin-1 can hold the text,
/// else `iTXt` (UTF-8), both uncompressed, as other tools write them.
///
/// # Errors
/// `Internal` when a keyword is not one of PNG's.
pub fn encode_png_with_text(picture: &Picture, texts: &[TextChunk<'_>]) -> Result<Vec<u8>> {
    let opaque = picture.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
    let size = (picture.width_px, picture.height_px);
    if opaque {
        let rgb: Vec<u8> = picture
            .rgba
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect();
        write(size, png::ColorType::Rgb, &rgb, texts)
    } else {
        write(size, png::ColorType::Rgba, &picture.rgba, texts)
    }
    .map_err(|error| internal(&error))
}

/// An 8-bit grey PNG file of a mask. Deterministic.
///
/// # Errors
/// `Internal` only: PNG can hold every mask.
pub fn encode_png_mask(mask: &Mask) -> Result<Vec<u8>> {
    let size = (mask.width_px, mask.height_px);
    write(size, png::ColorType::Grayscale, &mask.values, &[]).map_err(|error| internal(&error))
}

fn internal(error: &png::EncodingError) -> EngineError {
    EngineError::Internal {
        stage: "writing a PNG".to_owned(),
        report: error.to_string(),
    }
}

fn write(
    (width_px, height_px): (u32, u32),
    colour: png::ColorType,
    pixels: &[u8],
    texts: &[TextChunk<'_>],
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width_px, height_px);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    if colour != png::ColorType::Grayscale {
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    }
    for (keyword, text) in texts {
        // A NUL would end the text for every reader.
        let text = text.replace('\0', "\u{fffd}");
        if text.chars().all(|letter| u32::from(letter) < 256) {
            encoder.add_text_chunk((*keyword).to_owned(), text)?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), text)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

impl Blob {
    /// The blob of a PNG file.
    pub fn from_png(png: Vec<u8>) -> Self {
        Self {
            sha256: sha256_hex(&png),
            png: png.into(),
        }
    }

    /// A picture as a blob: what [`crate::recipe::Start::picture`] refers to.
    ///
    /// # Errors
    /// As [`encode_png`].
    pub fn from_picture(picture: &Picture) -> Result<Self> {
        encode_png(picture).map(Self::from_png)
    }

    /// A mask as a blob: what [`crate::recipe::Inpaint::mask`] refers to.
    ///
    /// # Errors
    /// As [`encode_png_mask`].
    pub fn from_mask(mask: &Mask) -> Result<Self> {
        encode_png_mask(mask).map(Self::from_png)
    }
}
