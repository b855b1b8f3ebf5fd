//! Bounded reader of GGUF headers (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): magic,
//! version, counts, typed metadata, tensor descriptions, then the data at aligned offsets. Every count
//! and size is checked against the file before it is believed; no number is read from a tensor here.

use std::collections::BTreeMap;

use super::element::{Blocks, ElementType, Entry};
use super::files::ByteSource;
use super::format::Header;
use super::safetensors::check_overlaps;
use crate::error::{EngineError, Result};

const MAGIC: &[u8; 4] = b"GGUF";
const REMEDY: &str = "the file is damaged or made to harm: download it again";
/// Largest header read; those with a tokenizer inside have a few megabytes.
const HEADER_LIMIT_BYTES: u64 = 64 << 20;
/// Metadata entries and tensors; the largest published models have a few thousand.
const COUNT_LIMIT: u64 = 65_536;
/// Longest name of a tensor or a key.
const NAME_LIMIT_BYTES: u64 = 512;
/// Longest text kept of the metadata.
const TEXT_LIMIT_BYTES: u64 = 4096;
/// Arrays in arrays.
const DEPTH_LIMIT: u32 = 8;
const SIDES_LIMIT: u32 = 8;
/// Where the data begins a new multiple of, unless the file says otherwise.
const ALIGNMENT: u64 = 32;
/// city96's key for a tensor's sides before they were flattened.
const SHAPE_KEY: &str = "comfy.gguf.orig_shape.";

pub(super) fn sniff(start: &[u8], _len: u64) -> bool {
    start.starts_with(MAGIC)
}

/// Reads and checks a file's header.
///
/// # Errors
/// `BadFile` that names the file, the place and what does not fit; `Io` when reading fails.
pub fn read_header(source: &ByteSource) -> Result<Header> {
    let mut bytes = vec![0; source.len().min(HEADER_LIMIT_BYTES) as usize];
    // Headers are small beside the data: most is read from the first megabyte.
    let first = bytes.len().min(1 << 20);
    source.read_at(0, &mut bytes[..first])?;
    let mut cursor = Cursor {
        bytes: &bytes[..first],
        at: 0,
    };
    let mut parsed = parse(&mut cursor, source.len());
    if matches!(parsed, Err(Fault::Short(_))) && first < bytes.len() {
        source.read_at(0, &mut bytes)?;
        parsed = parse(
            &mut Cursor {
                bytes: &bytes,
                at: 0,
            },
            source.len(),
        );
    }
    parsed.map_err(|fault| {
        let problem = match fault {
            Fault::Short(at) => format!("byte {at}: the header is cut short or has no end"),
            Fault::Wrong(at, what) => format!("byte {at}: {what}"),
        };
        EngineError::bad_file(source.label(), problem, REMEDY)
    })
}

enum Fault {
    /// The bytes end before.
    Short(usize),
    Wrong(usize, String),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len));
        let piece = end.and_then(|end| self.bytes.get(self.at..end));
        let piece = piece.ok_or(Fault::Short(self.at))?;
        self.at += piece.len();
        Ok(piece)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let at = self.at;
        self.take(N as u64)?
            .try_into()
            .map_err(|_length| Fault::Short(at))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn wrong(&self, what: impl Into<String>) -> Fault {
        Fault::Wrong(self.at, what.into())
    }

    fn name(&mut self) -> Result<&'a str, Fault> {
        let len = self.u64()?;
        if len > NAME_LIMIT_BYTES {
            return Err(self.wrong(format!(
                "a name of {len} bytes (at most {NAME_LIMIT_BYTES})"
            )));
        }
        let at = self.at;
        std::str::from_utf8(self.take(len)?)
            .map_err(|_bytes| Fault::Wrong(at, "a name that is no text".to_owned()))
    }
}

/// A metadata value, as far as any is of use.
enum Value {
    Number(u64),
    Text(String),
    Numbers(Vec<u64>),
    Other,
}

fn parse(cursor: &mut Cursor<'_>, file_len: u64) -> Result<Header, Fault> {
    cursor.take(4)?;
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        return Err(cursor.wrong(format!("version {version} (2 and 3 are known)")));
    }
    let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
    if tensors > COUNT_LIMIT || entries > COUNT_LIMIT {
        let problem =
            format!("{tensors} tensors and {entries} metadata entries (at most {COUNT_LIMIT})");
        return Err(cursor.wrong(problem));
    }
    let mut header = Header::default();
    let mut shapes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut alignment = ALIGNMENT;
    for _ in 0..entries {
        let key = cursor.name()?;
        let kind = cursor.u32()?;
        match value(cursor, kind, 0)? {
            Value::Number(number) if key == "general.alignment" => {
                if !number.is_power_of_two() || number > 1 << 16 {
                    return Err(cursor.wrong(format!("an alignment of {number}")));
                }
                alignment = number;
            }
            Value::Number(number) => {
                header.metadata.insert(key.to_owned(), number.to_string());
            }
            Value::Text(text) => {
                header.metadata.insert(key.to_owned(), text);
            }
            Value::Numbers(sides) => {
                if let Some(name) = key.strip_prefix(SHAPE_KEY) {
                    shapes.insert(name.to_owned(), sides);
                }
            }
            Value::Other => {}
        }
    }
    let mut found = Vec::new();
    for _ in 0..tensors {
        found.push((cursor.name()?, tensor(cursor)?));
    }
    let start = (cursor.at as u64).next_multiple_of(alignment);
    for (name, described) in found {
        let entry = place(described, start, alignment, file_len, shapes.get(name))
            .map_err(|problem| cursor.wrong(format!("tensor “{name}”: {problem}")))?;
        if header.entries.insert(name.to_owned(), entry).is_some() {
            return Err(cursor.wrong(format!("tensor “{name}” is there twice")));
        }
    }
    check_overlaps(&header.entries).map_err(|problem| cursor.wrong(problem))?;
    Ok(header)
}

