//! The autoencoder of Stable Diffusion 1 and 2 (Rombach et al. 2022), as diffusers' `AutoencoderKL`.

use serde_json::json;

use super::blocks::{Attention, Norms, ResnetBlock};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::config::Config;
use crate::families::model::{Autoencoder, Moments};
use crate::nn::ops::{self, Activation, Then};
use crate::nn::{Act, Conv2d, GroupNorm, Padding};
use crate::weights::Scope;

/// Sizes of the autoencoder.
#[derive(Clone, Debug)]
pub struct KlConfig {
    /// Channels of the latents.
    pub latent_channels: usize,
    channels: Vec<usize>,
    layers: usize,
    groups: usize,
    /// The network's latents times this have unit variance.
    pub scaling_factor: f64,
    quant_conv: bool,
    post_quant_conv: bool,
    attention: bool,
}

impl KlConfig {
    /// Reads the fields of `vae/config.json`.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub fn read(mut config: Config) -> Result<Self> {
        let this = Self {
            latent_channels: config.count("latent_channels", 4)?,
            channels: config.count_list("block_out_channels", &[64])?,
            layers: config.count("layers_per_block", 1)?,
            groups: config.count("norm_num_groups", 32)?,
            scaling_factor: config.number("scaling_factor", 0.18215)?,
            quant_conv: config.flag("use_quant_conv", true)?,
            post_quant_conv: config.flag("use_post_quant_conv", true)?,
            attention: config.flag("mid_block_add_attention", true)?,
        };
        if this.scaling_factor <= 0.0 {
            return Err(config.bad("scaling_factor", "must be above 0"));
        }
        if let Some(bad) = this
            .channels
            .iter()
            .find(|&&channels| channels % this.groups != 0)
        {
            return Err(config.bad("norm_num_groups", &format!("must divide {bad} channels")));
        }
        for (name, kind) in [
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            let kinds = config.texts(name, &[kind])?;
            if kinds.len() != this.channels.len() {
                return Err(config.bad(name, "must have as many entries as block_out_channels"));
            }
            if let Some(other) = kinds.iter().find(|&found| found != kind) {
                return Err(config.unsupported(name, &json!(other)));
            }
        }
        config.only("in_channels", &[json!(3)])?;
        config.only("out_channels", &[json!(3)])?;
        config.only("act_fn", &[json!("silu"), json!("swish")])?;
        config.only("shift_factor", &[json!(0.0)])?;
        // `force_upcast` asks for f32, which this is; `sample_size` only sizes the reference's tiles.
        config.skip(&["force_upcast", "sample_size"]);
        config.finish()?;
        Ok(this)
    }

    /// Picture pixels per latent pixel.
    pub fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    fn norms(&self) -> Norms {
        Norms {
            groups: self.groups,
            epsilon: 1e-6,
        }
    }

    fn last(&self) -> usize {
        self.channels[self.channels.len() - 1]
    }
}

struct Middle {
    first: ResnetBlock,
    attention: Option<(GroupNorm, Attention)>,
    last: ResnetBlock,
}

impl Middle {
    fn load(config: &KlConfig, scope: &Scope<'_>) -> Result<Self> {
        let channels = config.last();
        let norms = config.norms();
        let resnet = |index: usize| {
            ResnetBlock::load(&scope.at("resnets").at(index), [channels; 2], norms, None)
        };
        let at = scope.at("attentions.0");
        let attention = config.attention.then(|| -> Result<_> {
            let norm =
                GroupNorm::load(&at.at("group_norm"), channels, norms.groups, norms.epsilon)?;
            Ok((norm, Attention::load_autoencoder(&at, channels)?))
        });
        Ok(Self {
            first: resnet(0)?,
            attention: attention.transpose()?,
            last: resnet(1)?,
        })
    }

    fn forward(&self, x: Act, cancel: &CancelToken) -> Result<Act> {
        let mut x = self.first.forward(x, None)?;
        if let Some((norm, attention)) = &self.attention {
            cancel.check()?;
            let tokens = ops::tokens_from_map(&ops::group_norm(&x, norm, None)?)?;
            let answers = attention.answers(&tokens)?;
            let y = attention.forward(&tokens, &answers, &Then::default())?;
            let y = ops::map_from_tokens(&y, &x)?;
            x = ops::add(&y, &x)?;
        }
        self.last.forward(x, None)
    }
}

/// Residual blocks, then a change of size.
struct Stage {
    resnets: Vec<ResnetBlock>,
    resize: Option<Conv2d>,
}

struct Encoder {
    conv_in: Conv2d,
    stages: Vec<Stage>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    stages: Vec<Stage>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// The loaded autoencoder.
pub struct KlAutoencoder {
    config: KlConfig,
    encoder: Encoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    decoder: Decoder,
}

impl KlAutoencoder {
    /// Loads the weights under diffusers' names.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(config: KlConfig, root: &Scope<'_>) -> Result<Self> {
        let latent = config.latent_channels;
        let pointwise = |wanted: bool, name: &str, channels: usize| {
            wanted
                .then(|| Conv2d::load(&root.at(name), [channels; 2], 1))
                .transpose()
        };
        Ok(Self {
            encoder: load_encoder(&config, &root.at("encoder"))?,
            quant: pointwise(config.quant_conv, "quant_conv", 2 * latent)?,
            post_quant: pointwise(config.post_quant_conv, "post_quant_conv", latent)?,
            decoder: load_decoder(&config, &root.at("decoder"))?,
            config,
        })
    }
}

