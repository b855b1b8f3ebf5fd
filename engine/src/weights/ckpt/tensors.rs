//! The tensors in what a pickle built: each is checked against its storage, and that against the
//! bytes the file has for it.

use std::collections::{BTreeMap, BTreeSet};

use super::values::{Built, Ref, Tensor, Value};
use super::{Places, bad};
use crate::error::Result;
use crate::weights::element::{ElementType, Entry};
use crate::weights::files::ByteSource;
use crate::weights::format::Header;

/// Dictionaries in dictionaries that are looked into.
const DEPTH_LIMIT: usize = 4;
/// Bytes of all names together.
const NAMES_LIMIT_BYTES: usize = 16 << 20;
/// Where training programs put the weights.
const STATE: &str = "state_dict";

/// The header of a checkpoint: `root` is the weights, or holds them under `state_dict`.
///
/// # Errors
/// `BadFile` that names the tensor and what does not fit.
pub(super) fn header(source: &ByteSource, built: &Built<'_>, places: &Places) -> Result<Header> {
    let mut header = Header::default();
    let Value::Dict(root) = built.get(built.root) else {
        return Err(bad(source, "the pickle holds no dictionary of tensors"));
    };
    let mut state = built.root;
    for pair in root.chunks_exact(2) {
        let Some(name) = built.text(pair[0]) else {
            continue;
        };
        match built.get(pair[1]) {
            Value::Int(number) => {
                header.metadata.insert(name.to_owned(), number.to_string());
            }
            Value::Dict(_) if name == STATE => state = pair[1],
            _ => {}
        }
    }
    let mut names = 0;
    // A dictionary that is in itself or in several others is looked into once.
    let mut seen = BTreeSet::from([state]);
    let mut open: Vec<(String, Ref, usize)> = vec![(String::new(), state, 0)];
    while let Some((prefix, dict, depth)) = open.pop() {
        let Value::Dict(pairs) = built.get(dict) else {
            continue;
        };
        for pair in pairs.chunks_exact(2) {
            let Some(name) = built.text(pair[0]) else {
                continue;
            };
            match built.get(pair[1]) {
                Value::Tensor(tensor) => {
                    let name = format!("{prefix}{name}");
                    names += name.len();
                    if names > NAMES_LIMIT_BYTES {
                        return Err(bad(source, "its names are longer than any model's"));
                    }
                    let entry = check(built, tensor, places)
                        .map_err(|problem| bad(source, format!("tensor “{name}”: {problem}")))?;
                    header.entries.insert(name, entry);
                }
                Value::Dict(_) if depth < DEPTH_LIMIT && seen.insert(pair[1]) => {
                    open.push((format!("{prefix}{name}."), pair[1], depth + 1));
                }
                _ => {}
            }
        }
    }
    if header.entries.is_empty() {
        return Err(bad(source, "the pickle holds no tensors"));
    }
    if !built.inert.is_empty() {
        header.notes.push(format!(
            "Python objects were left alone, nothing of them ran: {}",
            built.inert.join(", ")
        ));
    }
    Ok(header)
}

/// Elements and bytes of every storage that tensors use, by key.
pub(super) fn storages(built: &Built<'_>) -> BTreeMap<String, u64> {
    let mut bytes = BTreeMap::new();
    for value in &built.values {
        if let Value::Storage(storage) = value
            && let Some(key) = built.text(storage.key)
        {
            let size = storage
                .element
                .unwrap_or(ElementType::Other { bits: 8 })
                .block()
                .1;
            bytes.insert(key.to_owned(), storage.count.saturating_mul(size));
        }
    }
    bytes
}

fn check(built: &Built<'_>, tensor: &Tensor, places: &Places) -> Result<Entry, String> {
    let storage = tensor.storage;
    let key = built.text(storage.key).ok_or("its storage has no key")?;
    let element = tensor
        .element
        .or(storage.element)
        .unwrap_or(ElementType::Other { bits: 8 });
    let (_, size) = element.block();
    let stored_size = storage.element.map_or(1, |element| element.block().1);
    let stored = storage
        .count
        .checked_mul(stored_size)
        .ok_or("its storage overflows")?;
    let &(place, len) = places
        .get(key)
        .ok_or_else(|| format!("its storage “{key}” is not in the file"))?;
    if len < stored {
        return Err(format!(
            "its storage “{key}” should have {stored} bytes, but the file has {len}"
        ));
    }
    let shape = sides(built, tensor.shape)?;
    let strides = sides(built, tensor.strides)?;
    if shape.len() != strides.len() || shape.len() > 8 {
        return Err(format!(
            "{} sides and {} strides",
            shape.len(),
            strides.len()
        ));
    }
    let offset =
        u64::try_from(tensor.offset).map_err(|_negative| "it begins before its storage")?;
    let overflow = || "its shape overflows".to_owned();
    let mut count: u64 = 1;
    let mut span: u64 = 1;
    let mut row_by_row = true;
    for (&side, &stride) in shape.iter().zip(&strides).rev() {
        row_by_row &= side <= 1 || stride == count;
        if let Some(last) = side.checked_sub(1) {
            let reach = last.checked_mul(stride).ok_or_else(overflow)?;
            span = span.checked_add(reach).ok_or_else(overflow)?;
        }
        count = count.checked_mul(side).ok_or_else(overflow)?;
    }
    if count == 0 {
        span = 0;
    }
    let begin = offset.checked_mul(size).ok_or_else(overflow)?;
    let bytes = span.checked_mul(size).ok_or_else(overflow)?;
    let end = begin.checked_add(bytes).ok_or_else(overflow)?;
    if end > stored {
        return Err(format!(
            "it ends at byte {end} of its storage, which has {stored}"
        ));
    }
    if count > span {
        return Err("it repeats its numbers, as no weight does".to_owned());
    }
    let fit = |sides: &[u64]| -> Result<Vec<usize>, String> {
        let fit = sides.iter().map(|&side| usize::try_from(side).ok());
        fit.collect::<Option<_>>().ok_or_else(overflow)
    };
    Ok(Entry {
        element,
        shape: fit(&shape)?,
        offset: place + begin,
        len: bytes,
        strides: if row_by_row {
            None
        } else {
            Some(fit(&strides)?)
        },
    })
}

fn sides(built: &Built<'_>, at: Ref) -> Result<Vec<u64>, String> {
    let Value::Tuple(items) = built.get(at) else {
        return Err("its shape is no list".to_owned());
    };
    if items.len() > 8 {
        return Err(format!("{} dimensions (at most 8)", items.len()));
    }
    let side = |item: &Ref| match built.get(*item) {
        Value::Int(side) => u64::try_from(*side).ok(),
        _ => None,
    };
    let sides: Option<Vec<u64>> = items.iter().map(side).collect();
    sides.ok_or_else(|| "its shape holds what is no length".to_owned())
}
