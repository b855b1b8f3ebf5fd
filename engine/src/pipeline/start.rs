//! How a run begins and ends: from noise, from a picture, or from a picture with a mask; and how the
//! result gets its place. The order in which random numbers are drawn is the reference's (diffusers'
//! Stable Diffusion pipelines): the encoder's posterior, then the noise, then the masked picture's.

use candle_core::{Device, Tensor};

use super::crop::{cropped, cropped_mask, resized};
use super::mask::{Feather, Rect, context_crop, context_size, on_latents, painted_bounds};
use super::paste::{paste, unmasked_pixels_equal};
use super::pixels::tensor_from_picture;
use super::{Inputs, fill};
use crate::denoiser::Level;
use crate::error::{EngineError, Result};
use crate::latent::Latents;
use crate::nn::Act;
use crate::noise::NoiseSource;
use crate::raster::{Mask, Picture};
use crate::recipe::{Inpaint, InpaintArea, MaskedContent, Recipe};
use crate::samplers::Trajectory;

/// Everything the loop needs to begin and to end.
pub(super) struct Start {
    /// The first latents.
    pub(super) latents: Latents,
    /// Further input channels of inpainting models.
    pub(super) extra: Option<Tensor>,
    /// The known area, where an ordinary model inpaints.
    pub(super) blend: Option<Blend>,
    /// Size of the picture the model makes, without padding.
    pub(super) made_px: [u32; 2],
    place: Option<Place>,
}

/// The known area of inpainting: re-noised to each level and put back.
pub(super) struct Blend {
    /// Clean latents of the opened picture.
    known: Latents,
    /// The run's first noise.
    noise: Latents,
    /// (1, 1, h, w), 1 = repaint.
    mask: Tensor,
}

impl Blend {
    /// `latents` where the mask repaints, the known picture at that level elsewhere.
    pub(super) fn keep_known(&self, latents: &Latents, level: &Level) -> Result<Latents> {
        let known = level.noised(&self.known, &self.noise)?;
        let repainted = latents.tensor().broadcast_mul(&self.mask)?;
        let kept = known
            .tensor()
            .broadcast_mul(&self.mask.affine(-1.0, 1.0)?)?;
        Ok(Latents::new((repainted + kept)?))
    }
}

/// Where the model's picture is pasted.
struct Place {
    original: Picture,
    painted: Mask,
    weights: Vec<f32>,
    crop: Rect,
}

impl Start {
    pub(super) fn prepare(
        recipe: &Recipe,
        inputs: &Inputs<'_>,
        trajectory: &Trajectory,
        noise: &mut dyn NoiseSource,
    ) -> Result<Self> {
        let inpaint = recipe
            .start
            .as_ref()
            .and_then(|start| start.inpaint.as_ref());
        match (inputs.start, inpaint) {
            (None, _) => from_noise(recipe, inputs, trajectory, noise),
            (Some((picture, Some(mask))), Some(inpaint)) => {
                let masked = Masked::prepare(picture, mask, inpaint, inputs)?;
                from_masked_picture(recipe, inpaint.content, masked, inputs, trajectory, noise)
            }
            (Some((picture, _)), _) => from_picture(recipe, picture, inputs, trajectory, noise),
        }
    }

    /// `[x, y, width, height]` of the model's picture in the whole.
    pub(super) fn bounds_px(&self) -> [u32; 4] {
        match &self.place {
            Some(place) => [
                place.crop.x,
                place.crop.y,
                place.crop.width,
                place.crop.height,
            ],
            None => [0, 0, self.made_px[0], self.made_px[1]],
        }
    }

    /// Puts the decoded picture in its place; says whether all unpainted pixels are unchanged.
    pub(super) fn finish(self, made: Picture) -> (Picture, Option<bool>) {
        let Some(place) = self.place else {
            return (made, None);
        };
        let made = resized(&made, [place.crop.width, place.crop.height]);
        let corner = [place.crop.x, place.crop.y];
        let result = paste(&place.original, &made, corner, &place.weights);
        let verified = unmasked_pixels_equal(&place.original, &result, &place.painted);
        (result, Some(verified))
    }
}

/// Latents' shape for a picture of `size_px`, padded to the model's multiple.
fn latent_shape(inputs: &Inputs<'_>, [width, height]: [u32; 2]) -> [usize; 4] {
    let facts = inputs.model.facts();
    let side = |px: u32| (px as usize).div_ceil(facts.factor);
    [1, facts.latent_channels, side(height), side(width)]
}

fn draw(noise: &mut dyn NoiseSource, shape: [usize; 4], device: &Device) -> Result<Latents> {
    Latents::from_values(noise.standard_normal(shape.iter().product()), shape, device)
}

/// Encodes a picture and samples the encoder's posterior, where it has one.
fn encode(picture: &Picture, inputs: &Inputs<'_>, noise: &mut dyn NoiseSource) -> Result<Latents> {
    let tensor = tensor_from_picture(picture, inputs.model.facts().factor, inputs.device)?;
    encode_tensor(tensor, inputs, noise)
}

