//! Texts inside JPEG and WebP files: the EXIF fields (CIPA DC-008) that image tools put recipes in.
//! Read without decoding the picture, every length checked against what is really there.

use std::io::{Read, Seek};

use super::metadata::Texts;

/// Longest EXIF block that is read, in bytes.
const MAX_EXIF_BYTES: u64 = 8 << 20;
/// Segments or chunks looked at in one file.
const MAX_SEGMENTS: usize = 4096;
/// Fields looked at in one directory.
const MAX_FIELDS: usize = 256;

/// Tags of fields with texts.
const IMAGE_DESCRIPTION: u16 = 0x010e;
const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const EXIF_DIRECTORY: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;

/// Reads size and texts of a JPEG file whose first two bytes are still to come.
///
/// # Errors
/// Those of the reader.
pub(super) fn read_jpeg(mut file: impl Read + Seek) -> std::io::Result<Texts> {
    let mut texts = Texts::default();
    file.seek_relative(2)?;
    for _ in 0..MAX_SEGMENTS {
        let mut head = [0; 4];
        if !super::png_text::fill(&mut file, &mut head)? || head[0] != 0xff {
            break;
        }
        let marker = head[1];
        let length = u64::from(u16::from_be_bytes([head[2], head[3]])).saturating_sub(2);
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if marker == 0xda || marker == 0xd9 {
            break;
        }
        if !is_frame && marker != 0xe1 {
            file.seek_relative(length as i64)?;
            continue;
        }
        let body = body(&mut file, length)?;
        if is_frame && body.len() >= 5 {
            // Precision, height, width.
            let side = |at: usize| u32::from(u16::from_be_bytes([body[at], body[at + 1]]));
            texts.size_px = [side(3), side(1)];
        }
        if let Some(tiff) = body.strip_prefix(b"Exif\0\0") {
            read_tiff(tiff, &mut texts);
        }
    }
    Ok(texts)
}

/// Reads size and texts of a WebP file whose first twelve bytes are still to come.
///
/// # Errors
/// Those of the reader.
pub(super) fn read_webp(mut file: impl Read + Seek) -> std::io::Result<Texts> {
    let mut texts = Texts::default();
    file.seek_relative(12)?;
    for _ in 0..MAX_SEGMENTS {
        let mut head = [0; 8];
        if !super::png_text::fill(&mut file, &mut head)? {
            break;
        }
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        // Chunks are padded to an even length.
        let padded = length + length % 2;
        match &head[..4] {
            b"EXIF" if length <= MAX_EXIF_BYTES => {
                let body = body(&mut file, padded)?;
                // Some writers keep JPEG's prefix.
                read_tiff(body.strip_prefix(b"Exif\0\0").unwrap_or(&body), &mut texts);
            }
            name @ (b"VP8X" | b"VP8 " | b"VP8L") if texts.size_px == [0, 0] => {
                let start = body(&mut file, length.min(16))?;
                if let Some(size_px) = webp_size(name, &start) {
                    texts.size_px = size_px;
                }
                file.seek_relative((padded - start.len() as u64) as i64)?;
            }
            _ => file.seek_relative(padded as i64)?,
        }
    }
    Ok(texts)
}

/// RFC 9649, sections 2.5 to 2.7.
fn webp_size(name: &[u8], body: &[u8]) -> Option<[u32; 2]> {
    let at = |index: usize| body.get(index).copied().map(u32::from);
    match name {
        b"VP8X" => {
            let three = |from| Some(at(from)? | at(from + 1)? << 8 | at(from + 2)? << 16);
            Some([three(4)? + 1, three(7)? + 1])
        }
        b"VP8L" => {
            let bits = at(1)? | at(2)? << 8 | at(3)? << 16 | at(4)? << 24;
            Some([(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1])
        }
        _ => {
            let two = |from| Some((at(from)? | at(from + 1)? << 8) & 0x3fff);
            Some([two(6)?, two(8)?])
        }
    }
}

/// Up to `length` bytes: as many as are really there.
fn body(file: &mut impl Read, length: u64) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    file.take(length).read_to_end(&mut body)?;
    Ok(body)
}

