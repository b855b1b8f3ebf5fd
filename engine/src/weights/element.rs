//! What a stored tensor's bytes mean: element types of all formats, and where in a file they lie.

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};

use super::files::ByteSource;
use crate::error::{EngineError, Result};

/// Element types that published diffusion models use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ElementType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
    /// 8-bit float, 4 bits of exponent, 3 of mantissa, no infinity (Micikevicius et al. 2022).
    F8E4M3,
    /// 8-bit float, 5 bits of exponent, 2 of mantissa: the upper half of an IEEE half.
    F8E5M2,
    /// Blocks of small integers with common scales.
    Blocks(Blocks),
    /// Anything else (integers of index buffers): listed, never loaded as a weight.
    Other {
        /// Bits of one element.
        bits: u32,
    },
}

/// Block formats of GGML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocks {
    /// 4 bits and a scale for 32 numbers.
    Q4_0,
    /// 4 bits, a scale and an offset for 32.
    Q4_1,
    /// 5 bits and a scale for 32.
    Q5_0,
    /// 5 bits, a scale and an offset for 32.
    Q5_1,
    /// 8 bits and a scale for 32.
    Q8_0,
    /// About 2.6 bits, 256 numbers a block.
    Q2K,
    /// About 3.4 bits, 256 numbers a block.
    Q3K,
    /// About 4.5 bits, 256 numbers a block.
    Q4K,
    /// About 5.5 bits, 256 numbers a block.
    Q5K,
    /// About 6.6 bits, 256 numbers a block.
    Q6K,
}

impl Blocks {
    fn ggml(self) -> GgmlDType {
        match self {
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q5_0 => GgmlDType::Q5_0,
            Self::Q5_1 => GgmlDType::Q5_1,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q2K => GgmlDType::Q2K,
            Self::Q3K => GgmlDType::Q3K,
            Self::Q4K => GgmlDType::Q4K,
            Self::Q5K => GgmlDType::Q5K,
            Self::Q6K => GgmlDType::Q6K,
        }
    }

    const fn id(self) -> &'static str {
        match self {
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q2K => "q2_k",
            Self::Q3K => "q3_k",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
        }
    }
}

impl ElementType {
    /// Name for people and catalogues: `f16`, `f8_e4m3`, `q4_k`; `integer` for what is no weight.
    pub const fn id(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8E4M3 => "f8_e4m3",
            Self::F8E5M2 => "f8_e5m2",
            Self::Blocks(blocks) => blocks.id(),
            Self::Other { .. } => "integer",
        }
    }

    /// Elements and bytes of the smallest piece that can be read alone.
    pub fn block(self) -> (u64, u64) {
        match self {
            Self::F64 => (1, 8),
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::F8E4M3 | Self::F8E5M2 => (1, 1),
            Self::Blocks(blocks) => {
                let kind = blocks.ggml();
                (kind.block_size() as u64, kind.type_size() as u64)
            }
            Self::Other { bits } => (1, u64::from(bits / 8)),
        }
    }

    /// Bytes of `count` elements; `None` when that overflows or leaves a part of a block.
    pub fn bytes(self, count: u64) -> Option<u64> {
        let (elements, bytes) = self.block();
        count
            .is_multiple_of(elements)
            .then(|| (count / elements).checked_mul(bytes))?
    }

    /// Whether it holds numbers that weights are made of.
    pub const fn is_weight(self) -> bool {
        !matches!(self, Self::Other { .. })
    }
}

/// Numbers of `bytes` as f32, row by row; `None` for types that hold no weights.
pub fn to_f32(bytes: &[u8], element: ElementType) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let chunks = bytes.as_chunks::<N>().0;
        chunks.iter().map(|chunk| read(*chunk)).collect()
    }
    Some(match element {
        ElementType::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        ElementType::F32 => each(bytes, f32::from_le_bytes),
        ElementType::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        ElementType::Bf16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        ElementType::F8E4M3 => {
            let table = F8_E4M3.map(f32::from_bits);
            each(bytes, |[byte]| table[usize::from(byte)])
        }
        ElementType::F8E5M2 => each(bytes, |[byte]| f16::from_le_bytes([0, byte]).to_f32()),
        ElementType::Blocks(blocks) => from_blocks(bytes, blocks)?,
        ElementType::Other { .. } => return None,
    })
}