fn load_resnets(
    config: &KlConfig,
    scope: &Scope<'_>,
    [from, to]: [usize; 2],
    count: usize,
) -> Result<Vec<ResnetBlock>> {
    (0..count)
        .map(|index| {
            let channels = [if index == 0 { from } else { to }, to];
            ResnetBlock::load(
                &scope.at("resnets").at(index),
                channels,
                config.norms(),
                None,
            )
        })
        .collect()
}

fn load_encoder(config: &KlConfig, scope: &Scope<'_>) -> Result<Encoder> {
    let mut from = config.channels[0];
    let mut stages = Vec::new();
    for (index, &channels) in config.channels.iter().enumerate() {
        let at = scope.at("down_blocks").at(index);
        let resnets = load_resnets(config, &at, [from, channels], config.layers)?;
        let resize = (index + 1 < config.channels.len())
            .then(|| {
                let padding = Padding::downsampling(0);
                Conv2d::load_halving(&at.at("downsamplers.0.conv"), [channels; 2], padding)
            })
            .transpose()?;
        stages.push(Stage { resnets, resize });
        from = channels;
    }
    Ok(Encoder {
        conv_in: Conv2d::load(&scope.at("conv_in"), [3, config.channels[0]], 3)?,
        stages,
        middle: Middle::load(config, &scope.at("mid_block"))?,
        norm_out: GroupNorm::load(&scope.at("conv_norm_out"), from, config.groups, 1e-6)?,
        conv_out: Conv2d::load(&scope.at("conv_out"), [from, 2 * config.latent_channels], 3)?,
    })
}

fn load_decoder(config: &KlConfig, scope: &Scope<'_>) -> Result<Decoder> {
    let mut from = config.last();
    let mut stages = Vec::new();
    for (index, &channels) in config.channels.iter().rev().enumerate() {
        let at = scope.at("up_blocks").at(index);
        let resnets = load_resnets(config, &at, [from, channels], config.layers + 1)?;
        let resize = (index + 1 < config.channels.len())
            .then(|| Conv2d::load(&at.at("upsamplers.0.conv"), [channels; 2], 3))
            .transpose()?;
        stages.push(Stage { resnets, resize });
        from = channels;
    }
    Ok(Decoder {
        conv_in: Conv2d::load(
            &scope.at("conv_in"),
            [config.latent_channels, config.last()],
            3,
        )?,
        middle: Middle::load(config, &scope.at("mid_block"))?,
        stages,
        norm_out: GroupNorm::load(&scope.at("conv_norm_out"), from, config.groups, 1e-6)?,
        conv_out: Conv2d::load(&scope.at("conv_out"), [from, 3], 3)?,
    })
}

impl Autoencoder for KlAutoencoder {
    fn latent_channels(&self) -> usize {
        self.config.latent_channels
    }

    fn factor(&self) -> usize {
        self.config.factor()
    }

    fn scaling_factor(&self) -> f64 {
        self.config.scaling_factor
    }

    fn is_tiny(&self) -> bool {
        false
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, picture: &Act, cancel: &CancelToken) -> Result<Moments> {
        let encoder = &self.encoder;
        let mut x = ops::conv2d(picture, &encoder.conv_in)?;
        for stage in &encoder.stages {
            for resnet in &stage.resnets {
                cancel.check()?;
                x = resnet.forward(x, None)?;
            }
            if let Some(conv) = &stage.resize {
                x = ops::conv2d(&x, conv)?;
            }
        }
        x = encoder.middle.forward(x, cancel)?;
        let norm = (&encoder.norm_out, Activation::Silu);
        x = ops::norm_conv2d(&x, norm, &encoder.conv_out, &Then::default())?;
        if let Some(quant) = &self.quant {
            x = ops::conv2d(&x, quant)?;
        }
        let moments = x.to_tensor()?;
        let channels = self.config.latent_channels;
        let mean = moments.narrow(1, 0, channels)?.contiguous()?;
        // The file format's bound on the log variance.
        let log_variance = moments
            .narrow(1, channels, channels)?
            .contiguous()?
            .clamp(-30.0, 20.0)?;
        Ok(Moments {
            mean,
            std: Some((log_variance * 0.5)?.exp()?),
        })
    }

    fn decode(&self, latents: &Act, cancel: &CancelToken) -> Result<Act> {
        let decoder = &self.decoder;
        let mut x = latents.clone();
        if let Some(post_quant) = &self.post_quant {
            x = ops::conv2d(&x, post_quant)?;
        }
        x = ops::conv2d(&x, &decoder.conv_in)?;
        x = decoder.middle.forward(x, cancel)?;
        for stage in &decoder.stages {
            for resnet in &stage.resnets {
                cancel.check()?;
                x = resnet.forward(x, None)?;
            }
            if let Some(conv) = &stage.resize {
                let (height, width) = x.size();
                x = ops::upsample_conv2d(&x, (2 * height, 2 * width), conv)?;
            }
        }
        let norm = (&decoder.norm_out, Activation::Silu);
        ops::norm_conv2d(&x, norm, &decoder.conv_out, &Then::default())
    }
}
