//! The tiny autoencoder TAESD (Ollin Boer Bohan), as diffusers' `AutoencoderTiny`: it knows no
//! distribution, its encoder gives the latents themselves.

use serde_json::{Value, json};

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::families::config::Config;
use crate::families::model::{Autoencoder, Moments};
use crate::nn::ops::{self, Activation, Then};
use crate::nn::{Act, Conv2d, Padding};
use crate::weights::Scope;

/// Sizes of a tiny autoencoder.
#[derive(Clone, Debug)]
pub struct TinyConfig {
    /// Channels of the latents.
    pub latent_channels: usize,
    encoder_channels: Vec<usize>,
    decoder_channels: Vec<usize>,
    encoder_blocks: Vec<usize>,
    decoder_blocks: Vec<usize>,
    /// The network's latents times this have unit variance.
    pub scaling_factor: f64,
}

impl TinyConfig {
    /// Reads the fields of `vae/config.json`.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub fn read(mut config: Config) -> Result<Self> {
        let this = Self {
            latent_channels: config.count("latent_channels", 4)?,
            encoder_channels: config.count_list("encoder_block_out_channels", &[64; 4])?,
            decoder_channels: config.count_list("decoder_block_out_channels", &[64; 4])?,
            encoder_blocks: config.count_list("num_encoder_blocks", &[1, 3, 3, 3])?,
            decoder_blocks: config.count_list("num_decoder_blocks", &[3, 3, 3, 1])?,
            scaling_factor: config.number("scaling_factor", 1.0)?,
        };
        if this.scaling_factor <= 0.0 {
            return Err(config.bad("scaling_factor", "must be above 0"));
        }
        for (channels, blocks, name) in [
            (
                &this.encoder_channels,
                &this.encoder_blocks,
                "num_encoder_blocks",
            ),
            (
                &this.decoder_channels,
                &this.decoder_blocks,
                "num_decoder_blocks",
            ),
        ] {
            if channels.len() != blocks.len() {
                return Err(config.bad(name, "must have as many entries as its channels"));
            }
        }
        // Every level in a part has one width in the published layers: the convolution between two
        // levels keeps it.
        let uneven = |channels: &[usize]| channels.iter().any(|&count| count != channels[0]);
        if uneven(&this.encoder_channels) || uneven(&this.decoder_channels) {
            let shown = json!(this.decoder_channels);
            return Err(config.unsupported("decoder_block_out_channels", &shown));
        }
        config.only("in_channels", &[json!(3)])?;
        config.only("out_channels", &[json!(3)])?;
        config.only("act_fn", &[json!("relu")])?;
        config.only("upsample_fn", &[json!("nearest")])?;
        config.only("upsampling_scaling_factor", &[json!(2)])?;
        config.only("shift_factor", &[json!(0.0)])?;
        // The magnitude and shift serve only the reference's way of storing latents as pictures;
        // `block_out_channels` repeats the two lists above.
        config.skip(&[
            "latent_magnitude",
            "latent_shift",
            "force_upcast",
            "block_out_channels",
        ]);
        config.finish()?;
        Ok(this)
    }
}

impl TinyConfig {
    /// Picture pixels per latent pixel.
    pub fn factor(&self) -> usize {
        1 << (self.decoder_blocks.len() - 1)
    }
}

/// Three convolutions around a shortcut, ReLU between and after.
struct Block([Conv2d; 3]);

impl Block {
    fn load(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        let conv = |index: usize| Conv2d::load(&scope.at("conv").at(index), [channels; 2], 3);
        Ok(Self([conv(0)?, conv(2)?, conv(4)?]))
    }

    fn forward(&self, x: &Act) -> Result<Act> {
        let [first, second, third] = &self.0;
        let relu = Then::activate(Activation::Relu);
        let y = ops::conv2d_then(x, first, &relu)?;
        let y = ops::conv2d_then(&y, second, &relu)?;
        let y = ops::conv2d_then(&y, third, &Then::add(x))?;
        ops::activate(&y, Activation::Relu)
    }
}

/// A step of either part; upsampling belongs to the convolution that follows it.
enum Layer {
    Conv(Conv2d),
    Relu,
    Block(Block),
    UpsampleConv(Conv2d),
}

fn run(layers: &[Layer], mut x: Act, cancel: &CancelToken) -> Result<Act> {
    for layer in layers {
        cancel.check()?;
        x = match layer {
            Layer::Conv(conv) => ops::conv2d(&x, conv)?,
            Layer::Relu => ops::activate(&x, Activation::Relu)?,
            Layer::Block(block) => block.forward(&x)?,
            Layer::UpsampleConv(conv) => {
                let (height, width) = x.size();
                ops::upsample_conv2d(&x, (2 * height, 2 * width), conv)?
            }
        };
    }
    Ok(x)
}

/// The loaded autoencoder.
pub struct TinyAutoencoder {
    config: TinyConfig,
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
}

impl TinyAutoencoder {
    /// Loads the weights under diffusers' names.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(config: TinyConfig, root: &Scope<'_>) -> Result<Self> {
        let encoder = load_encoder(&config, &root.at("encoder.layers"))?;
        let decoder = load_decoder(&config, &root.at("decoder.layers"), 0)?;
        Ok(Self {
            config,
            encoder,
            decoder,
        })
    }
}

