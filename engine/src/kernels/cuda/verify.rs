//! Trust, but verify: before the fused kernels compute pictures on a card, each runs there once in each number
//! type on small awkward shapes and is compared with its slow twin. A driver that cannot load them, an error
//! or a difference (a card's fault, a translator's, or one of ours on a card nobody has tested) means the
//! tensor library's own operations for good. So it is with cuDNN's convolutions, beside the tensor library's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::super::cpu::Activation;
use super::reference::{self, Shape};
use super::{Finish, GroupNorm, launch};

/// Cards that were asked something, and the answers: once a process.
pub(super) struct Answers(Mutex<Vec<(usize, bool)>>);

impl Answers {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What `ask` found of a card the first time; `false` of everything else.
    pub(super) fn of(&self, device: &Device, ask: impl FnOnce(&Device) -> bool) -> bool {
        let Device::Cuda(card) = device else {
            return false;
        };
        let ordinal = card.cuda_stream().context().ordinal();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = known.iter().find(|(card, _)| *card == ordinal) {
            return *answer;
        }
        let answer = ask(device);
        known.push((ordinal, answer));
        answer
    }
}

/// Whether all kernels give the numbers of [`mod@reference`] on `device`.
pub(super) fn agrees(device: &Device) -> bool {
    // f32 differs by the order of sums; f16 (11 bits) and bf16 (8 bits) by the rounding of what is stored.
    let types = [(DType::F32, 1e-5), (DType::F16, 1e-3), (DType::BF16, 8e-3)];
    all_agree(device, types, |probe| probe.agrees())
}

/// Whether cuDNN gives the numbers of the tensor library's convolution on `device`.
#[cfg(feature = "cudnn")]
pub(super) fn convolutions_agree(device: &Device) -> bool {
    // Two results that are both rounded to what is stored, and in f32 algorithms that sum differences of values.
    let types = [(DType::F32, 1e-4), (DType::F16, 2e-3), (DType::BF16, 16e-3)];
    all_agree(device, types, |probe| probe.convolutions())
}

fn all_agree(
    device: &Device,
    types: [(DType, f64); 3],
    agrees: fn(&Probe<'_>) -> Result<bool>,
) -> bool {
    let run = || {
        types.into_iter().all(|(dtype, limit)| {
            let probe = Probe {
                device,
                dtype,
                limit,
            };
            agrees(&probe).unwrap_or(false)
        })
    };
    // A panic inside the library is a disagreement too: CUDA's binding expects some calls to succeed.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(false)
}

struct Probe<'a> {
    device: &'a Device,
    dtype: DType,
    /// Of a difference, in parts of the largest value.
    limit: f64,
}

/// The same numbers on the card and here.
struct Both {
    tensor: Tensor,
    values: Vec<f32>,
}

