//! The layout of `torch.save` before 1.6: four pickles (a magic number, a version, the machine it was
//! written on, the objects), a pickled list of storage keys, then each storage: its length in elements
//! and its bytes.

use super::values::{Built, Value};
use super::{PICKLE_LIMIT_BYTES, Places, at_fault, bad, machine, tensors};
use crate::error::Result;
use crate::weights::files::ByteSource;
use crate::weights::format::Header;

/// The magic number 0x1950a86a20f9469cfc6c as `torch.save` pickles it.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
const VERSION: i64 = 1001;

pub(super) fn read_header(source: &ByteSource) -> Result<Header> {
    // The pickles' length is told nowhere; the data follows them.
    let len = source.len().min(PICKLE_LIMIT_BYTES);
    let mut bytes = vec![0; len as usize];
    source.read_at(0, &mut bytes)?;
    if !bytes.starts_with(MAGIC) {
        // A pickle all the same: what it asks for is worth more than that it is no checkpoint.
        machine::run(&bytes).map_err(|fault| at_fault(source, 0, &fault))?;
        return Err(bad(source, "a Python pickle, but no PyTorch checkpoint"));
    }
    let mut at = MAGIC.len();
    let mut next = || -> Result<Built<'_>> {
        let start = at;
        let built = machine::run(&bytes[start..]);
        let built = built.map_err(|fault| at_fault(source, start as u64, &fault))?;
        at = start + built.end;
        Ok(built)
    };
    let version = next()?;
    if !matches!(version.get(version.root), Value::Int(VERSION)) {
        return Err(bad(
            source,
            format!(
                "byte {}: the format's version is not {VERSION}",
                MAGIC.len()
            ),
        ));
    }
    let machine = next()?;
    if is_big_endian(&machine) {
        return Err(bad(
            source,
            "its numbers are stored in the other byte order",
        ));
    }
    let objects = next()?;
    let keys = next()?;
    let Value::List(order) = keys.get(keys.root) else {
        return Err(bad(
            source,
            format!("byte {at}: the list of storages is missing"),
        ));
    };
    let sizes = tensors::storages(&objects);
    let mut place = at as u64;
    let mut places = Places::new();
    for key in order {
        let Some((key, len)) = keys
            .text(*key)
            .and_then(|key| Some((key, *sizes.get(key)?)))
        else {
            return Err(bad(
                source,
                format!("byte {place}: a storage that no tensor uses"),
            ));
        };
        let end = place.checked_add(8).and_then(|data| data.checked_add(len));
        let Some(end) = end.filter(|end| *end <= source.len()) else {
            let problem = format!(
                "storage “{key}” has {len} bytes from byte {place}, but the file has {}",
                source.len()
            );
            return Err(bad(source, problem));
        };
        places.insert(key.to_owned(), (place + 8, len));
        place = end;
    }
    tensors::header(source, &objects, &places)
}

fn is_big_endian(machine: &Built<'_>) -> bool {
    let Value::Dict(pairs) = machine.get(machine.root) else {
        return false;
    };
    pairs.chunks_exact(2).any(|pair| {
        machine.text(pair[0]) == Some("little_endian")
            && matches!(machine.get(pair[1]), Value::Flag(false))
    })
}
