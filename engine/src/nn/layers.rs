//! Layers as weights: loaded once to where they compute, run by [`super::ops`].

use std::sync::Arc;

use candle_core::Tensor;

use super::Compute;
use super::order::ordered;
use crate::error::Result;
use crate::kernels::cpu::conv::Window;
use crate::kernels::cpu::pack::PackedMatrix;
use crate::kernels::cpu::{self, Isa, Precision};
use crate::weights::rows::StoredRows;
use crate::weights::slot::Slot;
use crate::weights::{Scope, with_stored};

/// Zero padding of a convolution in pixels: before (top, left) and after (bottom, right).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Rows above and columns to the left.
    pub before: usize,
    /// Rows below and columns to the right.
    pub after: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn even(px: usize) -> Self {
        Self {
            before: px,
            after: px,
        }
    }

    /// Of a 3x3 convolution with stride 2: even, or at 0 one row below and one column to the right,
    /// as the reference networks pad then.
    pub const fn downsampling(px: usize) -> Self {
        if px == 0 {
            Self {
                before: 0,
                after: 1,
            }
        } else {
            Self::even(px)
        }
    }
}

/// A vector or table, where it computes.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Tensor(Tensor),
    Host(Arc<Vec<f32>>),
}

impl Values {
    fn load(scope: &Scope<'_>, name: &str, len: usize) -> Result<Slot<Self>> {
        let compute = scope.compute().clone();
        scope.slot(name, &[&[len]], move |stored| {
            Ok(match &compute {
                // f32 in any case: norms are computed in it, and a bias is brought to its sum's type.
                Compute::Tensors { device, .. } => {
                    Self::Tensor(stored.into_tensor(&[len], device)?)
                }
                Compute::Cpu { .. } => Self::Host(Arc::new(stored.into_f32())),
            })
        })
    }
}

/// A 2-D convolution with square kernel.
#[derive(Clone, Debug)]
pub struct Conv2d {
    pub(super) weight: Slot<ConvWeight>,
    pub(super) bias: Option<Slot<Values>>,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

#[derive(Clone, Debug)]
pub(super) enum ConvWeight {
    /// (out, in, k, k), in the order of the network's maps.
    Tensor(Tensor),
    Host(Arc<cpu::conv::Conv2d>),
}

impl Conv2d {
    /// Loads `weight` (out, in, k, k) and `bias` (out); stride 1, padding that keeps the size.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: [usize; 2], kernel: usize) -> Result<Self> {
        let bias = Some(Values::load(scope, "bias", channels[1])?);
        Ok(Self {
            bias,
            ..Self::load_without_bias(scope, channels, kernel)?
        })
    }

    /// As [`Self::load`], without `bias`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_without_bias(
        scope: &Scope<'_>,
        channels: [usize; 2],
        kernel: usize,
    ) -> Result<Self> {
        Self::load_moving(scope, channels, kernel, 1, Padding::even(kernel / 2))
    }

    /// A 3x3 convolution with stride 2 and `bias`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_halving(scope: &Scope<'_>, channels: [usize; 2], padding: Padding) -> Result<Self> {
        let bias = Some(Values::load(scope, "bias", channels[1])?);
        Ok(Self {
            bias,
            ..Self::load_halving_without_bias(scope, channels, padding)?
        })
    }

    /// As [`Self::load_halving`], without `bias`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_halving_without_bias(
        scope: &Scope<'_>,
        channels: [usize; 2],
        padding: Padding,
    ) -> Result<Self> {
        Self::load_moving(scope, channels, 3, 2, padding)
    }

    fn load_moving(
        scope: &Scope<'_>,
        [from, to]: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let shape = [to, from, kernel, kernel];
        let Padding { before, after } = padding;
        let window = Window {
            kernel: (kernel, kernel),
            stride,
            padding: [before, before, after, after],
            upsample: false,
        };
        let compute = scope.compute().clone();
        let weight = scope.slot("weight", &[&shape], move |stored| {
            Ok(match &compute {
                Compute::Tensors {
                    device,
                    dtype,
                    order,
                } => {
                    let weight = stored.into_tensor(&shape, device)?;
                    ConvWeight::Tensor(ordered(&weight.to_dtype(*dtype)?, *order)?)
                }
                Compute::Cpu { isa, packing } => {
                    ConvWeight::Host(Arc::new(with_stored!(&stored, values => {
                        cpu::conv::Conv2d::new(*isa, *packing, values, (to, from), window)
                    })))
                }
            })
        })?;
        Ok(Self {
            weight,
            bias: None,
            stride,
            padding,
        })
    }
}

/// A fully connected layer.
#[derive(Clone, Debug)]
pub struct Linear {
    pub(super) weight: Slot<LinearWeight>,
    pub(super) bias: Option<Slot<Values>>,
}

#[derive(Clone, Debug)]
pub(super) enum LinearWeight {
    /// (out, in).
    Tensor(Tensor),
    Host(Arc<PackedMatrix>),
}