fn load_encoder(config: &TinyConfig, scope: &Scope<'_>) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for (level, (&blocks, &channels)) in config
        .encoder_blocks
        .iter()
        .zip(&config.encoder_channels)
        .enumerate()
    {
        let at = scope.at(layers.len());
        layers.push(Layer::Conv(if level == 0 {
            Conv2d::load(&at, [3, channels], 3)?
        } else {
            Conv2d::load_halving_without_bias(&at, [channels; 2], Padding::even(1))?
        }));
        for _ in 0..blocks {
            layers.push(Layer::Block(Block::load(
                &scope.at(layers.len()),
                channels,
            )?));
        }
    }
    let last = config.encoder_channels[config.encoder_channels.len() - 1];
    let out = [last, config.latent_channels];
    layers.push(Layer::Conv(Conv2d::load(&scope.at(layers.len()), out, 3)?));
    Ok(layers)
}

/// `offset`: of the first layer's number in the file.
fn load_decoder(config: &TinyConfig, scope: &Scope<'_>, offset: usize) -> Result<Vec<Layer>> {
    let first = [config.latent_channels, config.decoder_channels[0]];
    let mut layers = vec![
        Layer::Conv(Conv2d::load(&scope.at(offset), first, 3)?),
        Layer::Relu,
    ];
    let mut index = offset + layers.len(); // in the file, where upsampling counts as a layer
    let last = config.decoder_blocks.len() - 1;
    for (level, (&blocks, &channels)) in config
        .decoder_blocks
        .iter()
        .zip(&config.decoder_channels)
        .enumerate()
    {
        for _ in 0..blocks {
            layers.push(Layer::Block(Block::load(&scope.at(index), channels)?));
            index += 1;
        }
        if level < last {
            let conv = Conv2d::load_without_bias(&scope.at(index + 1), [channels; 2], 3)?;
            layers.push(Layer::UpsampleConv(conv));
            index += 2;
        } else {
            layers.push(Layer::Conv(Conv2d::load(
                &scope.at(index),
                [channels, 3],
                3,
            )?));
        }
    }
    Ok(layers)
}

/// The decoder of a tiny autoencoder alone, as published for previews. It takes latents of unit
/// variance.
pub struct TinyDecoder {
    latent_channels: usize,
    layers: Vec<Layer>,
}

/// Blocks a level of every published decoder.
const DECODER_BLOCKS: [usize; 4] = [3, 3, 3, 1];

impl TinyDecoder {
    /// `width`: channels of its layers, 64 in the published ones. Loads the weights under its makers'
    /// names (layers in a row, the first of them without weights),
    /// or under diffusers'.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(latent_channels: usize, width: usize, root: &Scope<'_>) -> Result<Self> {
        let config = TinyConfig {
            latent_channels,
            encoder_channels: Vec::new(),
            decoder_channels: vec![width; DECODER_BLOCKS.len()],
            encoder_blocks: Vec::new(),
            decoder_blocks: DECODER_BLOCKS.to_vec(),
            scaling_factor: 1.0,
        };
        let theirs = root.at("decoder.layers");
        let layers = if theirs.has("0.weight") {
            load_decoder(&config, &theirs, 0)?
        } else {
            load_decoder(&config, root, 1)?
        };
        Ok(Self {
            latent_channels,
            layers,
        })
    }
}

impl Autoencoder for TinyDecoder {
    fn latent_channels(&self) -> usize {
        self.latent_channels
    }

    fn factor(&self) -> usize {
        1 << (DECODER_BLOCKS.len() - 1)
    }

    fn scaling_factor(&self) -> f64 {
        1.0
    }

    fn is_tiny(&self) -> bool {
        true
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, _picture: &Act, _cancel: &CancelToken) -> Result<Moments> {
        Err(EngineError::Compute {
            op: "encode".to_owned(),
            reason: "this file holds a decoder alone".to_owned(),
        })
    }

    fn decode(&self, latents: &Act, cancel: &CancelToken) -> Result<Act> {
        decode(&self.layers, latents, cancel)
    }
}

fn decode(layers: &[Layer], latents: &Act, cancel: &CancelToken) -> Result<Act> {
    let x = run(layers, ops::soft_clamp_3(latents)?, cancel)?;
    ops::affine(&x, 2.0, -1.0)
}

impl Autoencoder for TinyAutoencoder {
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
        true
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, picture: &Act, cancel: &CancelToken) -> Result<Moments> {
        let x = ops::affine(picture, 0.5, 0.5)?;
        Ok(Moments {
            mean: run(&self.encoder, x, cancel)?.to_tensor()?,
            std: None,
        })
    }

    fn decode(&self, latents: &Act, cancel: &CancelToken) -> Result<Act> {
        decode(&self.decoder, latents, cancel)
    }
}

/// Whether `vae/config.json` describes a tiny autoencoder.
pub fn is_tiny(class: Option<&Value>) -> bool {
    class.and_then(Value::as_str) == Some("AutoencoderTiny")
}
