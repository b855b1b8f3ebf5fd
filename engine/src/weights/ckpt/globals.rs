//! Python's names that a checkpoint may use. An allow-list: what is not here is refused by name.

use crate::weights::element::ElementType;

/// What a name stands for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict` and kin: called, it is a dictionary.
    Dictionary,
    /// `torch._utils._rebuild_tensor` and `_v2`: storage, offset, shape, strides…
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: as above, with an element type after the hooks.
    RebuildTyped,
    /// `torch._utils._rebuild_parameter`: its first argument.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: function, type, arguments, state.
    RebuildFromType,
    /// A class of storages, or an element type.
    Element(ElementType),
    /// `torch.storage.UntypedStorage`: bytes.
    Bytes,
    /// Harmless and of no use: an object that nothing is read from.
    Inert,
}

/// Modules whose objects are left alone: what training programs leave in checkpoints. None of their
/// code is here to run.
const INERT: &[&str] = &[
    "_codecs",
    "argparse",
    "builtins",
    "__builtin__",
    "lightning",
    "lightning_fabric",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
    "typing",
];

/// Of Python's own functions, the types of plain values.
const PLAIN: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "set",
    "slice",
    "str",
    "tuple",
];

/// Looks a name up; `None` when it is not allowed.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    use ElementType as E;
    let bits = |bits| Global::Element(E::Other { bits });
    Some(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict") => Global::Dictionary,
        ("collections", "Counter" | "deque") => Global::Inert,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTyped,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage" | "ByteStorage") => {
            Global::Bytes
        }
        ("torch", "DoubleStorage" | "float64") => Global::Element(E::F64),
        ("torch", "FloatStorage" | "float32") => Global::Element(E::F32),
        ("torch", "HalfStorage" | "float16") => Global::Element(E::F16),
        ("torch", "BFloat16Storage" | "bfloat16") => Global::Element(E::Bf16),
        ("torch", "float8_e4m3fn") => Global::Element(E::F8E4M3),
        ("torch", "float8_e5m2") => Global::Element(E::F8E5M2),
        ("torch", "LongStorage" | "int64" | "uint64") => bits(64),
        ("torch", "IntStorage" | "int32" | "uint32") => bits(32),
        ("torch", "ShortStorage" | "int16" | "uint16") => bits(16),
        ("torch", "CharStorage" | "BoolStorage" | "int8" | "uint8" | "bool") => bits(8),
        ("torch", "Size" | "device" | "Tensor") | ("torch.nn.parameter", "Parameter") => {
            Global::Inert
        }
        ("builtins" | "__builtin__", name) if !PLAIN.contains(&name) => return None,
        (module, _) => {
            let top = module.split('.').next().unwrap_or(module);
            return INERT.contains(&top).then_some(Global::Inert);
        }
    })
}
