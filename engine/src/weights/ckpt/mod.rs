//! Bounded reader of PyTorch checkpoints (`.ckpt`, `.pt`, `.pth`, `.bin`). A checkpoint is a Python
//! pickle, a program that builds objects; ours builds nothing but lists, dictionaries and
//! descriptions of tensors, and runs nothing.
//!
//! - `machine`: the stack machine, without recursion, with a budget, over an arena of `values`;
//! - `literals`: its numbers and texts; `objects`: what calls mean to it; `globals`: which of Python's
//!   names it knows;
//! - `tensors`: the tensors in what it built, checked against the storages;
//! - `zip`, `legacy`: where pickle and storages lie, in the two layouts `torch.save` has had.

mod globals;
mod legacy;
mod literals;
mod machine;
mod objects;
mod tensors;
mod values;
mod zip;

use std::collections::BTreeMap;

use super::files::ByteSource;
use super::format::Header;
use crate::error::{EngineError, Result};
use values::Fault;

/// Largest pickle read; real ones have at most a few megabytes.
const PICKLE_LIMIT_BYTES: u64 = 32 << 20;
const REMEDY: &str = "the file is damaged or made to harm: get the .safetensors form of the model";

/// Where a storage's bytes lie, by its key.
type Places = BTreeMap<String, (u64, u64)>;

/// Whether a file begins as a zip archive or as a pickle of protocol 2 or later.
pub(super) fn sniff(start: &[u8], _len: u64) -> bool {
    start.starts_with(zip::LOCAL) || matches!(start, [0x80, 2..=5, ..])
}

/// Reads and checks a checkpoint's header.
///
/// # Errors
/// `BadFile` that names the file, the place and what does not fit; `Io` when reading fails.
pub fn read_header(source: &ByteSource) -> Result<Header> {
    let mut start = [0; 4];
    source.read_at(0, &mut start)?;
    if start == *zip::LOCAL {
        zip::read_header(source)
    } else {
        legacy::read_header(source)
    }
}

fn bad(source: &ByteSource, problem: impl Into<String>) -> EngineError {
    EngineError::bad_file(source.label(), problem, REMEDY)
}

/// A fault in the pickle that begins at byte `start` of the file.
fn at_fault(source: &ByteSource, start: u64, fault: &Fault) -> EngineError {
    let place = start.saturating_add(fault.at as u64);
    bad(source, format!("byte {place} (pickle): {}", fault.what))
}
