//! Latents: the picture in the autoencoder's space, while it forms.

use candle_core::{DType, Device, Tensor};

use crate::error::{EngineError, Result};

/// Latents (1, C, H/f, W/f), f32, on the pipeline's device. A value: every operation gives a new one.
#[derive(Clone, Debug)]
pub struct Latents(Tensor);

impl Latents {
    /// Wraps a (1, C, h, w) f32 tensor.
    pub fn new(tensor: Tensor) -> Self {
        debug_assert_eq!(tensor.dtype(), DType::F32);
        Self(tensor)
    }

    /// Values in row-major (1, C, h, w) order, moved to the device.
    ///
    /// # Errors
    /// `Compute` when the length does not fit the shape or the device is out of memory.
    pub fn from_values(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Result<Self> {
        Ok(Self(Tensor::from_vec(values, shape.as_slice(), device)?))
    }

    /// (1, C, h, w).
    pub fn shape(&self) -> [usize; 4] {
        let dims = self.0.dims();
        [dims[0], dims[1], dims[2], dims[3]]
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.elem_count()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor behind.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// Copies the values to the host, row-major.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn to_values(&self) -> Result<Vec<f32>> {
        Ok(self.0.flatten_all()?.to_vec1()?)
    }

    /// `scale * self`.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn scaled(&self, scale: f64) -> Result<Self> {
        Ok(Self(self.0.affine(scale, 0.0)?))
    }

    /// Each value held between `-limit` and `limit`.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn clamped(&self, limit: f64) -> Result<Self> {
        Ok(Self(self.0.clamp(-limit, limit)?))
    }

    /// The sum of `coefficient * latents` over all terms, which have one shape.
    ///
    /// # Errors
    /// `Compute` when shapes differ or the device fails.
    pub fn combine(terms: &[(f64, &Self)]) -> Result<Self> {
        let Some(((scale, first), rest)) = terms.split_first() else {
            return Err(EngineError::Compute {
                op: "latents".to_owned(),
                reason: "a combination of nothing".to_owned(),
            });
        };
        let mut sum = first.scaled(*scale)?;
        for (scale, term) in rest {
            sum = Self((&sum.0 + term.0.affine(*scale, 0.0)?)?);
        }
        Ok(sum)
    }
}

/// Latent spaces that autoencoders of different makers share: what one of them encodes, any other of
/// the same space decodes. Neither shapes nor names in a file tell them apart; the file's own name may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatentSpace {
    /// Of Stable Diffusion 1 and 2.
    StableDiffusion,
    /// Of Stable Diffusion XL.
    StableDiffusionXl,
}

impl LatentSpace {
    /// The space of a model with that many latent channels and that scaling factor, if it is one of
    /// these.
    pub fn of_model(channels: usize, scaling_factor: f64) -> Option<Self> {
        let is = |published: f64| (scaling_factor - published).abs() < 1e-6;
        match channels {
            4 if is(0.18215) => Some(Self::StableDiffusion),
            4 if is(0.13025) => Some(Self::StableDiffusionXl),
            _ => None,
        }
    }

    /// The space of a full autoencoder with that many latent channels, where its name says it as those of
    /// the well-known ones do: `sdxl_vae`, `vae-ft-mse-840000-ema-pruned`, `kl-f8-anime2`.
    pub fn of_vae(channels: usize, name: &str) -> Option<Self> {
        const USUAL: &[&str] = &["vae-ft-", "kl-f8", "sd15", "sd1.5", "sd-v1", "v1-5"];
        let name = name.to_lowercase();
        match channels {
            4 if name.contains("xl") => Some(Self::StableDiffusionXl),
            4 if USUAL.iter().any(|word| name.contains(word)) => Some(Self::StableDiffusion),
            _ => None,
        }
    }

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::StableDiffusion => "Stable Diffusion 1 and 2",
            Self::StableDiffusionXl => "Stable Diffusion XL",
        }
    }

    /// The space of a tiny autoencoder with that many latent channels, by its published name: TAESD,
    /// TAESDXL and their kin.
    pub fn of_tiny(channels: usize, name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        match channels {
            4 if name.contains("xl") => Some(Self::StableDiffusionXl),
            4 if name.contains("taesd") => Some(Self::StableDiffusion),
            _ => None,
        }
    }
}