/// One tensor's blocks to numbers; only this tensor is ever held unpacked.
fn from_blocks(bytes: &[u8], blocks: Blocks) -> Option<Vec<f32>> {
    let kind = blocks.ggml();
    if !bytes.len().is_multiple_of(kind.type_size()) {
        return None;
    }
    let count = bytes.len() / kind.type_size() * kind.block_size();
    let unpack = || -> candle_core::Result<Vec<f32>> {
        let stored = QStorage::from_data(bytes.into(), &Device::Cpu, kind)?;
        let tensor: Tensor = QTensor::new(stored, count)?.dequantize(&Device::Cpu)?;
        tensor.to_vec1()
    };
    unpack().ok()
}

/// Bits of the f32 that each e4m3 byte stands for: sign, exponent biased by 7, mantissa; all ones
/// below the sign is no number.
const F8_E4M3: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (sign, exponent, mantissa) = (byte as u32 >> 7, byte as u32 >> 3 & 15, byte as u32 & 7);
        let magnitude = if exponent == 15 && mantissa == 7 {
            0x7fc0_0000
        } else if exponent > 0 {
            (exponent + 127 - 7) << 23 | mantissa << 20
        } else if mantissa > 0 {
            // Below 2^-6: the leading one of the mantissa moves up to where f32 implies it.
            let shift = mantissa.leading_zeros() - 28;
            (127 - 6 - shift) << 23 | (mantissa << shift & 7) << 20
        } else {
            0
        };
        table[byte] = sign << 31 | magnitude;
        byte += 1;
    }
    table
};

/// One tensor's place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Element type.
    pub element: ElementType,
    /// Sides, outermost first.
    pub shape: Vec<usize>,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Elements from one index to the next, a side each, where the stored order is not row by row
    /// (PyTorch's channels-last convolutions).
    pub strides: Option<Vec<usize>>,
}

impl Entry {
    /// Elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows `from` to `to` of the outermost side as a tensor of its own; `None` when it has fewer or
    /// they begin inside a block.
    pub fn rows(&self, from: usize, to: usize) -> Option<Self> {
        let rows = *self.shape.first()?;
        if from > to || to > rows || self.strides.is_some() {
            return None;
        }
        let row = self.element.bytes((self.count() / rows.max(1)) as u64)?;
        let mut shape = self.shape.clone();
        shape[0] = to - from;
        Some(Self {
            shape,
            offset: self.offset + row * from as u64,
            len: row * (to - from) as u64,
            ..self.clone()
        })
    }

    /// The same numbers under another shape; `None` when it does not hold as many.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let same = shape.iter().product::<usize>() == self.count();
        // Sides of one may come and go in any stored order.
        let strides = match &self.strides {
            None => None,
            Some(strides) => {
                let sides = self.shape.iter().zip(strides);
                let wide: Vec<_> = sides.filter(|(side, _)| **side != 1).collect();
                let mut left = wide.iter();
                let mut strides = Vec::new();
                for &side in shape {
                    strides.push(match side {
                        1 => 1,
                        _ => *left.next().filter(|(wide, _)| **wide == side)?.1,
                    });
                }
                Some(strides)
            }
        };
        same.then(|| Self {
            shape: shape.to_vec(),
            strides,
            ..self.clone()
        })
    }

    /// Its bytes, row by row.
    ///
    /// # Errors
    /// `BadFile` when the file ends before, `Io` when reading fails.
    pub fn read(&self, source: &ByteSource) -> Result<Vec<u8>> {
        let too_large = || {
            EngineError::bad_file(
                source.label(),
                format!("a tensor of {} bytes", self.len),
                "it is too large for this machine: choose a smaller model",
            )
        };
        let len = usize::try_from(self.len).map_err(|_too_long| too_large())?;
        let mut stored = Vec::new();
        stored
            .try_reserve_exact(len)
            .map_err(|_refused| too_large())?;
        stored.resize(len, 0);
        source.read_at(self.offset, &mut stored)?;
        Ok(match &self.strides {
            None => stored,
            Some(strides) => reorder(
                &stored,
                self.element.block().1 as usize,
                &self.shape,
                strides,
            ),
        })
    }
}

