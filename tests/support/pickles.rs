//! PyTorch checkpoints without Python: pickles by the opcode, zip archives, both layouts of `torch.save`.

use crate::layouts::{Stored, Written};

/// A pickle being written, protocol 2.
#[derive(Clone)]
pub struct Pickle(pub Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        Self(vec![0x80, 2])
    }
}

impl Pickle {
    /// Raw opcodes.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// A text.
    pub fn text(self, text: &str) -> Self {
        self.raw(b"X")
            .raw((text.len() as u32).to_le_bytes())
            .raw(text)
    }

    /// A Python name.
    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n"))
    }

    /// A whole number.
    pub fn int(self, number: i64) -> Self {
        self.raw([0x8a, 8]).raw(number.to_le_bytes())
    }

    /// A tuple of whole numbers.
    pub fn ints(self, numbers: &[i64]) -> Self {
        numbers
            .iter()
            .fold(self.raw(b"("), |pickle, number| pickle.int(*number))
            .raw(b"t")
    }

    /// A tensor in a storage of its own.
    pub fn tensor(self, class: &str, key: &str, count: i64, shape: &[i64]) -> Self {
        let mut strides = vec![1; shape.len()];
        for at in (1..shape.len()).rev() {
            strides[at - 1] = strides[at] * shape[at].max(1);
        }
        self.tensor_at(class, key, count, 0, shape, &strides)
    }

    /// A tensor anywhere in a storage.
    pub fn tensor_at(
        self,
        class: &str,
        key: &str,
        count: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", class)
            .text(key)
            .text("cpu")
            .int(count)
            .raw(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw([0x89])
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// Ends it.
    pub fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A zip archive with stored entries.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in entries {
        let local = file.len() as u32;
        let sizes = [(data.len() as u32).to_le_bytes(); 2].concat();
        let names = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        file.extend(b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        file.extend([&sizes[..], &names, name.as_bytes(), data].concat());
        directory.extend(b"PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        directory.extend(
            [
                &sizes[..],
                &names,
                &[0; 10],
                &local.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let start = file.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(
        [
            &count[..],
            &count,
            &(directory.len() as u32).to_le_bytes(),
            &start.to_le_bytes(),
            &[0, 0],
        ]
        .concat(),
    );
    file
}

/// As [`zip`], with every size and place in 64 bits, as archives beyond 4 GiB have them: the narrow
/// fields are full, extra fields and a second end record say what is meant.
pub fn zip64(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let wide = |number: usize| (number as u64).to_le_bytes();
    let (full, field) = ([0xff_u8; 8], 24_u16.to_le_bytes());
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let local = file.len();
        let names = (name.len() as u16).to_le_bytes();
        let sizes = [wide(data.len()), wide(data.len())].concat();
        // Signature, version, flags, method, time, check sum.
        file.extend(b"PK\x03\x04\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0");
        file.extend([&full[..], &names, &20_u16.to_le_bytes(), name.as_bytes()].concat());
        file.extend([&[1, 0, 16, 0], &sizes[..], data].concat());
        directory.extend(b"PK\x01\x02\x2d\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0");
        directory.extend([&full[..], &names, &28_u16.to_le_bytes(), &[0; 10]].concat());
        directory.extend([&full[..4], name.as_bytes(), &[1, 0], &field].concat());
        directory.extend([&sizes[..], &wide(local)].concat());
    }
    let start = file.len();
    file.extend(&directory);
    let (end, count) = (file.len(), wide(entries.len()));
    file.extend([&b"PK\x06\x06"[..], &wide(44), &[0x2d, 0, 0x2d, 0], &[0; 8]].concat());
    file.extend([count, count, wide(directory.len()), wide(start)].concat());
    file.extend([&b"PK\x06\x07\0\0\0\0"[..], &wide(end), &[1, 0, 0, 0]].concat());
    file.extend([&b"PK\x05\x06\0\0\0\0"[..], &full[..4], &full, &[0, 0]].concat());
    file
}

/// The dictionary of these tensors, their storages called 0, 1, 2…
fn state(pickle: Pickle, tensors: &[Written], class: &str) -> Pickle {
    let dict = pickle.raw(b"}(");
    let all = tensors
        .iter()
        .enumerate()
        .fold(dict, |pickle, (index, tensor)| {
            let shape: Vec<i64> = tensor.shape.iter().map(|side| *side as i64).collect();
            let count = tensor.values.len() as i64;
            pickle
                .text(&tensor.name)
                .tensor(class, &index.to_string(), count, &shape)
        });
    all.raw(b"u")
}

fn class(stored: Stored) -> &'static str {
    match stored {
        Stored::F16 => "HalfStorage",
        Stored::Bf16 => "BFloat16Storage",
        Stored::F32 | Stored::F8E4M3 | Stored::F8E5M2 => "FloatStorage",
    }
}

/// A checkpoint as training programs write it: weights under `state_dict`, numbers beside them.
pub fn checkpoint(tensors: &[Written], stored: Stored) -> Vec<u8> {
    archive(tensors, stored, zip)
}

/// As [`checkpoint`], in an archive of [`zip64`].
pub fn large_checkpoint(tensors: &[Written], stored: Stored) -> Vec<u8> {
    archive(tensors, stored, zip64)
}

fn archive(
    tensors: &[Written],
    stored: Stored,
    zip: impl Fn(&[(&str, &[u8])]) -> Vec<u8>,
) -> Vec<u8> {
    let pickle = Pickle::default()
        .raw(b"}(")
        .text("epoch")
        .int(3)
        .text("global_step")
        .int(470_000);
    let pickle = state(pickle.text("state_dict"), tensors, class(stored))
        .raw(b"u")
        .end();
    let storages: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            (
                format!("archive/data/{index}"),
                stored.encode(&tensor.values),
            )
        })
        .collect();
    let mut entries: Vec<(&str, &[u8])> = vec![
        ("archive/data.pkl", &pickle),
        ("archive/byteorder", b"little"),
    ];
    entries.extend(
        storages
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    entries.push(("archive/version", b"3\n"));
    zip(&entries)
}

/// The layout before 1.6.
pub fn legacy(tensors: &[Written], stored: Stored) -> Vec<u8> {
    let mut file = legacy_head();
    file.extend(state(Pickle::default(), tensors, class(stored)).end());
    let keys = (0..tensors.len()).fold(Pickle::default().raw(b"]("), |keys, key| {
        keys.text(&key.to_string())
    });
    file.extend(keys.raw(b"e").end());
    for tensor in tensors {
        file.extend((tensor.values.len() as u64).to_le_bytes());
        file.extend(stored.encode(&tensor.values));
    }
    file
}

/// Magic number, version and machine of the layout before 1.6.
pub fn legacy_head() -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    file.extend(Pickle::default().raw(b"M\xe9\x03").end());
    file.extend(
        Pickle::default()
            .raw(b"}")
            .text("little_endian")
            .raw([0x88])
            .raw(b"s")
            .end(),
    );
    file
}
