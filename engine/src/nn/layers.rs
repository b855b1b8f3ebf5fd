//! Layers as weights: loaded once, run by [`super::ops`].

use candle_core::Tensor;

use crate::error::Result;
use crate::weights::Scope;

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

/// A 2-D convolution with square kernel.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// (out, in, k, k).
    pub(super) weight: Tensor,
    /// (out).
    pub(super) bias: Option<Tensor>,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

impl Conv2d {
    /// Loads `weight` (out, in, k, k) and `bias` (out); stride 1, padding that keeps the size.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: [usize; 2], kernel: usize) -> Result<Self> {
        let bias = Some(scope.tensor("bias", &[channels[1]])?);
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
        [channels_in, channels_out]: [usize; 2],
        kernel: usize,
    ) -> Result<Self> {
        let weight = scope.tensor("weight", &[channels_out, channels_in, kernel, kernel])?;
        Ok(Self {
            weight,
            bias: None,
            stride: 1,
            padding: Padding::even(kernel / 2),
        })
    }

    /// The same weights with stride 2 and this padding.
    #[must_use]
    pub fn stride_2(self, padding: Padding) -> Self {
        Self {
            stride: 2,
            padding,
            ..self
        }
    }
}

/// A fully connected layer.
#[derive(Clone, Debug)]
pub struct Linear {
    /// (out, in).
    pub(super) weight: Tensor,
    /// (out).
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    /// Loads `weight` (out, in) and `bias` (out).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, features: [usize; 2]) -> Result<Self> {
        let bias = Some(scope.tensor("bias", &[features[1]])?);
        Ok(Self {
            bias,
            ..Self::load_without_bias(scope, features)?
        })
    }

    /// As [`Self::load`], without `bias`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_without_bias(scope: &Scope<'_>, [from, to]: [usize; 2]) -> Result<Self> {
        // A 1x1 convolution over tokens is the same layer under another shape.
        let weight = scope.tensor_in("weight", &[&[to, from], &[to, from, 1, 1]])?;
        Ok(Self { weight, bias: None })
    }
}

/// Group normalisation (Wu and He 2018).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) groups: usize,
    pub(super) epsilon: f64,
}

impl GroupNorm {
    /// Loads `weight` and `bias` (channels); `groups` divides `channels`.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: usize, groups: usize, epsilon: f64) -> Result<Self> {
        let weight = scope.tensor("weight", &[channels])?;
        let bias = scope.tensor("bias", &[channels])?;
        Ok(Self {
            weight,
            bias,
            groups,
            epsilon,
        })
    }
}

/// Layer normalisation over the channels of each token (Ba et al. 2016).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) epsilon: f64,
}

impl LayerNorm {
    /// Loads `weight` and `bias` (channels).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, channels: usize, epsilon: f64) -> Result<Self> {
        let weight = scope.tensor("weight", &[channels])?;
        let bias = scope.tensor("bias", &[channels])?;
        Ok(Self {
            weight,
            bias,
            epsilon,
        })
    }
}

/// A table of vectors.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// (rows, channels).
    pub(super) weight: Tensor,
}

impl Embedding {
    /// Loads `weight` (rows, channels).
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(scope: &Scope<'_>, rows: usize, channels: usize) -> Result<Self> {
        Ok(Self {
            weight: scope.tensor("weight", &[rows, channels])?,
        })
    }
}