/// Elements of `size` bytes in the order of `shape`, from where `strides` say they lie. Headers were
/// checked: every index falls inside `stored`.
fn reorder(stored: &[u8], size: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let at: usize = index
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum();
        bytes.extend_from_slice(&stored[at * size..(at + 1) * size]);
        for (place, side) in index.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < *side {
                break;
            }
            *place = 0;
        }
    }
    bytes
}

/// Numbers in the order of `shape`, from where `strides` say they lie.
pub(super) fn in_order(values: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let bytes = reorder(
        bytemuck::cast_slice(values),
        size_of::<f32>(),
        shape,
        strides,
    );
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_floats_are_what_their_bits_say() {
        for byte in 0..=255_u8 {
            let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
            let parts = |bits: u32| {
                let exponent = i32::from((byte & 0x7f) >> bits);
                let mantissa = f32::from(byte & ((1 << bits) - 1)) / f32::from(1_u8 << bits);
                (exponent, mantissa)
            };
            let value = |exponent: i32, mantissa: f32, bias: i32| match exponent {
                0 => sign * mantissa * 2_f32.powi(1 - bias),
                _ => sign * (1.0 + mantissa) * 2_f32.powi(exponent - bias),
            };
            let (exponent, mantissa) = parts(3);
            let read = to_f32(&[byte], ElementType::F8E4M3).unwrap()[0];
            if byte & 0x7f == 0x7f {
                assert!(read.is_nan());
            } else {
                assert_eq!(read, value(exponent, mantissa, 7), "e4m3 {byte:#x}");
            }
            let (exponent, mantissa) = parts(2);
            let read = to_f32(&[byte], ElementType::F8E5M2).unwrap()[0];
            match (exponent, mantissa == 0.0) {
                (31, true) => assert_eq!(read, sign * f32::INFINITY),
                (31, false) => assert!(read.is_nan()),
                _ => assert_eq!(read, value(exponent, mantissa, 15), "e5m2 {byte:#x}"),
            }
        }
    }

    #[test]
    fn rows_and_strides_pick_the_right_bytes() {
        let entry = Entry {
            element: ElementType::F16,
            shape: vec![6, 4],
            offset: 100,
            len: 48,
            strides: None,
        };
        let middle = entry.rows(2, 4).unwrap();
        assert_eq!((middle.offset, middle.len), (116, 16));
        assert_eq!(middle.shape, [2, 4]);
        assert!(entry.rows(4, 7).is_none());
        // 32 numbers a block: half a block is no row.
        let blocks = Entry {
            element: ElementType::Blocks(Blocks::Q8_0),
            len: 34 * 2,
            shape: vec![4, 16],
            ..entry.clone()
        };
        assert!(blocks.rows(0, 1).is_none());
        // A 2 x 3 matrix stored column by column.
        let bytes: Vec<u8> = (0..6).collect();
        assert_eq!(reorder(&bytes, 1, &[2, 3], &[1, 2]), [0, 2, 4, 1, 3, 5]);
        let turned = Entry {
            strides: Some(vec![1, 6, 6, 6]),
            shape: vec![6, 4, 1, 1],
            ..entry
        };
        assert_eq!(turned.reshaped(&[6, 4]).unwrap().strides, Some(vec![1, 6]));
        assert!(turned.reshaped(&[4, 6]).is_none());
    }
}
