//! A tensor's numbers, read once, in the type they are stored in: what packs weights for the kernels
//! takes them as they are, so that no copy in another type is ever whole in memory.

use candle_core::{Device, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::element::{self, ElementType, Entry};
use super::files::ByteSource;
use crate::error::{EngineError, Result};

#[cfg(target_endian = "big")]
compile_error!("weights are little-endian in files and are read in place");

/// Numbers in row-major order.
#[derive(Clone, Debug)]
pub enum Stored {
    /// 32-bit floats; types without a variant of their own are brought to these.
    F32(Vec<f32>),
    /// IEEE halves.
    F16(Vec<f16>),
    /// bfloat16.
    Bf16(Vec<bf16>),
}

/// Runs `$body` with `$values` bound to the slice of numbers, whatever their type.
macro_rules! with_stored {
    ($stored:expr, $values:ident => $body:expr) => {
        match $stored {
            $crate::weights::Stored::F32($values) => $body,
            $crate::weights::Stored::F16($values) => $body,
            $crate::weights::Stored::Bf16($values) => $body,
        }
    };
}
pub(crate) use with_stored;

/// Values that one task reads and checks: large enough for the disk, small enough for the cache.
const TASK_VALUES: usize = 1 << 18;

impl Stored {
    /// Reads and checks a tensor. `name` is for messages.
    ///
    /// # Errors
    /// `BadFile` when it holds no weights, a number is infinite or undefined, or the file ends
    /// early; `Io` when reading fails.
    pub(super) fn read(source: &ByteSource, name: &str, entry: &Entry) -> Result<Self> {
        match entry.element {
            ElementType::F32 if entry.strides.is_none() => {
                read_as(source, name, entry, is_finite_f32).map(Self::F32)
            }
            ElementType::F16 if entry.strides.is_none() => {
                read_as(source, name, entry, is_finite_f16).map(Self::F16)
            }
            ElementType::Bf16 if entry.strides.is_none() => {
                read_as(source, name, entry, is_finite_bf16).map(Self::Bf16)
            }
            // Rarer types and orders are brought to f32, one tensor at a time.
            other => {
                let packed = other.block().0 > 1;
                let (entry, order) = match &entry.strides {
                    // Numbers of a block cannot be picked before they are unpacked.
                    Some(strides) if packed => (
                        &Entry {
                            strides: None,
                            ..entry.clone()
                        },
                        Some(strides),
                    ),
                    _ => (entry, None),
                };
                let bytes = entry.read(source)?;
                let values =
                    element::to_f32(&bytes, other).ok_or_else(|| not_weights(source, name))?;
                if !values.iter().all(|&value| is_finite_f32(value)) {
                    return Err(not_finite(source, name));
                }
                Ok(Self::F32(match order {
                    Some(strides) => element::in_order(&values, &entry.shape, strides),
                    None => values,
                }))
            }
        }
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        with_stored!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers `range` as f32; `None` outside the tensor.
    pub fn to_f32_part(&self, range: std::ops::Range<usize>) -> Option<Vec<f32>> {
        let mut out = vec![0.0; range.len()];
        match self {
            Self::F32(values) => out.copy_from_slice(values.get(range)?),
            Self::F16(values) => values.get(range)?.convert_to_f32_slice(&mut out),
            Self::Bf16(values) => values.get(range)?.convert_to_f32_slice(&mut out),
        }
        Some(out)
    }

    /// All numbers as f32.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            other => other.to_f32_part(0..other.len()).unwrap_or_default(),
        }
    }

    /// An f32 tensor of that shape on the device.
    ///
    /// # Errors
    /// `Compute` when the count does not fit the shape or the device fails.
    pub fn into_tensor(self, shape: &[usize], device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.into_f32(), shape, device)?)
    }
}

// By exponent bits: compilers turn these into vector code, `is_finite` on halves they do not.
fn is_finite_f32(value: f32) -> bool {
    value.to_bits() & 0x7f80_0000 != 0x7f80_0000
}

fn is_finite_f16(value: f16) -> bool {
    value.to_bits() & 0x7c00 != 0x7c00
}

fn is_finite_bf16(value: bf16) -> bool {
    value.to_bits() & 0x7f80 != 0x7f80
}

fn read_as<T: bytemuck::Pod + Send + Sync>(
    source: &ByteSource,
    name: &str,
    entry: &Entry,
    is_finite: impl Fn(T) -> bool + Sync,
) -> Result<Vec<T>> {
    let count = entry.len as usize / size_of::<T>();
    let mut values: Vec<T> = bytemuck::allocation::try_zeroed_vec(count).map_err(|()| {
        EngineError::bad_file(
            source.label(),
            format!("tensor “{name}” has {} bytes", entry.len),
            "it is too large for this machine: choose a smaller model",
        )
    })?;
    values
        .par_chunks_mut(TASK_VALUES)
        .enumerate()
        .try_for_each(|(task, part)| {
            let at = entry.offset + (task * TASK_VALUES * size_of::<T>()) as u64;
            source.read_at(at, bytemuck::cast_slice_mut(part))?;
            if part
                .iter()
                .fold(true, |finite, &value| finite & is_finite(value))
            {
                return Ok(());
            }
            Err(not_finite(source, name))
        })?;
    Ok(values)
}

/// What is said of a tensor of integers.
pub(super) fn not_weights(source: &ByteSource, name: &str) -> EngineError {
    EngineError::bad_file(
        source.label(),
        format!("tensor “{name}” holds integers where weights are needed"),
        "the file is damaged or of another kind: choose another",
    )
}

fn not_finite(source: &ByteSource, name: &str) -> EngineError {
    EngineError::bad_file(
        source.label(),
        format!("tensor “{name}” holds infinite or undefined numbers"),
        "the file is damaged or its training failed: choose another",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponent_tests_agree_with_the_standard_ones() {
        for bits in 0..=u16::MAX {
            let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(is_finite_f16(half), half.is_finite(), "{bits:04x}");
            assert_eq!(is_finite_bf16(brain), brain.is_finite(), "{bits:04x}");
            let single = f32::from_bits(u32::from(bits) << 16 | 0x1234);
            assert_eq!(is_finite_f32(single), single.is_finite(), "{bits:04x}");
        }
    }

    #[test]
    fn parts_are_those_of_the_whole() {
        let values = [1.0, -2.5, 3.25, 0.0];
        let all = [
            Stored::F32(values.to_vec()),
            Stored::F16(values.map(f16::from_f32).to_vec()),
            Stored::Bf16(values.map(bf16::from_f32).to_vec()),
        ];
        for stored in all {
            assert_eq!(stored.to_f32_part(1..3), Some(vec![-2.5, 3.25]));
            assert_eq!(stored.to_f32_part(3..5), None);
            assert_eq!(stored.into_f32(), values);
        }
    }
}
