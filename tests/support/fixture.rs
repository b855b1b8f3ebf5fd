//! Recorded tensors, read with the safetensors crate (the engine has a reader of its own).

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// Tensors of a `.safetensors` fixture.
pub struct Fixture {
    bytes: Vec<u8>,
    label: String,
}

/// A tensor of numbers, row-major.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

impl Fixture {
    /// Reads a fixture by its path below `tests/fixtures/`.
    pub fn open(relative: &str) -> Self {
        Self::read(&crate::places::fixture(relative))
    }

    /// Reads any safetensors file.
    pub fn read(path: &Path) -> Self {
        let label = path.display().to_string();
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{label}: {error}"));
        Self { bytes, label }
    }

    fn parsed(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", self.label))
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let parsed = self.parsed();
        let mut names: Vec<String> = parsed.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Whether a tensor of that name was recorded.
    pub fn has(&self, name: &str) -> bool {
        self.parsed().tensor(name).is_ok()
    }

    /// A tensor of 32-bit floats.
    pub fn f32(&self, name: &str) -> Recorded {
        let parsed = self.parsed();
        let view = parsed
            .tensor(name)
            .unwrap_or_else(|error| panic!("{}: {name}: {error}", self.label));
        assert_eq!(view.dtype(), Dtype::F32, "{}: {name}", self.label);
        Recorded {
            shape: view.shape().to_vec(),
            values: view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
        }
    }

    /// A tensor of 64-bit integers.
    pub fn i64(&self, name: &str) -> Vec<i64> {
        let parsed = self.parsed();
        let view = parsed
            .tensor(name)
            .unwrap_or_else(|error| panic!("{}: {name}: {error}", self.label));
        assert_eq!(view.dtype(), Dtype::I64, "{}: {name}", self.label);
        let chunks = view.data().as_chunks::<8>().0;
        chunks
            .iter()
            .map(|bytes| i64::from_le_bytes(*bytes))
            .collect()
    }
}