fn value(cursor: &mut Cursor<'_>, kind: u32, depth: u32) -> Result<Value, Fault> {
    Ok(match kind {
        0 | 1 | 7 => Value::Number(cursor.take(1)?[0].into()),
        2 | 3 => Value::Number(u16::from_le_bytes(cursor.array()?).into()),
        4 | 5 => Value::Number(cursor.u32()?.into()),
        10 | 11 => Value::Number(cursor.u64()?),
        6 => {
            cursor.take(4)?;
            Value::Other
        }
        12 => {
            cursor.take(8)?;
            Value::Other
        }
        8 => {
            let len = cursor.u64()?;
            let bytes = cursor.take(len)?;
            let short = len <= TEXT_LIMIT_BYTES;
            match std::str::from_utf8(bytes).ok().filter(|_| short) {
                Some(text) => Value::Text(text.to_owned()),
                None => Value::Other,
            }
        }
        9 => array(cursor, depth)?,
        other => return Err(cursor.wrong(format!("metadata of the unknown type {other}"))),
    })
}

fn array(cursor: &mut Cursor<'_>, depth: u32) -> Result<Value, Fault> {
    if depth >= DEPTH_LIMIT {
        return Err(cursor.wrong(format!("lists nested deeper than {DEPTH_LIMIT}")));
    }
    let (kind, count) = (cursor.u32()?, cursor.u64()?);
    let width = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => 0,
    };
    // Long lists of numbers are stepped over at once.
    if width > 0 && count > u64::from(SIDES_LIMIT) {
        let len = count
            .checked_mul(width)
            .ok_or_else(|| cursor.wrong("a list of no end"))?;
        cursor.take(len)?;
        return Ok(Value::Other);
    }
    let mut numbers = Vec::new();
    // Each item takes at least a byte, so that the bytes bound the work.
    for _ in 0..count {
        if let Value::Number(number) = value(cursor, kind, depth + 1)? {
            numbers.push(number);
        }
    }
    Ok(Value::Numbers(numbers))
}

/// A tensor's description.
struct Described {
    sides: Vec<u64>,
    element: ElementType,
    offset: u64,
}

fn tensor(cursor: &mut Cursor<'_>) -> Result<Described, Fault> {
    let count = cursor.u32()?;
    if count > SIDES_LIMIT {
        return Err(cursor.wrong(format!("{count} dimensions (at most {SIDES_LIMIT})")));
    }
    let mut sides = Vec::new();
    for _ in 0..count {
        sides.push(cursor.u64()?);
    }
    sides.reverse(); // stored innermost first
    let kind = cursor.u32()?;
    let element =
        element(kind).ok_or_else(|| cursor.wrong(format!("the element type {kind} is unknown")))?;
    let offset = cursor.u64()?;
    Ok(Described {
        sides,
        element,
        offset,
    })
}

fn element(kind: u32) -> Option<ElementType> {
    use ElementType::Blocks as B;
    Some(match kind {
        0 => ElementType::F32,
        1 => ElementType::F16,
        2 => B(Blocks::Q4_0),
        3 => B(Blocks::Q4_1),
        6 => B(Blocks::Q5_0),
        7 => B(Blocks::Q5_1),
        8 => B(Blocks::Q8_0),
        10 => B(Blocks::Q2K),
        11 => B(Blocks::Q3K),
        12 => B(Blocks::Q4K),
        13 => B(Blocks::Q5K),
        14 => B(Blocks::Q6K),
        24 => ElementType::Other { bits: 8 },
        25 => ElementType::Other { bits: 16 },
        26 => ElementType::Other { bits: 32 },
        27 => ElementType::Other { bits: 64 },
        28 => ElementType::F64,
        30 => ElementType::Bf16,
        _ => return None,
    })
}

fn place(
    described: Described,
    start: u64,
    alignment: u64,
    file_len: u64,
    original: Option<&Vec<u64>>,
) -> Result<Entry, String> {
    let product = |sides: &[u64]| {
        sides
            .iter()
            .try_fold(1_u64, |count, &side| count.checked_mul(side))
    };
    let count = product(&described.sides).ok_or("its shape overflows")?;
    let element = described.element;
    let (in_block, _) = element.block();
    if !described
        .sides
        .last()
        .unwrap_or(&1)
        .is_multiple_of(in_block)
    {
        return Err(format!("its rows are no whole blocks of {in_block}"));
    }
    let len = element.bytes(count).ok_or("its size overflows")?;
    if !described.offset.is_multiple_of(alignment) {
        return Err(format!("it begins at no multiple of {alignment}"));
    }
    let offset = start
        .checked_add(described.offset)
        .ok_or("its offset overflows")?;
    let end = offset.checked_add(len).ok_or("its offset overflows")?;
    if end > file_len {
        return Err(format!(
            "ends at byte {end}, but the file has {file_len} bytes"
        ));
    }
    let sides = match original {
        Some(sides) if product(sides) == Some(count) => sides,
        Some(_) => return Err("its original shape holds another number of values".to_owned()),
        None => &described.sides,
    };
    let shape = sides.iter().map(|&side| usize::try_from(side).ok());
    Ok(Entry {
        element,
        shape: shape
            .collect::<Option<_>>()
            .ok_or("its shape is too large for this machine")?,
        offset,
        len,
        strides: None,
    })
}
