//! The layout of `torch.save` since 1.6: a zip archive of stored entries, `NAME/data.pkl` and one
//! `NAME/data/KEY` a storage. A reader of our own, since so little of zip is needed and all of it must
//! be bounded (PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16).

use super::values::Built;
use super::{PICKLE_LIMIT_BYTES, Places, at_fault, bad, machine, tensors};
use crate::error::Result;
use crate::weights::files::ByteSource;
use crate::weights::format::Header;

/// Begins an entry.
pub(super) const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const END_64_PLACE: &[u8; 4] = b"PK\x06\x07";

/// Bytes of the end record without its comment, and of the longest comment.
const END_BYTES: u64 = 22;
const COMMENT_LIMIT_BYTES: u64 = 65_535;
/// The directory of the largest published checkpoints has a few hundred kilobytes.
const DIRECTORY_LIMIT_BYTES: u64 = 16 << 20;
/// Longest name of an entry.
const NAME_LIMIT_BYTES: usize = 512;

pub(super) fn read_header(source: &ByteSource) -> Result<Header> {
    let stored = read_directory(source)?;
    let find = |end: &str| stored.iter().find(|entry| entry.name.ends_with(end));
    let Some(pickle) = find("/data.pkl") else {
        return Err(bad(
            source,
            "a zip archive without a “data.pkl”: no PyTorch checkpoint",
        ));
    };
    let folder = pickle.name.trim_end_matches("data.pkl");
    let order = stored
        .iter()
        .find(|entry| entry.name == format!("{folder}byteorder"));
    if let Some(order) = order {
        let mut word = vec![0; order.len.min(16) as usize];
        source.read_at(order.data(source)?, &mut word)?;
        if word != b"little" {
            return Err(bad(
                source,
                "its numbers are stored in the other byte order",
            ));
        }
    }
    if pickle.len > PICKLE_LIMIT_BYTES {
        let problem = format!(
            "“data.pkl” has {} bytes (at most {PICKLE_LIMIT_BYTES})",
            pickle.len
        );
        return Err(bad(source, problem));
    }
    let start = pickle.data(source)?;
    let mut bytes = vec![0; pickle.len as usize];
    source.read_at(start, &mut bytes)?;
    let built: Built<'_> = machine::run(&bytes).map_err(|fault| at_fault(source, start, &fault))?;

    let used = tensors::storages(&built);
    let inside = format!("{folder}data/");
    let mut places = Places::new();
    for entry in &stored {
        if let Some(key) = entry
            .name
            .strip_prefix(&inside)
            .filter(|key| used.contains_key(*key))
        {
            places.insert(key.to_owned(), (entry.data(source)?, entry.len));
        }
    }
    tensors::header(source, &built, &places)
}

/// An entry of the directory.
struct Stored {
    name: String,
    /// Where its local header begins.
    local: u64,
    len: u64,
    /// Where the directory begins: data must end before.
    limit: u64,
}

impl Stored {
    /// First byte of its data, which was checked to lie in the file.
    fn data(&self, source: &ByteSource) -> Result<u64> {
        let mut header = [0; 30];
        source.read_at(self.local, &mut header)?;
        let wrong = |what: &str| {
            bad(
                source,
                format!("byte {}: “{}” {what}", self.local, self.name),
            )
        };
        if !header.starts_with(LOCAL) {
            return Err(wrong("has no header where the directory says"));
        }
        if u16_at(&header, 8) != 0 {
            return Err(wrong("is compressed, as PyTorch stores nothing"));
        }
        let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let data = self.local + 30 + names;
        match data.checked_add(self.len) {
            Some(end) if end <= self.limit => Ok(data),
            _ => Err(wrong("reaches beyond the data")),
        }
    }
}

