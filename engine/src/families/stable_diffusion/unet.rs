//! The UNet of Stable Diffusion 1, 2 and XL (Ronneberger et al. 2015; Rombach et al. 2022), as
//! diffusers' `UNet2DConditionModel`.

use candle_core::Device;

use super::blocks::{Answers, Context, Norms, ResnetBlock, SpatialTransformer, TransformerSpec};
use super::unet_config::{Level, Middle, UnetConfig};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::nn::ops::{self, Activation, Then};
use crate::nn::{Act, Conv2d, GroupNorm, Linear, Padding};
use crate::weights::Scope;

/// A residual block with the transformer after it, where the level has attention.
type Pair = (ResnetBlock, Option<SpatialTransformer>);

struct Down {
    pairs: Vec<Pair>,
    downsample: Option<Conv2d>,
}

struct Up {
    pairs: Vec<Pair>,
    upsample: Option<Conv2d>,
}

struct Mid {
    first: ResnetBlock,
    rest: Option<(SpatialTransformer, ResnetBlock)>,
}

/// Which deep features a call keeps, or takes from an earlier one (Ma et al. 2024).
pub struct Deep {
    /// The skip connection up to which is computed, from the outermost, 0; at most one below
    /// [`Unet::skips`].
    pub branch: usize,
    /// The map (B, C, h, w) that meets this connection on the way up. `Some` before the call: nothing
    /// deeper is computed; `None`: all is, and the map is put here.
    pub features: Option<Act>,
}

/// The loaded network.
pub struct Unet {
    config: UnetConfig,
    conv_in: Conv2d,
    time_1: Linear,
    time_2: Linear,
    time_guidance: Option<Linear>,
    added: Option<[Linear; 2]>,
    down: Vec<Down>,
    mid: Option<Mid>,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Unet {
    /// Loads the weights under diffusers' names.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(config: UnetConfig, root: &Scope<'_>) -> Result<Self> {
        let first = config.levels[0].channels;
        let time = config.time_channels;
        let embedding = root.at("time_embedding");
        let time_guidance = config
            .guidance_channels
            .map(|from| Linear::load_without_bias(&embedding.at("cond_proj"), [from, first]))
            .transpose()?;
        Ok(Self {
            conv_in: Conv2d::load(
                &root.at("conv_in"),
                [config.in_channels, first],
                config.kernel_in,
            )?,
            time_1: Linear::load(&embedding.at("linear_1"), [first, time])?,
            time_2: Linear::load(&embedding.at("linear_2"), [time, time])?,
            time_guidance,
            added: load_added(&config, root)?,
            down: load_down(&config, root)?,
            mid: load_mid(&config, root)?,
            up: load_up(&config, root)?,
            norm_out: GroupNorm::load(
                &root.at("conv_norm_out"),
                first,
                config.groups,
                config.epsilon,
            )?,
            conv_out: Conv2d::load(
                &root.at("conv_out"),
                [first, config.out_channels],
                config.kernel_out,
            )?,
            config,
        })
    }

    /// Sizes.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// Skip connections between the way down and the way up.
    pub fn skips(&self) -> usize {
        let level = |down: &Down| down.pairs.len() + usize::from(down.downsample.is_some());
        1 + self.down.iter().map(level).sum::<usize>()
    }

    /// Reads text tokens (B, M, C), for any number of [`Self::forward`].
    ///
    /// # Errors
    /// `Compute` when shapes do not fit or the device fails.
    pub fn read(&self, tokens: &Act) -> Result<Context> {
        let down = self.down.iter().flat_map(|down| &down.pairs);
        let up = self.up.iter().flat_map(|up| &up.pairs);
        let middle = self.mid.iter().flat_map(|mid| &mid.rest);
        let transformers = down
            .filter_map(|(_, transformer)| transformer.as_ref())
            .chain(middle.map(|(transformer, _)| transformer))
            .chain(up.filter_map(|(_, transformer)| transformer.as_ref()));
        let answers = transformers.flat_map(|transformer| transformer.answers(tokens));
        Ok(Context(answers.collect::<Result<_>>()?))
    }

