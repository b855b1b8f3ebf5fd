//! Which autoencoder a model has, and how it is loaded.

use super::autoencoder_kl::{KlAutoencoder, KlConfig};
use super::autoencoder_tiny::{TinyAutoencoder, TinyConfig, is_tiny};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::config::Config;
use crate::families::model::Autoencoder;
use crate::nn::Compute;
use crate::weights::Weights;
use crate::weights::files::ModelFiles;

/// Either kind's sizes.
#[derive(Clone, Debug)]
pub enum AutoencoderConfig {
    /// With a distribution.
    Kl(KlConfig),
    /// Tiny.
    Tiny(TinyConfig),
}

impl AutoencoderConfig {
    /// Reads `vae/config.json`.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub fn read(files: &ModelFiles) -> Result<Self> {
        let mut config = Config::read(files, "vae/config.json")?;
        if is_tiny(config.value("_class_name")) {
            return Ok(Self::Tiny(TinyConfig::read(config)?));
        }
        config.only("_class_name", &["AutoencoderKL".into()])?;
        Ok(Self::Kl(KlConfig::read(config)?))
    }

    /// Picture pixels per latent pixel.
    pub fn factor(&self) -> usize {
        match self {
            Self::Kl(config) => config.factor(),
            Self::Tiny(config) => config.factor(),
        }
    }

    /// The network's latents times this have unit variance.
    pub fn scaling_factor(&self) -> f64 {
        match self {
            Self::Kl(config) => config.scaling_factor,
            Self::Tiny(config) => config.scaling_factor,
        }
    }

    /// Whether it is a tiny one.
    pub fn is_tiny(&self) -> bool {
        matches!(self, Self::Tiny(_))
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        match self {
            Self::Kl(config) => config.latent_channels,
            Self::Tiny(config) => config.latent_channels,
        }
    }

    /// Loads the weights of `vae/`; unused tensors' names are added to `unused`.
    ///
    /// # Errors
    /// As [`crate::weights::Scope::tensor`].
    pub fn load(
        self,
        files: &ModelFiles,
        compute: &Compute,
        cancel: &CancelToken,
    ) -> Result<(Box<dyn Autoencoder>, Vec<String>)> {
        let weights = Weights::open(files, "vae", cancel)?;
        let root = weights.root(compute);
        let loaded: Box<dyn Autoencoder> = match self {
            Self::Kl(config) => Box::new(KlAutoencoder::load(config, &root)?),
            Self::Tiny(config) => Box::new(TinyAutoencoder::load(config, &root)?),
        };
        Ok((loaded, weights.unused()))
    }
}
