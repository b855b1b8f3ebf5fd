//! `unet/config.json` of diffusers' `UNet2DConditionModel`, read strictly.

use serde_json::{Value, json};

use crate::error::Result;
use crate::families::config::Config;
use crate::weights::files::ModelFiles;

/// One resolution level of the UNet, from the finest.
#[derive(Clone, Debug)]
pub struct Level {
    /// Channels.
    pub channels: usize,
    /// Residual blocks on the way down (one more on the way up).
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Transformer blocks on the way down.
    pub depth_down: usize,
    /// Transformer blocks on the way up.
    pub depth_up: usize,
    /// Channels of the text tokens.
    pub context_channels: usize,
    /// Whether there is cross-attention on the way down.
    pub attention_down: bool,
    /// Whether there is cross-attention on the way up.
    pub attention_up: bool,
}

/// The block between down and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middle {
    /// Residual, transformer, residual.
    CrossAttention,
    /// One residual block.
    Plain,
    /// Nothing.
    Absent,
}

/// Sizes of a UNet.
#[derive(Clone, Debug)]
pub struct UnetConfig {
    /// Channels of the input: latents, and mask and masked picture of inpainting models.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Native latents' side, if the file says.
    pub sample_size: Option<[usize; 2]>,
    /// Levels from the finest.
    pub levels: Vec<Level>,
    /// The block between.
    pub middle: Middle,
    /// Groups of the group norms.
    pub groups: usize,
    /// Epsilon of the residual blocks' norms.
    pub epsilon: f64,
    /// Linear projections around the transformers.
    pub linear_projection: bool,
    /// Cosine before sine in the time embedding.
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    pub freq_shift: f64,
    /// Channels of the time embedding.
    pub time_channels: usize,
    /// Channels of the guidance embedding of distilled models (LCM), if any.
    pub guidance_channels: Option<usize>,
    /// Kernel of the first convolution.
    pub kernel_in: usize,
    /// Kernel of the last convolution.
    pub kernel_out: usize,
    /// Padding of the downsampling convolutions.
    pub downsample_padding: usize,
    /// Whether the input is moved from 0..1 to -1..1 first.
    pub center_input: bool,
    /// What is added to the time embedding: Stable Diffusion XL's text and sizes.
    pub added: Option<Added>,
}

/// The whole text and some numbers, added to the time embedding (Podell et al. 2023, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Channels of the text's vector and of all numbers' embeddings together.
    pub channels: usize,
    /// Channels of each number's sinusoidal embedding.
    pub number_channels: usize,
}

impl UnetConfig {
    /// Reads `unet/config.json`.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub fn read(files: &ModelFiles) -> Result<Self> {
        let mut config = Config::read(files, "unet/config.json")?;
        let this = read_fields(&mut config)?;
        check_idle(&mut config)?;
        config.finish()?;
        Ok(this)
    }
}

fn read_fields(config: &mut Config) -> Result<UnetConfig> {
    let channels = config.count_list("block_out_channels", &[320, 640, 1280, 1280])?;
    let levels = read_levels(config, &channels)?;
    let middle = match config.value("mid_block_type") {
        // Absent means the default, an explicit null means none; both read as `None` here.
        None => Middle::CrossAttention,
        Some(Value::String(name)) if name == "UNetMidBlock2DCrossAttn" => Middle::CrossAttention,
        Some(Value::String(name)) if name == "UNetMidBlock2D" => Middle::Plain,
        Some(other) => {
            let other = other.clone();
            return Err(config.unsupported("mid_block_type", &other));
        }
    };
    let middle = if config.is_null("mid_block_type") {
        Middle::Absent
    } else {
        middle
    };
    let groups = config.count("norm_num_groups", 32)?;
    if let Some(bad) = channels.iter().find(|&&channels| channels % groups != 0) {
        return Err(config.bad("norm_num_groups", &format!("must divide {bad} channels")));
    }
    let odd = |config: &Config, name: &str, kernel: usize| {
        if kernel % 2 == 1 {
            Ok(kernel)
        } else {
            Err(config.bad(name, "must be odd"))
        }
    };
    let kernel_in = config.count("conv_in_kernel", 3)?;
    let kernel_out = config.count("conv_out_kernel", 3)?;
    let default_time = 4 * channels[0];
    if channels[0] % 2 != 0 {
        return Err(config.bad("block_out_channels", "must begin with an even number"));
    }
    Ok(UnetConfig {
        in_channels: config.count("in_channels", 4)?,
        out_channels: config.count("out_channels", 4)?,
        sample_size: read_sample_size(config)?,
        levels,
        middle,
        groups,
        epsilon: config.number("norm_eps", 1e-5)?,
        linear_projection: config.flag("use_linear_projection", false)?,
        flip_sin_to_cos: config.flag("flip_sin_to_cos", true)?,
        freq_shift: config.number("freq_shift", 0.0)?,
        time_channels: config.count("time_embedding_dim", default_time)?,
        guidance_channels: config.optional_count("time_cond_proj_dim")?,
        kernel_in: odd(config, "conv_in_kernel", kernel_in)?,
        kernel_out: odd(config, "conv_out_kernel", kernel_out)?,
        downsample_padding: config.number("downsample_padding", 1.0)? as usize,
        center_input: config.flag("center_input_sample", false)?,
        added: read_added(config)?,
    })
}