/// A TIFF block (TIFF 6.0, section 2) with its byte order.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let pair = [*self.bytes.get(at)?, *self.bytes.get(at.checked_add(1)?)?];
        Some(if self.big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    }

    fn u32(&self, at: usize) -> Option<usize> {
        let first = u32::from(self.u16(at)?);
        let second = u32::from(self.u16(at.checked_add(2)?)?);
        let value = if self.big_endian {
            first << 16 | second
        } else {
            second << 16 | first
        };
        usize::try_from(value).ok()
    }

    /// Tag and contents of each field of a directory; values of up to four bytes lie in the field.
    fn fields(&self, directory: usize) -> Vec<(u16, usize, usize)> {
        let count = usize::from(self.u16(directory).unwrap_or(0)).min(MAX_FIELDS);
        let fields = (0..count).filter_map(|index| {
            let at = directory.checked_add(2 + 12 * index)?;
            let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
            let size = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                _ => 4,
            };
            let length = count.checked_mul(size)?;
            let from = if length <= 4 {
                at + 8
            } else {
                self.u32(at + 8)?
            };
            Some((tag, from, length))
        });
        fields.collect()
    }

    fn bytes(&self, from: usize, length: usize) -> Option<&[u8]> {
        self.bytes.get(from..from.checked_add(length)?)
    }
}

fn read_tiff(bytes: &[u8], texts: &mut Texts) {
    let big_endian = match bytes.get(..2) {
        Some(b"MM") => true,
        Some(b"II") => false,
        _ => return,
    };
    let tiff = Tiff { bytes, big_endian };
    let Some(first) = tiff.u32(4) else { return };
    for (tag, from, length) in tiff.fields(first) {
        if tag == EXIF_DIRECTORY {
            let inner = tiff.u32(from).map(|at| tiff.fields(at));
            for (tag, from, length) in inner.into_iter().flatten() {
                let comment = (tag == USER_COMMENT).then(|| tiff.bytes(from, length));
                if let Some(text) = comment.flatten().and_then(user_comment) {
                    texts.add(super::PARAMETERS_KEYWORD, text);
                }
            }
        }
        let is_text = matches!(tag, IMAGE_DESCRIPTION | MAKE | MODEL);
        let Some(bytes) = tiff.bytes(from, length).filter(|_| is_text) else {
            continue;
        };
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches('\0');
        // ComfyUI's savers write “prompt:{…}” and “workflow:{…}” into the first fields at hand.
        match text.split_once(':') {
            Some((key, graph)) if graph.trim_start().starts_with('{') => {
                texts.add(key.trim(), graph.to_owned());
            }
            _ if tag == IMAGE_DESCRIPTION => texts.add("Description", text.to_owned()),
            _ => {}
        }
    }
}

/// A `UserComment`: eight bytes that name the encoding, then the text.
fn user_comment(bytes: &[u8]) -> Option<String> {
    let (encoding, text) = bytes.split_at_checked(8)?;
    let text = match encoding {
        b"UNICODE\0" => utf16(text),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    Some(text.trim_matches('\0').to_owned())
}

/// UTF-16 of unknown byte order: that of the block by the standard, big-endian in A1111's files.
/// Texts are mostly Latin letters, whose upper byte is 0.
fn utf16(bytes: &[u8]) -> String {
    let pairs = bytes.as_chunks::<2>().0;
    let upper_first = pairs.iter().filter(|pair| pair[0] == 0).count();
    let upper_last = pairs.iter().filter(|pair| pair[1] == 0).count();
    let units = pairs.iter().map(|pair| {
        if upper_first >= upper_last {
            u16::from_be_bytes(*pair)
        } else {
            u16::from_le_bytes(*pair)
        }
    });
    char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|letter| *letter != '\u{feff}')
        .collect()
}