    /// What texts (B, 1, C) and the `numbers` of each add to the time embedding, (B, 1, time
    /// channels), for any number of [`Self::forward`]; `None` where the network adds nothing.
    ///
    /// # Errors
    /// `Compute` when shapes do not fit or the device fails.
    pub fn add(&self, texts: &[&Act], numbers: &[Vec<f32>]) -> Result<Option<Act>> {
        let (Some([first, second]), Some(added)) = (&self.added, self.config.added) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        for (text, numbers) in texts.iter().zip(numbers) {
            values.extend(text.to_tensor()?.flatten_all()?.to_vec1::<f32>()?);
            for &number in numbers {
                values.extend(self.sinusoidal(number, added.number_channels));
            }
        }
        let device = texts.first().map_or(Device::Cpu, |text| text.device());
        let x = Act::from_values(values, &[texts.len(), 1, added.channels], &device)?;
        let x = ops::linear_then(&x, first, &Then::activate(Activation::Silu))?;
        Ok(Some(ops::linear(&x, second)?))
    }

    /// The sines and cosines that a timestep (0 to 999, may be fractional) is to the network, (B, 1, first level's
    /// channels), for `batch` pictures.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn time(&self, timestep: f64, batch: usize, device: &Device) -> Result<Act> {
        let channels = self.config.levels[0].channels;
        let row = self.sinusoidal(timestep as f32, channels);
        Act::from_values(row.repeat(batch), &[batch, 1, channels], device)
    }

    /// The raw prediction (B, out, h, w) for `x` (B, in, h, w), its `time`, the text's `context`, and what joins the
    /// time embedding. From these alone: a call may be recorded and run again with others of their shapes.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when shapes do not fit or the device fails.
    pub fn forward(
        &self,
        x: &Act,
        time: &Act,
        context: &Context,
        more: Embeddings<'_>,
        cancel: &CancelToken,
    ) -> Result<Act> {
        self.forward_deep(x, time, context, more, None, cancel)
    }

    /// As [`Self::forward`]; `deep` keeps the map at one place of the way up, or takes it from an
    /// earlier call in place of all that lies deeper.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_deep(
        &self,
        x: &Act,
        time: &Act,
        context: &Context,
        more: Embeddings<'_>,
        deep: Option<&mut Deep>,
        cancel: &CancelToken,
    ) -> Result<Act> {
        let time = self.embed_time(time, more)?;
        let text = &mut context.0.iter();
        let x = if self.config.center_input {
            ops::affine(x, 2.0, -1.0)?
        } else {
            x.clone()
        };
        let mut x = ops::conv2d(&x, &self.conv_in)?;
        let (known, mut keep) = match deep {
            None => (None, None),
            Some(Deep { branch, features }) => match features.take() {
                Some(map) => (Some((*branch, map)), None),
                None => (None, Some((*branch, features))),
            },
        };
        // How many maps of the way down are needed.
        let needed = known.as_ref().map_or(usize::MAX, |(branch, _)| branch + 1);
        let mut skips = vec![x.clone()];
        for down in &self.down {
            for pair in &down.pairs {
                if skips.len() >= needed {
                    skip_pair(pair, text);
                    continue;
                }
                x = forward_pair(pair, x, &time, text, cancel)?;
                skips.push(x.clone());
            }
            if let Some(conv) = &down.downsample
                && skips.len() < needed
            {
                x = ops::conv2d(&x, conv)?;
                skips.push(x.clone());
            }
        }
        if let Some(mid) = &self.mid {
            x = mid.forward(x, &time, text, known.is_some(), cancel)?;
        }
        // Skip connections that the way up has not met yet.
        let mut ahead = self.skips();
        if let Some((_, map)) = &known {
            x = map.clone();
        }
        for up in &self.up {
            for pair in &up.pairs {
                if ahead > needed {
                    skip_pair(pair, text);
                    ahead -= 1;
                    continue;
                }
                ahead -= 1;
                if let Some((branch, slot)) = &mut keep
                    && *branch == ahead
                {
                    **slot = Some(x.clone());
                }
                if let Some(skip) = skips.pop() {
                    x = ops::concat_channels(&x, &skip)?;
                }
                x = forward_pair(pair, x, &time, text, cancel)?;
            }
            // To the size of the map it will meet: odd sizes were rounded up on the way down.
            if let (Some(conv), Some(skip)) = (&up.upsample, skips.last())
                && ahead < needed
            {
                x = ops::upsample_conv2d(&x, skip.size(), conv)?;
            }
        }
        let norm = (&self.norm_out, Activation::Silu);
        ops::norm_conv2d(&x, norm, &self.conv_out, &Then::default())
    }

    /// Sinusoidal embedding (Vaswani et al. 2017, section 3.5), then two layers, then the SiLU that
    /// every residual block begins with: (B, 1, time channels). The first always in f32: angles
    /// rounded to half precision move the prediction by a percent.
    fn embed_time(&self, time: &Act, more: Embeddings<'_>) -> Result<Act> {
        let mut x = time.clone();
        if let (Some(layer), Some(guidance)) = (&self.time_guidance, more.guidance) {
            x = ops::add(&x, &ops::linear(guidance, layer)?)?;
        }
        let silu = Then::activate(Activation::Silu);
        let x = ops::linear_then(&x, &self.time_1, &silu)?;
        // What is added comes before the last SiLU.
        let last = Then {
            vector: more.added,
            ..silu
        };
        ops::linear_then(&x, &self.time_2, &last)
    }

    /// The sines and cosines of a number at rising wavelengths.
    fn sinusoidal(&self, number: f32, channels: usize) -> Vec<f32> {
        let half = channels / 2;
        // The reference's order of rounding: an angle of 999 magnifies the last bit.
        let span = half as f32 - self.config.freq_shift as f32;
        let frequency = |index: usize| (-(10000_f64.ln() as f32) * index as f32 / span).exp();
        let angles: Vec<f32> = (0..half).map(|index| number * frequency(index)).collect();
        let (sin, cos) = (
            angles.iter().map(|a| a.sin()),
            angles.iter().map(|a| a.cos()),
        );
        if self.config.flip_sin_to_cos {
            cos.chain(sin).collect()
        } else {
            sin.chain(cos).collect()
        }
    }
}