fn encode_tensor(
    tensor: Tensor,
    inputs: &Inputs<'_>,
    noise: &mut dyn NoiseSource,
) -> Result<Latents> {
    let autoencoder = inputs.autoencoder;
    let moments = autoencoder.encode(&Act::from_tensor(tensor), inputs.cancel)?;
    let sample = match moments.std {
        Some(std) => {
            let mean = Latents::new(moments.mean);
            let epsilon = draw(noise, mean.shape(), inputs.device)?;
            Latents::new((mean.tensor() + (std * epsilon.tensor())?)?)
        }
        None => Latents::new(moments.mean),
    };
    sample.scaled(autoencoder.scaling_factor())
}

fn from_noise(
    recipe: &Recipe,
    inputs: &Inputs<'_>,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
) -> Result<Start> {
    if inputs.model.facts().edits {
        return Err(EngineError::invalid(
            "start",
            "this model changes a picture: open one first, or choose another model",
        ));
    }
    if inputs.model.facts().inpainting {
        // Nothing is known: repaint all of an empty picture, as such models were trained to.
        return from_nothing(recipe, inputs, trajectory, noise);
    }
    let made_px = [recipe.width_px, recipe.height_px];
    let latents = draw(noise, latent_shape(inputs, made_px), inputs.device)?;
    let latents = latents.scaled(trajectory.noise_scale())?;
    Ok(Start {
        latents,
        extra: None,
        blend: None,
        made_px,
        place: None,
    })
}

fn from_nothing(
    recipe: &Recipe,
    inputs: &Inputs<'_>,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
) -> Result<Start> {
    let made_px = [recipe.width_px, recipe.height_px];
    let shape = latent_shape(inputs, made_px);
    let latents = draw(noise, shape, inputs.device)?.scaled(trajectory.noise_scale())?;
    let factor = inputs.model.facts().factor;
    let grey = Tensor::zeros(
        (1, 3, shape[2] * factor, shape[3] * factor),
        candle_core::DType::F32,
        inputs.device,
    )?;
    let empty = encode_tensor(grey, inputs, noise)?;
    let mask = Tensor::ones(
        (1, 1, shape[2], shape[3]),
        candle_core::DType::F32,
        inputs.device,
    )?;
    let extra = Some(Tensor::cat(&[&mask, empty.tensor()], 1)?);
    Ok(Start {
        latents,
        extra,
        blend: None,
        made_px,
        place: None,
    })
}

/// Whether nothing of the start picture is left in the first latents.
fn is_full_strength(recipe: &Recipe) -> bool {
    let start = recipe.start.as_ref();
    start.is_none_or(|start| start.strength >= 1.0)
}

/// What a model that changes pictures sees: the mean of the picture's latents, without scaling factor.
fn shown(picture: &Picture, inputs: &Inputs<'_>) -> Result<Option<Tensor>> {
    let facts = inputs.model.facts();
    if !facts.edits {
        return Ok(None);
    }
    let tensor = Act::from_tensor(tensor_from_picture(picture, facts.factor, inputs.device)?);
    let moments = inputs.autoencoder.encode(&tensor, inputs.cancel)?;
    Ok(Some(moments.mean))
}

fn from_picture(
    recipe: &Recipe,
    picture: &Picture,
    inputs: &Inputs<'_>,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
) -> Result<Start> {
    if inputs.model.facts().inpainting {
        return Err(EngineError::invalid(
            "mask",
            "this model repaints masked areas: paint a mask, or choose another model",
        ));
    }
    let made_px = [picture.width_px, picture.height_px];
    let extra = shown(picture, inputs)?;
    // Such models see the picture anyway: the reference begins with noise alone.
    let latents = if extra.is_some() && is_full_strength(recipe) {
        let epsilon = draw(noise, latent_shape(inputs, made_px), inputs.device)?;
        epsilon.scaled(trajectory.noise_scale())?
    } else {
        let known = encode(picture, inputs, noise)?;
        let epsilon = draw(noise, known.shape(), inputs.device)?;
        trajectory.start().noised(&known, &epsilon)?
    };
    Ok(Start {
        latents,
        extra,
        blend: None,
        made_px,
        place: None,
    })
}

/// A picture with its mask, cropped and sized for the model.
struct Masked {
    /// What the model sees.
    picture: Picture,
    /// What it repaints, binary, of the same size.
    repainted: Mask,
    place: Place,
}

