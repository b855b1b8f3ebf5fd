//! Blocks of the UNet and the autoencoder: residual blocks and spatial transformers, as diffusers'
//! `ResnetBlock2D`, `Transformer2DModel` and `Attention`.

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::nn::ops::{self, Activation, Then};
use crate::nn::{Act, Conv2d, GroupNorm, LayerNorm, Linear};
use crate::weights::Scope;

/// Groups and epsilon of group norms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norms {
    /// Groups.
    pub(super) groups: usize,
    /// Epsilon.
    pub(super) epsilon: f64,
}

/// Norm, SiLU, convolution, twice, around a shortcut (He et al. 2016).
pub(super) struct ResnetBlock {
    norm_1: GroupNorm,
    conv_1: Conv2d,
    time: Option<Linear>,
    norm_2: GroupNorm,
    conv_2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    /// `time_channels`: of the time embedding, for blocks that take one.
    pub(super) fn load(
        scope: &Scope<'_>,
        [from, to]: [usize; 2],
        norms: Norms,
        time_channels: Option<usize>,
    ) -> Result<Self> {
        let time = time_channels
            .map(|channels| Linear::load(&scope.at("time_emb_proj"), [channels, to]))
            .transpose()?;
        let shortcut = (from != to)
            .then(|| Conv2d::load(&scope.at("conv_shortcut"), [from, to], 1))
            .transpose()?;
        Ok(Self {
            norm_1: GroupNorm::load(&scope.at("norm1"), from, norms.groups, norms.epsilon)?,
            conv_1: Conv2d::load(&scope.at("conv1"), [from, to], 3)?,
            time,
            norm_2: GroupNorm::load(&scope.at("norm2"), to, norms.groups, norms.epsilon)?,
            conv_2: Conv2d::load(&scope.at("conv2"), [to, to], 3)?,
            shortcut,
        })
    }

    /// `x` (B, from, H, W) and, where the block takes one, the time embedding after SiLU
    /// (B, 1, time_channels), to (B, to, H, W). The result takes the memory of `x` where nothing else
    /// holds it: at full size each map is a tenth of the peak.
    pub(super) fn forward(&self, x: Act, time: Option<&Act>) -> Result<Act> {
        let vector = match (&self.time, time) {
            (Some(layer), Some(time)) => Some(ops::linear(time, layer)?),
            _ => None,
        };
        let then = Then {
            vector: vector.as_ref(),
            ..Then::default()
        };
        let silu = Activation::Silu;
        let y = ops::norm_conv2d(&x, (&self.norm_1, silu), &self.conv_1, &then)?;
        let x = match &self.shortcut {
            Some(shortcut) => ops::conv2d_within(x, shortcut)?,
            None => x,
        };
        ops::norm_conv2d_onto(&y, (&self.norm_2, silu), &self.conv_2, x)
    }
}

/// Attention with its projections.
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    /// `channels`: of the tokens that ask; `context_channels`: of the tokens that answer.
    pub(super) fn load(
        scope: &Scope<'_>,
        channels: usize,
        context_channels: usize,
        heads: usize,
    ) -> Result<Self> {
        let bare = |name: &str, from| Linear::load_without_bias(&scope.at(name), [from, channels]);
        Ok(Self {
            query: bare("to_q", channels)?,
            key: bare("to_k", context_channels)?,
            value: bare("to_v", context_channels)?,
            out: Linear::load(&scope.at("to_out.0"), [channels, channels])?,
            heads,
        })
    }

    /// Single-head attention with biases, of the autoencoder's middle; files of 2022 use the names
    /// `query`, `key`, `value`, `proj_attn`.
    pub(super) fn load_autoencoder(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        let old = scope.has("proj_attn.weight");
        let pick = |new: &str, before: &str| scope.at(if old { before } else { new });
        let square = |scope: Scope<'_>| Linear::load(&scope, [channels, channels]);
        Ok(Self {
            query: square(pick("to_q", "query"))?,
            key: square(pick("to_k", "key"))?,
            value: square(pick("to_v", "value"))?,
            out: square(pick("to_out.0", "proj_attn"))?,
            heads: 1,
        })
    }

    /// What `tokens` (B, M, context channels) answer with.
    pub(super) fn answers(&self, tokens: &Act) -> Result<Answers> {
        // Weighted prompts come in f32; their keys and values go with the other operand's type.
        let tokens = ops::in_precision_of(tokens, &self.key)?;
        Ok(Answers {
            keys: ops::linear(&tokens, &self.key)?,
            values: ops::linear(&tokens, &self.value)?,
        })
    }

    /// `x` (B, N, channels) asks; `then` comes after the last projection.
    pub(super) fn forward(&self, x: &Act, answers: &Answers, then: &Then<'_>) -> Result<Act> {
        let Answers { keys, values } = answers;
        let query = ops::linear(x, &self.query)?;
        let y = ops::attention(&query, keys, values, self.heads, false)?;
        ops::linear_then(&y, &self.out, then)
    }
}

/// Keys and values (B, M, channels) of an attention.
pub(super) struct Answers {
    keys: Act,
    values: Act,
}

/// Text tokens as a network's cross-attentions see them, in the order in which it comes to them. They
/// are the same at every step, so they are computed once.
pub struct Context(pub(super) Vec<Answers>);