/// What joins the time embedding, where a network takes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embeddings<'a> {
    /// The embedded guidance scale (B, 1, guidance channels).
    pub guidance: Option<&'a Act>,
    /// What [`Unet::add`] gave.
    pub added: Option<&'a Act>,
}

fn load_added(config: &UnetConfig, root: &Scope<'_>) -> Result<Option<[Linear; 2]>> {
    let Some(added) = config.added else {
        return Ok(None);
    };
    let (scope, time) = (root.at("add_embedding"), config.time_channels);
    let first = Linear::load(&scope.at("linear_1"), [added.channels, time])?;
    let second = Linear::load(&scope.at("linear_2"), [time, time])?;
    Ok(Some([first, second]))
}

impl Mid {
    /// `is_known`: what it would compute lies deeper than what is needed.
    fn forward(
        &self,
        x: Act,
        time: &Act,
        text: &mut std::slice::Iter<'_, Answers>,
        is_known: bool,
        cancel: &CancelToken,
    ) -> Result<Act> {
        if is_known {
            if let Some((transformer, _)) = &self.rest {
                transformer.skip(text);
            }
            return Ok(x);
        }
        cancel.check()?;
        let mut x = self.first.forward(x, Some(time))?;
        if let Some((transformer, last)) = &self.rest {
            x = transformer.forward(&x, text, cancel)?;
            x = last.forward(x, Some(time))?;
        }
        Ok(x)
    }
}

/// Passes over a pair that is not computed.
fn skip_pair((_, transformer): &Pair, text: &mut std::slice::Iter<'_, Answers>) {
    if let Some(transformer) = transformer {
        transformer.skip(text);
    }
}

fn forward_pair(
    (resnet, transformer): &Pair,
    x: Act,
    time: &Act,
    text: &mut std::slice::Iter<'_, Answers>,
    cancel: &CancelToken,
) -> Result<Act> {
    cancel.check()?;
    let x = resnet.forward(x, Some(time))?;
    match transformer {
        Some(transformer) => transformer.forward(&x, text, cancel),
        None => Ok(x),
    }
}