impl Masked {
    fn prepare(
        picture: &Picture,
        mask: &Mask,
        inpaint: &Inpaint,
        inputs: &Inputs<'_>,
    ) -> Result<Self> {
        let size = [picture.width_px, picture.height_px];
        if [mask.width_px, mask.height_px] != size {
            return Err(EngineError::invalid(
                "mask",
                format!(
                    "is {} x {} pixels, but the picture is {} x {}: they must be of one size",
                    mask.width_px, mask.height_px, size[0], size[1]
                ),
            ));
        }
        let bounds = painted_bounds(mask).ok_or_else(|| {
            EngineError::invalid("mask", "nothing is painted: paint what to repaint first")
        })?;
        let facts = inputs.model.facts();
        let whole = Rect {
            x: 0,
            y: 0,
            width: size[0],
            height: size[1],
        };
        let (crop, shown) = match inpaint.area {
            InpaintArea::WholePicture => (whole, size),
            InpaintArea::OnlyMasked { padding_px } => {
                let padding = padding_px + inpaint.blur_px;
                let crop = context_crop(bounds, padding, facts.native_px, size);
                (
                    crop,
                    context_size(crop, facts.native_px, facts.factor as u32),
                )
            }
        };
        let feather = Feather::new(mask, inpaint.blur_px);
        let repainted = cropped_mask(&feather.repainted(mask), crop, shown);
        let mut seen = resized(&cropped(picture, crop), shown);
        if inpaint.content == MaskedContent::Fill {
            seen = fill::fill_from_surroundings(&seen, &repainted);
        }
        let weights = feather.weights(mask);
        let place = Place {
            original: picture.clone(),
            painted: mask.clone(),
            weights,
            crop,
        };
        Ok(Self {
            picture: seen,
            repainted,
            place,
        })
    }
}

fn from_masked_picture(
    recipe: &Recipe,
    content: MaskedContent,
    masked: Masked,
    inputs: &Inputs<'_>,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
) -> Result<Start> {
    let facts = inputs.model.facts();
    let made_px = [masked.picture.width_px, masked.picture.height_px];
    let shape = latent_shape(inputs, made_px);
    let full_strength = is_full_strength(recipe);
    let values = on_latents(&masked.repainted, facts.factor, [shape[3], shape[2]]);
    let mask = Tensor::from_vec(values, (1, 1, shape[2], shape[3]), inputs.device)?;

    let known = if facts.inpainting && full_strength {
        None
    } else {
        Some(encode(&masked.picture, inputs, noise)?)
    };
    let epsilon = draw(noise, shape, inputs.device)?;
    let latents = match &known {
        Some(known) if !full_strength => {
            let begun = with_content(known, &epsilon, &mask, content)?;
            trajectory.start().noised(&begun, &epsilon)?
        }
        _ => epsilon.scaled(trajectory.noise_scale())?,
    };
    let mut start = Start {
        latents,
        extra: shown(&masked.picture, inputs)?,
        blend: None,
        made_px,
        place: Some(masked.place),
    };
    if facts.inpainting {
        let hidden = hide_masked(&masked.picture, &masked.repainted, inputs)?;
        let hidden = encode_tensor(hidden, inputs, noise)?;
        start.extra = Some(Tensor::cat(&[&mask, hidden.tensor()], 1)?);
    } else if let Some(known) = known {
        // The reference encodes the masked picture here too and never looks at it: only its random
        // draw counts, for what samplers draw afterwards.
        if !inputs.autoencoder.is_deterministic() {
            noise.standard_normal(shape.iter().product());
        }
        start.blend = Some(Blend {
            known,
            noise: epsilon,
            mask,
        });
    }
    Ok(start)
}

/// What the masked area of clean latents holds before noise is added.
fn with_content(
    known: &Latents,
    noise: &Latents,
    mask: &Tensor,
    content: MaskedContent,
) -> Result<Latents> {
    let inside = match content {
        MaskedContent::Original | MaskedContent::Fill => return Ok(known.clone()),
        MaskedContent::Noise => noise.tensor().broadcast_mul(mask)?,
        MaskedContent::Nothing => known.tensor().zeros_like()?,
    };
    let outside = known.tensor().broadcast_mul(&mask.affine(-1.0, 1.0)?)?;
    Ok(Latents::new((inside + outside)?))
}

/// The picture with the repainted area at mid grey (0 in -1 to 1), as inpainting models saw it in
/// training.
fn hide_masked(picture: &Picture, repainted: &Mask, inputs: &Inputs<'_>) -> Result<Tensor> {
    let tensor = tensor_from_picture(picture, inputs.model.facts().factor, inputs.device)?;
    let (_, _, height, width) = tensor.dims4()?;
    let keep = on_latents_grid(repainted, [width, height]);
    let keep = Tensor::from_vec(keep, (1, 1, height, width), inputs.device)?;
    Ok(tensor.broadcast_mul(&keep)?)
}

/// 1 where a pixel is kept, on a grid grown to `size` (width, height) by repeating the edge.
fn on_latents_grid(repainted: &Mask, [width, height]: [usize; 2]) -> Vec<f32> {
    let (inner_width, inner_height) = (repainted.width_px as usize, repainted.height_px as usize);
    (0..width * height)
        .map(|at| {
            let (x, y) = (
                (at % width).min(inner_width - 1),
                (at / width).min(inner_height - 1),
            );
            f32::from(u8::from(repainted.values[y * inner_width + x] < 128))
        })
        .collect()
}
