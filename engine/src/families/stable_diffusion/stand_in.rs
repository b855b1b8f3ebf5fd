//! Autoencoders in files of their own that stand in for a model's: full ones (VAE files) in LDM's or
//! diffusers' names, and decoders of TAESD in its makers' layout or diffusers'.

use std::collections::BTreeMap;

use super::autoencoder::AutoencoderConfig;
use super::autoencoder_tiny::TinyDecoder;
use super::single::vae_config;
use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::families::model::{Autoencoder, StandIn};
use crate::nn::Compute;
use crate::weights::Weights;
use crate::weights::files::{ByteSource, ModelFiles};
use crate::weights::format;
use crate::weights::single::SingleFile;

/// Loads a full autoencoder, or the decoder of a tiny one.
pub(super) fn load(
    wanted: &StandIn<'_>,
    compute: &Compute,
    cancel: &CancelToken,
) -> Result<Box<dyn Autoencoder>> {
    let loaded = if wanted.tiny {
        load_tiny(wanted, compute, cancel)?
    } else {
        load_full(wanted, compute, cancel)?
    };
    let fits =
        loaded.latent_channels() == wanted.latent_channels && loaded.factor() == wanted.factor;
    if !fits {
        return Err(EngineError::UnsupportedModel {
            path: wanted.path.to_owned(),
            found: format!(
                "an autoencoder with {} latent channels, each pixel of which stands for {} of the picture",
                loaded.latent_channels(),
                loaded.factor()
            ),
            remedy: format!(
                "this model's latents have {} channels, {} pixels a side: choose a VAE of its family",
                wanted.latent_channels, wanted.factor
            ),
        });
    }
    Ok(loaded)
}

fn load_full(
    wanted: &StandIn<'_>,
    compute: &Compute,
    cancel: &CancelToken,
) -> Result<Box<dyn Autoencoder>> {
    let file = SingleFile::open(wanted.path)?;
    let mut config = vae_config(&file);
    // No file says it; it belongs to the latents that the model was trained on.
    config["scaling_factor"] = wanted.scaling_factor.into();
    let made = BTreeMap::from([(
        "vae/config.json".to_owned(),
        config.to_string().into_bytes().into(),
    )]);
    let files = ModelFiles::single(wanted.path, made);
    let (loaded, _unused) = AutoencoderConfig::read(&files)?.load(&files, compute, cancel)?;
    Ok(loaded)
}

fn load_tiny(
    wanted: &StandIn<'_>,
    compute: &Compute,
    cancel: &CancelToken,
) -> Result<Box<dyn Autoencoder>> {
    let source = ByteSource::open(wanted.path)?;
    let header = (format::identify(&source)?.read_header)(&source)?;
    let first = ["1.weight", "decoder.layers.0.weight"]
        .iter()
        .find_map(|name| header.entries.get(*name));
    let Some(&[width, channels, ..]) = first.map(|entry| entry.shape.as_slice()) else {
        return Err(EngineError::bad_file(
            wanted.path,
            "no decoder of a tiny autoencoder",
            "choose a file such as taesd_decoder.safetensors",
        ));
    };
    let weights = Weights::from_shards(wanted.path.to_owned(), vec![source], cancel)?;
    Ok(Box::new(TinyDecoder::load(
        channels,
        width,
        &weights.root(compute),
    )?))
}
