//! What a pickle may build: values in an arena that name each other by index.

use super::globals::Global;
use crate::weights::element::ElementType;

/// Index of a value in the arena.
pub(super) type Ref = u32;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nothing,
    Flag(bool),
    Int(i64),
    /// A piece of the pickle, from byte, of length.
    Text(u32, u32),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    /// Key and value in turn.
    Dict(Vec<Ref>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// Something that nothing is read from.
    Opaque,
}

/// What a tensor's numbers lie in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    /// `None`: bytes, whose meaning the tensor gives.
    pub(super) element: Option<ElementType>,
    pub(super) key: Ref,
    pub(super) count: u64,
}

/// A tensor as the pickle describes it; nothing of it is checked yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) element: Option<ElementType>,
    pub(super) offset: i64,
    pub(super) shape: Ref,
    pub(super) strides: Ref,
}

/// Why a pickle was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Byte of the pickle.
    pub(super) at: usize,
    pub(super) what: String,
}

/// What a pickle built.
pub(super) struct Built<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) values: Vec<Value>,
    /// The last value.
    pub(super) root: Ref,
    /// First byte after the pickle.
    pub(super) end: usize,
    /// Python names that were left alone, each once.
    pub(super) inert: Vec<String>,
}

impl Built<'_> {
    pub(super) fn get(&self, at: Ref) -> &Value {
        &self.values[at as usize]
    }

    /// A short text; `None` when the value is another one, longer or no UTF-8.
    pub(super) fn text(&self, at: Ref) -> Option<&str> {
        text_of(self.bytes, self.get(at))
    }
}

/// Longest text that is looked at: names and keys are short.
const TEXT_LIMIT_BYTES: u32 = 512;

/// A text value's text, unless it is too long for a name.
pub(super) fn text_of<'a>(bytes: &'a [u8], value: &Value) -> Option<&'a str> {
    match value {
        Value::Text(from, len) if *len <= TEXT_LIMIT_BYTES => {
            std::str::from_utf8(bytes.get(*from as usize..*from as usize + *len as usize)?).ok()
        }
        _ => None,
    }
}
