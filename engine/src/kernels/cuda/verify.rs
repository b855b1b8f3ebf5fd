//! Trust, but verify: before the fused kernels compute pictures on a card, each runs there once in each number
//! type on small awkward shapes and is compared with its slow twin. A driver that cannot load them, an error
//! or a difference (a card's fault, a translator's, or one of ours on a card nobody has tested) means the
//! tensor library's own operations for good. So it is with cuDNN's convolutions, beside the tensor library's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::super::cpu::Activation;
use super::reference::{self, Shape};
use super::{Finish, GroupNorm, MapOrder, launch};

/// Of the fused kernels.
pub(super) static FUSED: Answers = Answers::new();
/// Of cuDNN's convolutions of maps in either order.
pub(super) static CHANNELS_FIRST: Answers = Answers::new();
pub(super) static CHANNELS_LAST: Answers = Answers::new();
/// Of recordings of a network's calls.
pub(super) static RECORDINGS: Answers = Answers::new();

/// Cards on which the tensor library alone is used.
static PLAIN: Answers = Answers::new();

/// On `device`, the tensor library alone is used until the program ends.
pub fn distrust(device: &Device) {
    PLAIN.settle(device, true);
    for answers in [&FUSED, &CHANNELS_FIRST, &CHANNELS_LAST, &RECORDINGS] {
        answers.settle(device, false);
    }
}

/// Whether that was said of `device`.
pub(super) fn is_plain(device: &Device) -> bool {
    PLAIN.known(device) == Some(true)
}

/// Cards that were asked something, and the answers: once a process.
pub(super) struct Answers(Mutex<Vec<(usize, bool)>>);

impl Answers {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What was found of a card, if it was asked.
    pub(super) fn known(&self, device: &Device) -> Option<bool> {
        let ordinal = ordinal_of(device)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, answer) = known.iter().find(|(card, _)| *card == ordinal)?;
        Some(*answer)
    }

    /// Answers for a card, whatever was found of it.
    pub(super) fn settle(&self, device: &Device, answer: bool) {
        if let Some(ordinal) = ordinal_of(device) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|(card, _)| *card != ordinal);
            known.push((ordinal, answer));
        }
    }

    /// What `ask` found of a card the first time; `false` of everything else.
    pub(super) fn of(&self, device: &Device, ask: impl FnOnce(&Device) -> bool) -> bool {
        let Some(ordinal) = ordinal_of(device) else {
            return false;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = known.iter().find(|(card, _)| *card == ordinal) {
            return *answer;
        }
        let answer = ask(device);
        known.push((ordinal, answer));
        answer
    }
}

fn ordinal_of(device: &Device) -> Option<usize> {
    let card = device.as_cuda_device().ok()?;
    Some(card.cuda_stream().context().ordinal())
}

/// Whether all kernels give the numbers of [`mod@reference`] on `device`.
pub(super) fn agrees(device: &Device) -> bool {
    // f32 differs by the order of sums; f16 (11 bits) and bf16 (8 bits) by the rounding of what is stored.
    let types = [(DType::F32, 1e-5), (DType::F16, 1e-3), (DType::BF16, 8e-3)];
    all_agree(device, &types, |probe| probe.agrees())
}

/// Whether cuDNN gives the numbers of the tensor library's convolution on `device`, of maps of that order.
#[cfg(feature = "cudnn")]
pub(super) fn convolutions_agree(device: &Device, order: MapOrder) -> bool {
    // Two results that are both rounded to what is stored, and in f32 algorithms that sum differences of values.
    let types = [(DType::F32, 1e-4), (DType::F16, 2e-3), (DType::BF16, 16e-3)];
    // Channels last, f32 is never asked for.
    let first = usize::from(order == MapOrder::ChannelsLast);
    all_agree(device, &types[first..], |probe| probe.convolutions(order))
}

fn all_agree(
    device: &Device,
    types: &[(DType, f64)],
    agrees: impl Fn(&Probe<'_>) -> Result<bool>,
) -> bool {
    let run = || {
        types.iter().all(|&(dtype, limit)| {
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
        Ok(self.norms()? && self.after_products()? && self.enlargement()?)
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
    /// without padding, one picture and two. Each twice: settled anew, and as it was settled. What cuDNN refuses is
    /// no difference, but it must do those that networks are made of.
    #[cfg(feature = "cudnn")]
    fn convolutions(&self, order: MapOrder) -> Result<bool> {
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
            let (x, weight) = match order {
                MapOrder::ChannelsFirst => (x, weight),
                MapOrder::ChannelsLast => (pixels(&x)?, pixels(&weight)?),
            };
            for _ in 0..2 {
                let windows = (stride, padding);
                let done = super::convolution::unchecked(&x, &weight, windows, order);
                let mut got = match done {
                    Ok(got) => got,
                    Err(_) if dims[1] < 64 => continue,
                    Err(error) => return Err(error),
                };
                if order == MapOrder::ChannelsLast {
                    got = got.permute((0, 3, 1, 2))?.contiguous()?;
                }
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
                order: MapOrder::ChannelsFirst,
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
            let norm = GroupNorm {
                order: MapOrder::ChannelsLast,
                ..norm
            };
            let last = launch::group_norm(&pixels(&x.tensor)?, norm)?;
            if !self.close(&last.permute((0, 3, 1, 2))?, &want)? {
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

    /// Doubled, and by one more, as a network does that went down from an odd size.
    fn enlargement(&self) -> Result<bool> {
        for (size, channels) in [((6, 10), 5), ((7, 9), 300)] {
            let x = self.numbers(&[2, 3, 5, channels], self.dtype, 15)?;
            let want = reference::enlarge(&x.values, (2, [3, 5], channels), size.into());
            let got = launch::enlarge(&x.tensor, size)?;
            if got.dims() != [2, size.0, size.1, channels] || !self.close(&got, &want)? {
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

/// A map (B, C, H, W) as (B, H, W, C).
fn pixels(map: &Tensor) -> Result<Tensor> {
    map.permute((0, 2, 3, 1))?.contiguous()
}
