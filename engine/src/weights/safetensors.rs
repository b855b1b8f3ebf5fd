//! Bounded reader of `.safetensors`: the header is checked against the real file size before
//! anything is allocated for a tensor. Format: 8 bytes little-endian header length, a JSON object
//! `name -> {dtype, shape, data_offsets}`, then the data
//! (<https://huggingface.co/docs/safetensors>).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::element::{ElementType, Entry};
use super::files::ByteSource;
use super::format::Header;
use crate::error::{EngineError, Result};

/// Real headers have at most a few megabytes.
const HEADER_LIMIT_BYTES: u64 = 16 << 20;
const REMEDY: &str = "the file is damaged: copy or download it again";

/// Whether a file of `len` bytes that begins so can be one: a header length that fits, then JSON.
pub(super) fn sniff(start: &[u8], len: u64) -> bool {
    let Some((prefix, rest)) = start.split_first_chunk::<8>() else {
        return false;
    };
    let header = u64::from_le_bytes(*prefix);
    header > 1 && header <= len.saturating_sub(8) && rest.first() == Some(&b'{')
}

impl ElementType {
    /// By safetensors' name of it.
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "F8_E4M3" => Self::F8E4M3,
            "F8_E5M2" => Self::F8E5M2,
            "I64" | "U64" => Self::Other { bits: 64 },
            "I32" | "U32" => Self::Other { bits: 32 },
            "I16" | "U16" => Self::Other { bits: 16 },
            "I8" | "U8" | "BOOL" | "F8_E8M0" => Self::Other { bits: 8 },
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Reads and checks a file's header.
///
/// # Errors
/// `BadFile` that names the file, the tensor and what does not fit.
pub fn read_header(source: &ByteSource) -> Result<Header> {
    let bad = |problem: String| EngineError::bad_file(source.label(), problem, REMEDY);
    let mut prefix = [0; 8];
    source.read_at(0, &mut prefix)?;
    let header_len = u64::from_le_bytes(prefix);
    if header_len > HEADER_LIMIT_BYTES {
        return Err(bad(format!(
            "not a safetensors file: it claims a header of {header_len} bytes \
             (at most {HEADER_LIMIT_BYTES})"
        )));
    }
    let data_start = 8 + header_len;
    if data_start > source.len() {
        return Err(bad(format!(
            "the header should end at byte {data_start}, but the file has {} bytes",
            source.len()
        )));
    }
    let mut header = vec![0; header_len as usize];
    source.read_at(8, &mut header)?;
    let raw: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| bad(format!("the header is no valid JSON object ({error})")))?;

    let mut entries = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for (name, value) in raw {
        if name == "__metadata__" {
            // Free text of whoever made the file; what is no text is of no use.
            metadata = serde_json::from_value(value).unwrap_or_default();
            continue;
        }
        let raw: RawEntry = serde_json::from_value(value)
            .map_err(|error| bad(format!("tensor “{name}”: malformed entry ({error})")))?;
        let entry = check_entry(&raw, data_start, source.len())
            .map_err(|problem| bad(format!("tensor “{name}”: {problem}")))?;
        entries.insert(name, entry);
    }
    check_overlaps(&entries).map_err(bad)?;
    let end = entries
        .values()
        .map(|entry| entry.offset + entry.len)
        .max()
        .unwrap_or(data_start);
    if end != source.len() {
        return Err(bad(format!(
            "the data ends at byte {end}, but the file has {} bytes",
            source.len()
        )));
    }
    Ok(Header {
        entries,
        metadata,
        notes: Vec::new(),
    })
}

fn check_entry(raw: &RawEntry, data_start: u64, file_len: u64) -> Result<Entry, String> {
    let element = ElementType::parse(&raw.dtype)
        .ok_or_else(|| format!("element type “{}” is unknown", raw.dtype))?;
    if raw.shape.len() > 8 {
        return Err(format!("{} dimensions (at most 8)", raw.shape.len()));
    }
    let count = raw
        .shape
        .iter()
        .try_fold(1_u64, |count, &side| count.checked_mul(side))
        .ok_or("its shape overflows")?;
    let len = element.bytes(count).ok_or("its size overflows")?;
    let [begin, end] = raw.data_offsets;
    if end.checked_sub(begin) != Some(len) {
        return Err(format!(
            "{len} bytes by its shape, but data_offsets are {begin}..{end}"
        ));
    }
    let offset = data_start
        .checked_add(begin)
        .ok_or("its offset overflows")?;
    let last = offset.checked_add(len).ok_or("its offset overflows")?;
    if last > file_len {
        return Err(format!(
            "ends at byte {last}, but the file has {file_len} bytes"
        ));
    }
    let shape = raw
        .shape
        .iter()
        .map(|&side| usize::try_from(side).ok())
        .collect::<Option<_>>()
        .ok_or("its shape is too large for this machine")?;
    Ok(Entry {
        element,
        shape,
        offset,
        len,
        strides: None,
    })
}

pub(super) fn check_overlaps(entries: &BTreeMap<String, Entry>) -> Result<(), String> {
    let mut places: Vec<_> = entries.iter().filter(|(_, entry)| entry.len > 0).collect();
    places.sort_unstable_by_key(|(_, entry)| entry.offset);
    for pair in places.windows(2) {
        let [(first_name, first), (name, second)] = pair else {
            continue;
        };
        if first.offset + first.len > second.offset {
            return Err(format!("tensors “{first_name}” and “{name}” overlap"));
        }
    }
    Ok(())
}