fn read_directory(source: &ByteSource) -> Result<Vec<Stored>> {
    let (count, len, start) = find_directory(source)?;
    let end = start.checked_add(len).filter(|end| *end <= source.len());
    if end.is_none() {
        return Err(bad(
            source,
            "the zip directory lies outside the file: it was cut off",
        ));
    }
    if len > DIRECTORY_LIMIT_BYTES || count > len / 46 {
        let problem = format!("a zip directory of {len} bytes for {count} entries");
        return Err(bad(source, problem));
    }
    let mut bytes = vec![0; len as usize];
    source.read_at(start, &mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut stored = Vec::new();
    for index in 0..count {
        let wrong = |what: &str| bad(source, format!("zip entry {index}: {what}"));
        let Some((head, tail)) = rest
            .split_first_chunk::<46>()
            .filter(|(head, _)| head.starts_with(CENTRAL))
        else {
            return Err(wrong("the directory is cut short"));
        };
        let lens = [28, 30, 32].map(|at| usize::from(u16_at(head, at)));
        let Some((names, next)) = tail.split_at_checked(lens.iter().sum()) else {
            return Err(wrong("the directory is cut short"));
        };
        rest = next;
        let (name, extra) = (&names[..lens[0]], &names[lens[0]..lens[0] + lens[1]]);
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| name.len() <= NAME_LIMIT_BYTES);
        let name = name.ok_or_else(|| wrong("its name is no text or too long"))?;
        // Bit 0: encrypted. The method must be “stored”, so that both sizes are one.
        let (flags, method) = (u16_at(head, 8), u16_at(head, 10));
        if flags & 1 != 0 || method != 0 {
            return Err(wrong(
                "it is compressed or encrypted, as PyTorch stores nothing",
            ));
        }
        let wide = Wide::read(head, extra).ok_or_else(|| wrong("a size is missing"))?;
        if wide.packed != wide.len {
            return Err(wrong("its two sizes differ"));
        }
        stored.push(Stored {
            name: name.to_owned(),
            local: wide.local,
            len: wide.len,
            limit: start,
        });
    }
    check_overlaps(source, &stored)?;
    Ok(stored)
}

/// Entries that share bytes are how small archives claim to be large.
fn check_overlaps(source: &ByteSource, stored: &[Stored]) -> Result<()> {
    let mut places: Vec<&Stored> = stored.iter().collect();
    places.sort_unstable_by_key(|entry| entry.local);
    for pair in places.windows(2) {
        let end = pair[0].local.saturating_add(30).saturating_add(pair[0].len);
        if end > pair[1].local {
            let problem = format!(
                "zip entries “{}” and “{}” overlap",
                pair[0].name, pair[1].name
            );
            return Err(bad(source, problem));
        }
    }
    Ok(())
}

/// Sizes and place of an entry, from the directory or, where they need 64 bits, its extra field.
struct Wide {
    packed: u64,
    len: u64,
    local: u64,
}

impl Wide {
    fn read(head: &[u8], extra: &[u8]) -> Option<Self> {
        let mut wide = zip64_field(extra);
        let mut widen = |narrow: u32| -> Option<u64> {
            if narrow != u32::MAX {
                return Some(narrow.into());
            }
            let (first, rest) = wide?.split_first_chunk::<8>()?;
            wide = Some(rest);
            Some(u64::from_le_bytes(*first))
        };
        // The extra field holds what is missing in this order.
        let len = widen(u32_at(head, 24))?;
        let packed = widen(u32_at(head, 20))?;
        let local = widen(u32_at(head, 42))?;
        Some(Self { packed, len, local })
    }
}

fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let (field, next) = rest.split_at_checked(u16_at(head, 2).into())?;
        if u16_at(head, 0) == 1 {
            return Some(field);
        }
        extra = next;
    }
    None
}

/// Entries, bytes and place of the directory, from the records at the end.
fn find_directory(source: &ByteSource) -> Result<(u64, u64, u64)> {
    let window = source.len().min(END_BYTES + COMMENT_LIMIT_BYTES + 20);
    let window_start = source.len() - window;
    let mut bytes = vec![0; window as usize];
    source.read_at(window_start, &mut bytes)?;
    let cut = || bad(source, "a zip archive without its end: it was cut off");
    let last = bytes
        .len()
        .checked_sub(END_BYTES as usize)
        .ok_or_else(cut)?;
    let fits = |at: &usize| {
        let comment = usize::from(u16_at(&bytes, at + 20));
        bytes[*at..].starts_with(END) && at + END_BYTES as usize + comment == bytes.len()
    };
    let at = (0..=last).rev().find(fits).ok_or_else(cut)?;
    let (count, len, start) = (
        u16_at(&bytes, at + 10),
        u32_at(&bytes, at + 12),
        u32_at(&bytes, at + 16),
    );
    let narrow = count != u16::MAX && len != u32::MAX && start != u32::MAX;
    let place = at
        .checked_sub(20)
        .filter(|at| bytes[*at..].starts_with(END_64_PLACE));
    let Some(place) = place.filter(|_| !narrow) else {
        return Ok((count.into(), len.into(), start.into()));
    };
    let mut record = [0; 56];
    source.read_at(u64_at(&bytes, place + 8), &mut record)?;
    if !record.starts_with(END_64) {
        return Err(bad(
            source,
            "the zip archive's 64-bit end is not where it says",
        ));
    }
    Ok((
        u64_at(&record, 32),
        u64_at(&record, 40),
        u64_at(&record, 48),
    ))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
