//! What a picture file says about itself before a byte of it is decoded: format by content, size,
//! and whether the rest can be true. A file that lies about its size is refused here, before any
//! memory is asked for.

/// A format that [`super::decode_picture`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Portable Network Graphics, 1 to 16 bits a channel.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
    /// WebP, lossy or lossless, one frame.
    WebP,
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The format.
    pub(super) format: Format,
    /// Stored width in pixels, before the EXIF orientation is applied.
    pub(super) width_px: u32,
    /// Stored height in pixels.
    pub(super) height_px: u32,
}

/// Longest side that opens, in pixels.
pub(super) const MAX_SIDE_PX: u32 = 16_384;

/// Most pixels that open: a square of [`MAX_SIDE_PX`].
pub(super) const MAX_PIXELS: u64 = 268_435_456;

/// Deflate's best ratio is 1032:1, so no honest PNG holds more raw bytes than this a byte.
const PNG_RAW_BYTES_A_BYTE: u64 = 1_040;

/// A JPEG spends at least one bit on each 8 x 8 block of a component.
const JPEG_PIXELS_A_BYTE: u64 = 8 * 64;

/// A lossless WebP may hold one colour in no bits a pixel. Below 16 megapixels this is harmless;
/// above, a file has to be larger than a header.
const WEBP_FREE_PIXELS: u64 = 1 << 24;
const WEBP_PIXELS_A_BYTE: u64 = 8_192;

/// Reads the header of a PNG, JPEG or WebP file. `Err` holds what is wrong, in a few words.
pub(super) fn inspect(bytes: &[u8]) -> Result<Header, String> {
    let header = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png(bytes)?
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        jpeg(bytes)?
    } else if bytes.len() >= 12 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP" {
        webp(bytes)?
    } else {
        return Err(unknown(bytes));
    };
    let Header {
        width_px,
        height_px,
        ..
    } = header;
    if width_px == 0 || height_px == 0 {
        return Err(format!("the header says {width_px} x {height_px} pixels"));
    }
    let pixels = u64::from(width_px) * u64::from(height_px);
    if width_px > MAX_SIDE_PX || height_px > MAX_SIDE_PX || pixels > MAX_PIXELS {
        return Err(format!(
            "{width_px} x {height_px} pixels are more than {MAX_SIDE_PX} on a side"
        ));
    }
    Ok(header)
}