fn load_pair(
    config: &UnetConfig,
    scope: &Scope<'_>,
    index: usize,
    channels: [usize; 2],
    attention: Option<TransformerSpec>,
) -> Result<Pair> {
    let norms = Norms {
        groups: config.groups,
        epsilon: config.epsilon,
    };
    let time = Some(config.time_channels);
    let resnet = ResnetBlock::load(&scope.at("resnets").at(index), channels, norms, time)?;
    let transformer = attention
        .map(|spec| SpatialTransformer::load(&scope.at("attentions").at(index), &spec))
        .transpose()?;
    Ok((resnet, transformer))
}

fn transformer_spec(config: &UnetConfig, level: &Level, depth: usize) -> TransformerSpec {
    TransformerSpec {
        channels: level.channels,
        context_channels: level.context_channels,
        heads: level.heads,
        depth,
        groups: config.groups,
        linear_projection: config.linear_projection,
    }
}

fn load_down(config: &UnetConfig, root: &Scope<'_>) -> Result<Vec<Down>> {
    let mut from = config.levels[0].channels;
    let last = config.levels.len() - 1;
    let mut blocks = Vec::new();
    for (index, level) in config.levels.iter().enumerate() {
        let scope = root.at("down_blocks").at(index);
        let spec = level
            .attention_down
            .then(|| transformer_spec(config, level, level.depth_down));
        let mut pairs = Vec::new();
        for layer in 0..level.layers {
            pairs.push(load_pair(
                config,
                &scope,
                layer,
                [from, level.channels],
                spec,
            )?);
            from = level.channels;
        }
        let downsample = (index < last)
            .then(|| {
                let padding = Padding::downsampling(config.downsample_padding);
                Conv2d::load_halving(&scope.at("downsamplers.0.conv"), [from, from], padding)
            })
            .transpose()?;
        blocks.push(Down { pairs, downsample });
    }
    Ok(blocks)
}

fn load_mid(config: &UnetConfig, root: &Scope<'_>) -> Result<Option<Mid>> {
    let Some(level) = config
        .levels
        .last()
        .filter(|_| config.middle != Middle::Absent)
    else {
        return Ok(None);
    };
    let scope = root.at("mid_block");
    let channels = [level.channels; 2];
    // The reference takes the last level's downward depth here.
    let spec = (config.middle == Middle::CrossAttention)
        .then(|| transformer_spec(config, level, level.depth_down));
    let (first, transformer) = load_pair(config, &scope, 0, channels, spec)?;
    let rest = match transformer {
        Some(transformer) => Some((transformer, load_pair(config, &scope, 1, channels, None)?.0)),
        None => None,
    };
    Ok(Some(Mid { first, rest }))
}

fn load_up(config: &UnetConfig, root: &Scope<'_>) -> Result<Vec<Up>> {
    let levels = &config.levels;
    let mut previous = levels[levels.len() - 1].channels;
    let mut blocks = Vec::new();
    for (index, (position, level)) in levels.iter().enumerate().rev().enumerate() {
        let scope = root.at("up_blocks").at(index);
        let below = levels[position.saturating_sub(1)].channels;
        let spec = level
            .attention_up
            .then(|| transformer_spec(config, level, level.depth_up));
        let mut pairs = Vec::new();
        for layer in 0..=level.layers {
            // The last block of a level meets the map from below the level's own blocks.
            let skip = if layer == level.layers {
                below
            } else {
                level.channels
            };
            let from = if layer == 0 { previous } else { level.channels };
            pairs.push(load_pair(
                config,
                &scope,
                layer,
                [from + skip, level.channels],
                spec,
            )?);
        }
        previous = level.channels;
        let upsample = (position > 0)
            .then(|| Conv2d::load(&scope.at("upsamplers.0.conv"), [previous, previous], 3))
            .transpose()?;
        blocks.push(Up { pairs, upsample });
    }
    Ok(blocks)
}
