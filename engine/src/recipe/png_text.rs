//! Text chunks of a PNG file (PNG, third edition, 11.3.3), read without decoding the picture and
//! with limits on everything that a hostile file can inflate.

use std::io::{Read, Seek};

use flate2::read::ZlibDecoder;

use super::metadata::Texts;
use super::{PARAMETERS_KEYWORD, RECORD_KEYWORD};

/// Longest text that is read, stored or inflated, in bytes.
pub(super) const MAX_TEXT_BYTES: u64 = 8 << 20;

/// Chunks looked at in one file: a picture of a gigabyte in pieces of 8 KiB.
const MAX_CHUNKS: usize = 1 << 17;

/// Reads the texts of the wanted keywords, before or after the pixels. Stops early when all are
/// found, or our own pair is. `Ok(None)`: this is no PNG.
///
/// # Errors
/// Those of the reader; a file that ends early is none, its texts so far are returned.
pub(super) fn read(mut file: impl Read + Seek, wanted: &[&str]) -> std::io::Result<Option<Texts>> {
    let mut magic = [0; 8];
    if !fill(&mut file, &mut magic)? || &magic != b"\x89PNG\r\n\x1a\n" {
        return Ok(None);
    }
    let mut found = Texts::default();
    // Ours come together: of our own files nothing further is read.
    let ours = [RECORD_KEYWORD, PARAMETERS_KEYWORD];
    for _ in 0..MAX_CHUNKS {
        let mut head = [0; 8];
        if !fill(&mut file, &mut head)? {
            break;
        }
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let name = [head[4], head[5], head[6], head[7]];
        let mut left = i64::from(length) + 4;
        match &name {
            b"IEND" => break,
            b"IHDR" if length >= 8 => {
                let mut size = [0; 8];
                if !fill(&mut file, &mut size)? {
                    break;
                }
                left -= 8;
                found.size_px = [
                    u32::from_be_bytes([size[0], size[1], size[2], size[3]]),
                    u32::from_be_bytes([size[4], size[5], size[6], size[7]]),
                ];
            }
            b"tEXt" | b"zTXt" | b"iTXt" if u64::from(length) <= MAX_TEXT_BYTES => {
                // Grows with what is really there, not with what the length promises.
                let mut body = Vec::new();
                file.by_ref()
                    .take(u64::from(length))
                    .read_to_end(&mut body)?;
                if body.len() < length as usize {
                    break;
                }
                left -= i64::from(length);
                take(&mut found, name, &body, wanted);
            }
            b"tEXt" | b"zTXt" | b"iTXt" => found.problems.push(format!(
                "a text chunk of {length} bytes is too long to read"
            )),
            _ => {}
        }
        let has = |keyword: &&str| found.get(keyword).is_some();
        if wanted.iter().all(has) || ours.iter().all(has) {
            break;
        }
        file.seek_relative(left)?;
    }
    Ok(Some(found))
}

/// Whether `buffer` could be filled before the file ended.
pub(super) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn take(found: &mut Texts, name: [u8; 4], body: &[u8], wanted: &[&str]) {
    let Some((keyword, rest)) = split_at_nul(body) else {
        return;
    };
    let Some(keyword) = wanted.iter().find(|key| key.as_bytes() == keyword) else {
        return;
    };
    if found.get(keyword).is_some() {
        return;
    }
    let text = match &name {
        b"tEXt" => Some(latin1(rest)),
        b"zTXt" => inflate(rest.get(1..).unwrap_or_default()).map(|bytes| latin1(&bytes)),
        _ => international(rest),
    };
    match text {
        Some(text) => found.add(keyword, text),
        None => found
            .problems
            .push(format!("the text “{keyword}” is broken or too long")),
    }
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Latin-1 by the standard; UTF-8 where it is valid, since several tools write it there.
fn latin1(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().map(|&byte| char::from(byte)).collect(),
        str::to_owned,
    )
}

/// iTXt after its keyword: compression flag, method, language, translated keyword, text.
fn international(rest: &[u8]) -> Option<String> {
    let (flags, rest) = rest.split_at_checked(2)?;
    let (_language, rest) = split_at_nul(rest)?;
    let (_translated, text) = split_at_nul(rest)?;
    if flags[0] == 0 {
        String::from_utf8(text.to_vec()).ok()
    } else {
        String::from_utf8(inflate(text)?).ok()
    }
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes)
        .take(MAX_TEXT_BYTES + 1)
        .read_to_end(&mut text)
        .ok()?;
    (text.len() as u64 <= MAX_TEXT_BYTES).then_some(text)
}