fn unknown(bytes: &[u8]) -> String {
    let named = [
        (&b"GIF8"[..], "a GIF"),
        (b"BM", "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"MM\0*", "a TIFF"),
        (b"%PDF", "a PDF"),
        (b"8BPS", "a Photoshop file"),
        (b"<svg", "an SVG"),
        (b"PK\x03\x04", "a ZIP archive"),
    ];
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    let boxed = bytes.len() >= 12 && &bytes[4..8] == b"ftyp";
    let found = named
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, name)| *name)
        .or(boxed.then_some("an AVIF, HEIC or video file"))
        .unwrap_or("not a picture");
    format!("this is {found}; PNG, JPEG and WebP are opened")
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let pair = bytes.get(at..at + 2)?;
    Some(u32::from(u16::from_be_bytes([pair[0], pair[1]])))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let pair = bytes.get(at..at + 2)?;
    Some(u32::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn cut() -> String {
    "the file is cut short".to_owned()
}

/// PNG, third edition, 11.2.1: IHDR is the first chunk.
fn png(bytes: &[u8]) -> Result<Header, String> {
    if bytes.get(12..16) != Some(b"IHDR") {
        return Err("the PNG header is missing".to_owned());
    }
    let (width_px, height_px) = (
        be32(bytes, 16).ok_or_else(cut)?,
        be32(bytes, 20).ok_or_else(cut)?,
    );
    let [depth, colour] = *bytes.get(24..26).ok_or_else(cut)? else {
        return Err(cut());
    };
    let channels = match colour {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        other => return Err(format!("colour type {other} does not exist in PNG")),
    };
    let row = (u64::from(width_px) * channels * u64::from(depth)).div_ceil(8) + 1;
    // Saturating: the size itself may be a lie of 2^32 on each side.
    if row.saturating_mul(u64::from(height_px))
        > (bytes.len() as u64).saturating_mul(PNG_RAW_BYTES_A_BYTE)
    {
        return Err(too_small(width_px, height_px, bytes.len()));
    }
    Ok(Header {
        format: Format::Png,
        width_px,
        height_px,
    })
}

fn too_small(width_px: u32, height_px: u32, len: usize) -> String {
    format!(
        "the header says {width_px} x {height_px} pixels, more than {len} bytes of file can hold"
    )
}

/// ITU-T T.81, B.1: segments up to the first scan; a frame header (SOFn) holds the size.
fn jpeg(bytes: &[u8]) -> Result<Header, String> {
    let mut at = 2;
    let mut size = None;
    loop {
        if bytes.get(at) != Some(&0xff) {
            return Err(if at >= bytes.len() {
                cut()
            } else {
                format!("no JPEG segment at byte {at}")
            });
        }
        let marker = *bytes.get(at + 1).ok_or_else(cut)?;
        match marker {
            // Fill bytes and marks without a body.
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            0xd9 => return Err("the JPEG holds no picture".to_owned()),
            _ => {}
        }
        let length = be16(bytes, at + 2).ok_or_else(cut)? as usize;
        if length < 2 || at + 2 + length > bytes.len() {
            return Err(cut());
        }
        match marker {
            0xc0..=0xc2 => {
                let height_px = be16(bytes, at + 5).ok_or_else(cut)?;
                let width_px = be16(bytes, at + 7).ok_or_else(cut)?;
                size = Some((width_px, height_px));
            }
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(
                    "lossless, hierarchical and arithmetic-coded JPEG is not opened".to_owned(),
                );
            }
            0xda => break,
            _ => {}
        }
        at += 2 + length;
    }
    let Some((width_px, height_px)) = size else {
        return Err("the JPEG has no frame header".to_owned());
    };
    let pixels = u64::from(width_px) * u64::from(height_px);
    if pixels > (bytes.len() as u64).saturating_mul(JPEG_PIXELS_A_BYTE) {
        return Err(too_small(width_px, height_px, bytes.len()));
    }
    // Inside scans 0xff is always followed by 0 or a mark, so this is the end mark and no accident.
    // Decoders fill what is missing with grey and say nothing.
    if !bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]) {
        return Err(cut());
    }
    Ok(Header {
        format: Format::Jpeg,
        width_px,
        height_px,
    })
}

/// The WebP container specification: RIFF chunks, each of which must lie inside the file. The sizes
/// inside the bit streams are read as well, since decoders ask for memory by them.
fn webp(bytes: &[u8]) -> Result<Header, String> {
    let mut at = 12;
    let mut canvas = None;
    let mut frame = None;
    while at + 8 <= bytes.len() {
        let length = le32(bytes, at + 4).ok_or_else(cut)? as usize;
        let body = at + 8;
        if length > bytes.len() - body {
            return Err(cut());
        }
        match &bytes[at..at + 4] {
            b"VP8X" if length >= 10 => {
                if bytes[body] & 2 != 0 {
                    return Err("animated WebP is not opened".to_owned());
                }
                let wide = le32(bytes, body + 4).ok_or_else(cut)? & 0x00ff_ffff;
                let high = le32(bytes, body + 6).ok_or_else(cut)? >> 8;
                canvas = Some((wide + 1, high + 1));
            }
            b"VP8 " if length >= 10 => {
                let wide = le16(bytes, body + 6).ok_or_else(cut)? & 0x3fff;
                let high = le16(bytes, body + 8).ok_or_else(cut)? & 0x3fff;
                frame = Some((wide, high));
            }
            b"VP8L" if length >= 5 => {
                let packed = le32(bytes, body + 1).ok_or_else(cut)?;
                frame = Some(((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1));
            }
            b"ANMF" | b"ANIM" => return Err("animated WebP is not opened".to_owned()),
            _ => {}
        }
        at = body + length + (length & 1);
    }
    let Some((width_px, height_px)) = frame else {
        return Err("the WebP holds no picture, or is cut short".to_owned());
    };
    if canvas.is_some_and(|size| size != (width_px, height_px)) {
        return Err("the WebP's canvas and picture differ in size".to_owned());
    }
    let pixels = u64::from(width_px) * u64::from(height_px);
    if pixels > WEBP_FREE_PIXELS && pixels > bytes.len() as u64 * WEBP_PIXELS_A_BYTE {
        return Err(too_small(width_px, height_px, bytes.len()));
    }
    Ok(Header {
        format: Format::WebP,
        width_px,
        height_px,
    })
}