/// Self-attention, cross-attention, gated feed-forward, each behind a layer norm.
struct TransformerBlock {
    norm_1: LayerNorm,
    own: Attention,
    norm_2: LayerNorm,
    cross: Attention,
    norm_3: LayerNorm,
    gate: Linear,
    down: Linear,
}

impl TransformerBlock {
    fn load(scope: &Scope<'_>, spec: &TransformerSpec) -> Result<Self> {
        let width = spec.channels;
        let norm = |name: &str| LayerNorm::load(&scope.at(name), width, 1e-5);
        Ok(Self {
            norm_1: norm("norm1")?,
            own: Attention::load(&scope.at("attn1"), width, width, spec.heads)?,
            norm_2: norm("norm2")?,
            cross: Attention::load(&scope.at("attn2"), width, spec.context_channels, spec.heads)?,
            norm_3: norm("norm3")?,
            gate: Linear::load_gated(&scope.at("ff.net.0.proj"), [width, 8 * width])?,
            down: Linear::load(&scope.at("ff.net.2"), [4 * width, width])?,
        })
    }

    fn forward(&self, x: &Act, text: Option<&Answers>) -> Result<Act> {
        let y = ops::layer_norm(x, &self.norm_1)?;
        let x = self
            .own
            .forward(&y, &self.own.answers(&y)?, &Then::add(x))?;
        let y = ops::layer_norm(&x, &self.norm_2)?;
        let text = text.ok_or_else(|| EngineError::Compute {
            op: "cross-attention".to_owned(),
            reason: "the text was read for another network".to_owned(),
        })?;
        let x = self.cross.forward(&y, text, &Then::add(&x))?;
        let y = ops::geglu(&ops::layer_norm(&x, &self.norm_3)?, &self.gate)?;
        ops::linear_then(&y, &self.down, &Then::add(&x))
    }
}

/// Sizes of a spatial transformer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformerSpec {
    /// Channels of the map.
    pub(super) channels: usize,
    /// Channels of the text tokens.
    pub(super) context_channels: usize,
    /// Attention heads.
    pub(super) heads: usize,
    /// Transformer blocks.
    pub(super) depth: usize,
    /// Groups of the first norm.
    pub(super) groups: usize,
    /// Linear projections (SD 2) or 1x1 convolutions (SD 1).
    pub(super) linear_projection: bool,
}

enum Projection {
    Linear(Linear),
    Conv(Conv2d),
}

impl Projection {
    fn load(scope: &Scope<'_>, spec: &TransformerSpec) -> Result<Self> {
        let channels = [spec.channels; 2];
        Ok(if spec.linear_projection {
            Self::Linear(Linear::load(scope, channels)?)
        } else {
            Self::Conv(Conv2d::load(scope, channels, 1)?)
        })
    }
}

/// A transformer over the pixels of a map, as diffusers' `Transformer2DModel`.
pub(super) struct SpatialTransformer {
    norm: GroupNorm,
    project_in: Projection,
    blocks: Vec<TransformerBlock>,
    project_out: Projection,
}

impl SpatialTransformer {
    pub(super) fn load(scope: &Scope<'_>, spec: &TransformerSpec) -> Result<Self> {
        let blocks = (0..spec.depth)
            .map(|index| TransformerBlock::load(&scope.at("transformer_blocks").at(index), spec));
        Ok(Self {
            norm: GroupNorm::load(&scope.at("norm"), spec.channels, spec.groups, 1e-6)?,
            project_in: Projection::load(&scope.at("proj_in"), spec)?,
            blocks: blocks.collect::<Result<_>>()?,
            project_out: Projection::load(&scope.at("proj_out"), spec)?,
        })
    }

    /// What text tokens (B, M, context channels) answer each block with.
    pub(super) fn answers(&self, tokens: &Act) -> impl Iterator<Item = Result<Answers>> {
        self.blocks.iter().map(|block| block.cross.answers(tokens))
    }

    /// Passes over what of `text` belongs to this transformer.
    pub(super) fn skip(&self, text: &mut std::slice::Iter<'_, Answers>) {
        for _ in &self.blocks {
            text.next();
        }
    }

    /// `x` (B, channels, H, W) to its shape; takes one of `text` for each block.
    pub(super) fn forward(
        &self,
        x: &Act,
        text: &mut std::slice::Iter<'_, Answers>,
        cancel: &CancelToken,
    ) -> Result<Act> {
        let y = ops::group_norm(x, &self.norm, None)?;
        let mut tokens = match &self.project_in {
            Projection::Conv(conv) => ops::tokens_from_map(&ops::conv2d(&y, conv)?)?,
            Projection::Linear(layer) => ops::linear(&ops::tokens_from_map(&y)?, layer)?,
        };
        for block in &self.blocks {
            cancel.check()?;
            tokens = block.forward(&tokens, text.next())?;
        }
        match &self.project_out {
            Projection::Conv(conv) => {
                let map = ops::map_from_tokens(&tokens, x)?;
                ops::conv2d_then(&map, conv, &Then::add(x))
            }
            Projection::Linear(layer) => {
                let y = ops::map_from_tokens(&ops::linear(&tokens, layer)?, x)?;
                ops::add(&y, x)
            }
        }
    }
}