impl Linear {
    /// Loads `weight` (out, in) and `bias` (out).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, features: [usize; 2]) -> Result<Self> {
        let bias = Some(Values::load(scope, "bias", features[1])?);
        Ok(Self {
            bias,
            ..Self::load_without_bias(scope, features)?
        })
    }

    /// As [`Self::load`], without `bias`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_without_bias(scope: &Scope<'_>, features: [usize; 2]) -> Result<Self> {
        Self::load_packed(scope, features, false)
    }

    /// Loads a layer for [`super::ops::geglu`]: values and gates, `features[1]` together.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_gated(scope: &Scope<'_>, features: [usize; 2]) -> Result<Self> {
        let bias = Some(Values::load(scope, "bias", features[1])?);
        Ok(Self {
            bias,
            ..Self::load_packed(scope, features, true)?
        })
    }

    fn load_packed(scope: &Scope<'_>, [from, to]: [usize; 2], gated: bool) -> Result<Self> {
        // A 1x1 convolution over tokens is the same layer under another shape.
        let shapes: [&[usize]; 2] = [&[to, from], &[to, from, 1, 1]];
        let compute = scope.compute().clone();
        let weight = scope.slot("weight", &shapes, move |stored| {
            Ok(match &compute {
                Compute::Tensors { device, dtype, .. } => {
                    let weight = stored.into_tensor(&[to, from], device)?;
                    LinearWeight::Tensor(weight.to_dtype(*dtype)?)
                }
                Compute::Cpu { isa, packing } => {
                    LinearWeight::Host(Arc::new(with_stored!(&stored, values => {
                        if gated {
                            PackedMatrix::gated(*isa, *packing, values, to, from)
                        } else {
                            PackedMatrix::linear(*isa, *packing, values, to, from)
                        }
                    })))
                }
            })
        })?;
        Ok(Self { weight, bias: None })
    }
}

/// Factor and offset of each channel after a normalisation.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pub(super) weight: Slot<Values>,
    pub(super) bias: Slot<Values>,
    /// Of the host's kernels.
    pub(super) isa: Isa,
}

impl Scales {
    fn load(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        let isa = match scope.compute() {
            Compute::Cpu { isa, .. } => *isa,
            Compute::Tensors { .. } => cpu::trusted_isa(),
        };
        Ok(Self {
            weight: Values::load(scope, "weight", channels)?,
            bias: Values::load(scope, "bias", channels)?,
            isa,
        })
    }
}

/// Group normalisation (Wu and He 2018).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    pub(super) scales: Scales,
    pub(super) groups: usize,
    pub(super) epsilon: f64,
}

impl GroupNorm {
    /// Loads `weight` and `bias` (channels); `groups` divides `channels`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: usize, groups: usize, epsilon: f64) -> Result<Self> {
        Ok(Self {
            scales: Scales::load(scope, channels)?,
            groups,
            epsilon,
        })
    }
}

/// Layer normalisation over the channels of each token (Ba et al. 2016).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    pub(super) scales: Scales,
    pub(super) epsilon: f64,
}

impl LayerNorm {
    /// Loads `weight` and `bias` (channels).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: usize, epsilon: f64) -> Result<Self> {
        Ok(Self {
            scales: Scales::load(scope, channels)?,
            epsilon,
        })
    }
}

/// First id of rows that are no part of a table but were learned beside it; no table comes near.
pub const FIRST_LEARNED: u32 = 1 << 31;

/// A table of vectors.
#[derive(Clone, Debug)]
pub struct Embedding {
    pub(super) table: Table,
    pub(super) channels: usize,
    /// Rows of ids from `FIRST_LEARNED` on.
    pub(super) learned: Arc<Vec<f32>>,
}

/// (rows, channels).
#[derive(Clone, Debug)]
pub(super) enum Table {
    Tensor(Tensor),
    /// Few rows are ever wanted, so a large table stays in its file. The precision is that of the rows
    /// given out.
    Host(Arc<StoredRows>, Precision),
}

impl Embedding {
    /// Loads `weight` (rows, channels).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, rows: usize, channels: usize) -> Result<Self> {
        let shape = [rows, channels];
        let table = match scope.compute() {
            Compute::Tensors { dtype, .. } => {
                Table::Tensor(scope.tensor("weight", &shape)?.to_dtype(*dtype)?)
            }
            Compute::Cpu { packing, .. } => {
                let rows = Arc::new(scope.rows("weight", shape)?);
                Table::Host(rows, packing.activations())
            }
        };
        Ok(Self {
            table,
            channels,
            learned: Arc::default(),
        })
    }

    /// Channels of a row.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Adds rows for the ids from [`FIRST_LEARNED`] on, in the place of all
    /// that were added before.
    pub fn learn(&mut self, rows: Vec<f32>) {
        self.learned = Arc::new(rows);
    }
}