impl Probe<'_> {
    fn agrees(&self) -> Result<bool> {
        Ok(self.norms()? && self.after_products()?)
    }

    /// Numbers without a pattern, about -1 to 3, as `dtype` holds them: of both signs, and with a mean, beside
    /// which bad statistics lose the variance.
    fn numbers(&self, shape: &[usize], dtype: DType, seed: u32) -> Result<Both> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 4_194_304.0 - 1.0
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(next).collect();
        let stored = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(Both {
            values: stored.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?,
            tensor: stored.to_device(self.device)?,
        })
    }

    fn close(&self, got: &Tensor, want: &[f64]) -> Result<bool> {
        let same_type = got.dtype() == self.dtype;
        let got = got.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        let got: Vec<f32> = got.flatten_all()?.to_vec1()?;
        let scale = want.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
        let near = |(got, want): (&f32, &f64)| (f64::from(*got) - want).abs() <= self.limit * scale;
        Ok(same_type && got.len() == want.len() && got.iter().zip(want).all(near))
    }

    /// Few channels and many, odd lengths, windows of one value and of several, those of a patch, with and
    /// without padding, one picture and two. Each twice: settled anew, and as it was settled.
    #[cfg(feature = "cudnn")]
    fn convolutions(&self) -> Result<bool> {
        for (x, weight, stride, padding) in [
            ([2, 4, 5, 7], [4, 4, 1, 1], 1, 0),
            ([2, 4, 9, 7], [4, 4, 3, 3], 1, 1),
            ([1, 4, 11, 8], [4, 4, 3, 3], 2, 1),
            ([1, 3, 13, 9], [8, 3, 3, 3], 2, 0),
            ([1, 3, 12, 8], [16, 3, 4, 4], 4, 0),
            ([2, 64, 33, 31], [72, 64, 3, 3], 1, 1),
            ([1, 128, 16, 16], [64, 128, 1, 1], 1, 0),
        ] {
            let x = self.numbers(&x, self.dtype, 13)?.tensor;
            let weight = self.numbers(&weight, self.dtype, 14)?.tensor;
            let want = x.conv2d(&weight, padding, stride, 1, 1)?;
            let dims = want.dims().to_vec();
            let want = want.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
            let want: Vec<f32> = want.flatten_all()?.to_vec1()?;
            let want: Vec<f64> = want.into_iter().map(f64::from).collect();
            for _ in 0..2 {
                let got = super::convolution::unchecked(&x, &weight, stride, padding)?;
                if got.dims() != dims || !self.close(&got, &want)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// A group in one block and in several; one channel a group, one pixel; rows shorter and longer than a block.
    fn norms(&self) -> Result<bool> {
        for (pictures, channels, (height, width), groups) in [
            (2, 12, (5, 7), 3),
            (1, 4, (1, 1), 2),
            (1, 3, (9, 11), 3),
            (1, 4, (73, 91), 1),
        ] {
            let x = self.numbers(&[pictures, channels, height, width], self.dtype, 1)?;
            let weight = self.numbers(&[channels], DType::F32, 2)?;
            let bias = self.numbers(&[channels], DType::F32, 3)?;
            let norm = GroupNorm {
                groups,
                epsilon: 1e-5,
                weight: &weight.tensor,
                bias: &bias.tensor,
                activation: Activation::Silu,
            };
            let want = reference::group_norm(
                &x.values,
                (channels, height * width, channels / groups),
                [&weight.values, &bias.values],
                norm.epsilon,
                norm.activation,
            );
            if !self.close(&launch::group_norm(&x.tensor, norm)?, &want)? {
                return Ok(false);
            }
        }
        for (rows, channels) in [(5, 33), (3, 700)] {
            let x = self.numbers(&[1, rows, channels], self.dtype, 4)?;
            let weight = self.numbers(&[channels], DType::F32, 5)?;
            let bias = self.numbers(&[channels], DType::F32, 6)?;
            let got = launch::layer_norm(&x.tensor, [&weight.tensor, &bias.tensor], 1e-5)?;
            let want = reference::layer_norm(&x.values, [&weight.values, &bias.values], 1e-5);
            if !self.close(&got, &want)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Both layouts, with every part, with none but the function, and every function.
    fn after_products(&self) -> Result<bool> {
        for half in [19, 300] {
            let x = self.numbers(&[2, 3, 2 * half], self.dtype, 7)?;
            let bias = self.numbers(&[2 * half], DType::F32, 8)?;
            let got = launch::geglu(&x.tensor, Some(&bias.tensor))?;
            let want = reference::geglu(&x.values, half, Some(&bias.values));
            if !self.close(&got, &want)? {
                return Ok(false);
            }
        }
        let map = Shape::Map {
            pictures: 2,
            channels: 5,
            pixels: 7 * 9,
        };
        let tokens = Shape::Tokens {
            pictures: 2,
            tokens: 4,
            channels: 37,
        };
        let functions = [
            Activation::None,
            Activation::Silu,
            Activation::Gelu,
            Activation::QuickGelu,
            Activation::Relu,
        ];
        for (shape, dims) in [(map, [2, 5, 7, 9].as_slice()), (tokens, &[2, 4, 37])] {
            let x = self.numbers(dims, self.dtype, 9)?;
            let bias = self.numbers(&[shape.channels()], DType::F32, 10)?;
            let vector = self.numbers(&[2, 1, shape.channels()], self.dtype, 11)?;
            let residual = self.numbers(dims, self.dtype, 12)?;
            for (activation, whole) in functions.into_iter().zip([true, false].into_iter().cycle())
            {
                let with = Finish {
                    bias: whole.then_some(&bias.tensor),
                    vector: whole.then_some(&vector.tensor),
                    activation,
                    residual: whole.then_some(&residual.tensor),
                };
                let twin = reference::Finish {
                    bias: whole.then_some(&bias.values),
                    vector: whole.then_some(&vector.values),
                    activation,
                    residual: whole.then_some(&residual.values),
                };
                let want = reference::finish(&x.values, shape, twin);
                if !self.close(&launch::finish(&x.tensor, with)?, &want)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