fn read_added(config: &mut Config) -> Result<Option<Added>> {
    let kind = config.value("addition_embed_type").cloned();
    let number_channels = config.optional_count("addition_time_embed_dim")?;
    if kind.is_none() {
        return Ok(None); // the other fields have no effect then
    }
    config.only("addition_embed_type", &[json!("text_time")])?;
    let channels = config.optional_count("projection_class_embeddings_input_dim")?;
    match (channels, number_channels) {
        (Some(channels), Some(number_channels)) if number_channels % 2 == 0 => Ok(Some(Added {
            channels,
            number_channels,
        })),
        (None, _) => Err(config.bad("projection_class_embeddings_input_dim", "is missing")),
        _ => Err(config.bad("addition_time_embed_dim", "must be an even number")),
    }
}

fn read_levels(config: &mut Config, channels: &[usize]) -> Result<Vec<Level>> {
    const DOWN: [&str; 2] = ["CrossAttnDownBlock2D", "DownBlock2D"];
    const UP: [&str; 2] = ["CrossAttnUpBlock2D", "UpBlock2D"];
    let count = channels.len();
    let down = read_kinds(
        config,
        "down_block_types",
        DOWN,
        &[true, true, true, false],
        count,
    )?;
    let mut up = read_kinds(
        config,
        "up_block_types",
        UP,
        &[false, true, true, true],
        count,
    )?;
    up.reverse(); // the file lists them from the coarsest
    let layers = config.counts("layers_per_block", count, 2)?;
    // By an old slip in the format, `attention_head_dim` is the number of heads, and the reference
    // refuses `num_attention_heads` (diffusers issue 2011).
    let heads = config.counts("attention_head_dim", count, 8)?;
    if let Some(value) = config.value("num_attention_heads").cloned() {
        return Err(config.unsupported("num_attention_heads", &value));
    }
    let depths = config.counts("transformer_layers_per_block", count, 1)?;
    let mut depths_up = depths.clone();
    if config
        .value("reverse_transformer_layers_per_block")
        .is_some()
    {
        depths_up = config.counts("reverse_transformer_layers_per_block", count, 1)?;
        depths_up.reverse(); // the file lists them from the coarsest
    }
    let context = config.counts("cross_attention_dim", count, 1280)?;
    for (level, (&channels, &heads)) in channels.iter().zip(&heads).enumerate() {
        if channels % heads != 0 && (down[level] || up[level] || level + 1 == count) {
            let why = format!("gives {heads} heads, which do not divide {channels} channels");
            return Err(config.bad("attention_head_dim", &why));
        }
    }
    Ok((0..count)
        .map(|level| Level {
            channels: channels[level],
            layers: layers[level],
            heads: heads[level],
            depth_down: depths[level],
            depth_up: depths_up[level],
            context_channels: context[level],
            attention_down: down[level],
            attention_up: up[level],
        })
        .collect())
}

/// Block kinds of one direction: whether each has cross-attention.
fn read_kinds(
    config: &mut Config,
    name: &str,
    [with, without]: [&str; 2],
    default: &[bool],
    count: usize,
) -> Result<Vec<bool>> {
    let default: Vec<&str> = default
        .iter()
        .map(|&with_it| if with_it { with } else { without })
        .collect();
    let kinds = config.texts(name, &default)?;
    if kinds.len() != count {
        return Err(config.bad(
            name,
            &format!("must have {count} entries, as block_out_channels"),
        ));
    }
    let mut has_attention = Vec::with_capacity(count);
    for kind in kinds {
        if kind != with && kind != without {
            return Err(config.unsupported(name, &json!(kind)));
        }
        has_attention.push(kind == with);
    }
    Ok(has_attention)
}

fn read_sample_size(config: &mut Config) -> Result<Option<[usize; 2]>> {
    if matches!(config.value("sample_size"), Some(Value::Array(_))) {
        let sides = config.counts("sample_size", 2, 64)?;
        return Ok(Some([sides[0], sides[1]]));
    }
    Ok(config
        .optional_count("sample_size")?
        .map(|side| [side, side]))
}

/// Fields that must stay at the value every published Stable Diffusion 1 and 2 model has.
fn check_idle(config: &mut Config) -> Result<()> {
    config.only("act_fn", &[json!("silu"), json!("swish")])?;
    config.only("attention_type", &[json!("default")])?;
    config.only("resnet_time_scale_shift", &[json!("default")])?;
    config.only("resnet_out_scale_factor", &[json!(1.0)])?;
    config.only("mid_block_scale_factor", &[json!(1.0)])?;
    config.only("time_embedding_type", &[json!("positional")])?;
    // Of `addition_embed_type` “text”, which is refused.
    config.skip(&["addition_embed_type_num_heads"]);
    // Arithmetic here is f32 in attention, which `upcast_attention` asks for; dropout is training.
    config.skip(&["upcast_attention", "dropout"]);
    // Plain and cross-attention at once: refused unless false, by `finish`.
    let only_cross = config.value("only_cross_attention").cloned();
    if let Some(Value::Array(items)) = &only_cross
        && items.iter().all(|item| *item == json!(false))
    {
        return Ok(());
    }
    config.only("only_cross_attention", &[json!(false)])
}
