//! Autoencoders that stand in for the loaded model's own: the VAE that a recipe names, and the tiny
//! decoder for previews and quick pictures. Which ones, and loading them.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::Worker;
use crate::cancel::CancelToken;
use crate::catalog::Catalog;
use crate::catalog::decoders::{AutoencoderInfo, AutoencoderKind};
use crate::catalog::hash::hash_file;
use crate::catalog::scan::Found;
use crate::error::{EngineError, Result};
use crate::families::model::{Autoencoder, Model, StandIn};
use crate::families::{FamilySpec, identify};
use crate::nn::Compute;
use crate::preview::PreviewMode;
use crate::recipe::{DecodeTiles, FinalDecoder, ModelRef, Recipe, VaeChoice};

/// Those in memory, for one model.
#[derive(Default)]
pub(super) struct StandIns {
    vae: Option<Held>,
    tiny: Option<Held>,
}

/// A loaded file.
struct Held {
    path: PathBuf,
    stamp: Option<(u64, u128)>,
    sha256: String,
    autoencoder: Box<dyn Autoencoder>,
}

/// Settles what a recipe leaves open, by the catalogue: what the model predicts, which VAE an automatic
/// choice means, which tiny decoder draws the picture. Returns what the user should know.
///
/// # Errors
/// `InvalidRequest` when what it names is not there.
pub(super) fn settle(recipe: &mut Recipe, found: &Found, catalog: &Catalog) -> Result<Vec<String>> {
    let mut notes = Vec::from_iter(pin_prediction(recipe, found));
    let network = &mut recipe.network;
    if network.vae == VaeChoice::Automatic {
        let model = found.info.path.as_deref();
        let beside = model.and_then(|model| catalog.vae_beside(model));
        network.vae = beside.map_or(VaeChoice::Model, |vae| VaeChoice::File(named(vae)));
    }
    if let VaeChoice::File(wanted) = &mut network.vae {
        let vae = catalog.vae(wanted)?;
        wanted.id = vae.id.clone();
        if let Some(space) = vae.space.filter(|_| vae.is_foreign(&found.info)) {
            notes.push(format!(
                "the VAE “{}” is by its name one for {}, whose latents are others than this model's: \
                 colours and details will be wrong",
                vae.id,
                space.label()
            ));
        }
    }
    let own_is_tiny = found.info.storage.latents.tiny && network.vae == VaeChoice::Model;
    if let FinalDecoder::Tiny { file } = &mut network.decoder {
        // Where the model's own decoder is one, it needs no other.
        network.decoder = match own_is_tiny {
            true => FinalDecoder::Full,
            false => tiny_for(file.take(), found, catalog, &mut notes)?,
        };
    }
    Ok(notes)
}

/// Settles whether a recipe of a settled decoder and size is decoded in tiles.
pub(super) fn settle_tiles(recipe: &mut Recipe) {
    let size_px = [recipe.width_px, recipe.height_px];
    let network = &mut recipe.network;
    network.tiles = match network.tiles {
        // A tiny one takes little, whatever the size.
        DecodeTiles::Automatic if !network.decoder.is_full() => DecodeTiles::Whole,
        tiles => tiles.settled(size_px, recipe.precision.has_bf16_activations()),
    };
}

/// The tiny decoder that is wanted, or the one for the model's latents; where that one was made for
/// other latents, the fitting one or none.
fn tiny_for(
    wanted: Option<ModelRef>,
    found: &Found,
    catalog: &Catalog,
    notes: &mut Vec<String>,
) -> Result<FinalDecoder> {
    let space = found.info.storage.latents.space;
    let usual = space.and_then(|space| catalog.tiny_decoder(space));
    let known = match &wanted {
        Some(wanted) => catalog.autoencoder(wanted),
        None => usual,
    };
    let tiny = known.filter(|one| one.kind == AutoencoderKind::Tiny);
    let tiny = tiny.ok_or_else(|| EngineError::invalid("network.decoder", NO_TINY))?;
    if tiny.fits(&found.info) {
        let file = ModelRef {
            sha256: wanted.and_then(|wanted| wanted.sha256),
            ..named(tiny)
        };
        return Ok(FinalDecoder::Tiny { file: Some(file) });
    }
    let other = usual.filter(|one| one.fits(&found.info));
    let instead = other.map_or("the full decoder", |other| &other.id);
    notes.push(format!(
        "the tiny decoder “{}” is for other latents than this model's: {instead} is taken",
        tiny.id
    ));
    Ok(
        other.map_or(FinalDecoder::Full, |other| FinalDecoder::Tiny {
            file: Some(named(other)),
        }),
    )
}

/// Writes into a recipe what the model is taken to predict; says so when it was otherwise before.
fn pin_prediction(recipe: &mut Recipe, found: &Found) -> Option<String> {
    let now = found.info.prediction.clone();
    let before = recipe.network.prediction.replace(now.clone());
    let before = before.filter(|before| *before != now)?;
    Some(format!(
        "the recipe's model predicted {before}, here it is taken to predict {now}: a file beside it decides"
    ))
}

const NO_TINY: &str = "no tiny decoder for this model's latents is among the models: put \
    taesd_decoder.safetensors (for Stable Diffusion XL taesdxl_decoder.safetensors) into one of their \
    folders";

fn named(file: &AutoencoderInfo) -> ModelRef {
    ModelRef {
        id: file.id.clone(),
        ..ModelRef::default()
    }
}

/// A loaded model, as stand-ins need it.
pub(super) struct Around<'a> {
    pub(super) family: &'static FamilySpec,
    pub(super) model: &'a dyn Model,
    pub(super) found: &'a Found,
    pub(super) compute: &'a Compute,
    pub(super) catalog: &'a Catalog,
    pub(super) cancel: &'a CancelToken,
}

impl StandIns {
    /// Loads what a settled recipe names, unless it is in memory, and puts the hashes of the files into
    /// the recipe; with `previews` also a tiny decoder where the model's own is none. Returns what the
    /// user should know.
    ///
    /// # Errors
    /// Those of reading the files that the recipe names.
    pub(super) fn follow(
        &mut self,
        recipe: &mut Recipe,
        around: &Around<'_>,
        previews: bool,
    ) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        match &mut recipe.network.vae {
            VaeChoice::File(wanted) => {
                let file = around.catalog.vae(wanted)?;
                hold(&mut self.vae, file, around)?;
                notes.extend(pin(wanted, self.vae.as_ref(), "VAE"));
            }
            VaeChoice::Model | VaeChoice::Automatic => self.vae = None,
        }
        let space = around.found.info.storage.latents.space;
        let usual = space.and_then(|space| around.catalog.tiny_decoder(space));
        match &mut recipe.network.decoder {
            FinalDecoder::Tiny { file: Some(wanted) } => {
                let file = around.catalog.autoencoder(wanted);
                let file = file.ok_or_else(|| EngineError::invalid("network.decoder", NO_TINY))?;
                hold(&mut self.tiny, file, around)?;
                notes.extend(pin(wanted, self.tiny.as_ref(), "tiny decoder"));
            }
            FinalDecoder::Tiny { file: None } | FinalDecoder::Full => {
                let wanted = usual.filter(|_| previews && !self.own_is_tiny(around.model));
                match wanted.map(|file| hold(&mut self.tiny, file, around)) {
                    Some(Err(EngineError::Cancelled)) => return Err(EngineError::Cancelled),
                    // Previews decide no pixel: without it they are coarse.
                    Some(Err(error)) => notes.push(format!("previews are coarse: {error}")),
                    Some(Ok(())) => {}
                    None => self.tiny = None,
                }
            }
        }
        Ok(notes)
    }

    /// The autoencoder of a run.
    pub(super) fn autoencoder<'a>(&'a self, model: &'a dyn Model) -> &'a dyn Autoencoder {
        let vae = self.vae.as_ref().map(|held| held.autoencoder.as_ref());
        vae.unwrap_or_else(|| model.autoencoder())
    }

    /// The decoder that makes the last picture.
    pub(super) fn last_decoder<'a>(
        &'a self,
        model: &'a dyn Model,
        recipe: &Recipe,
    ) -> &'a dyn Autoencoder {
        let tiny = self.tiny.as_ref().map(|held| held.autoencoder.as_ref());
        let quick = matches!(recipe.network.decoder, FinalDecoder::Tiny { .. });
        let tiny = tiny.filter(|_| quick);
        tiny.unwrap_or_else(|| self.autoencoder(model))
    }

    /// A decoder that is cheap enough for previews.
    pub(super) fn preview_decoder<'a>(
        &'a self,
        model: &'a dyn Model,
    ) -> Option<&'a dyn Autoencoder> {
        let own = self.own_is_tiny(model).then(|| model.autoencoder());
        own.or_else(|| self.tiny.as_ref().map(|held| held.autoencoder.as_ref()))
    }

    /// Whether the run's own autoencoder does for previews.
    fn own_is_tiny(&self, model: &dyn Model) -> bool {
        self.vae.is_none() && model.autoencoder().is_tiny()
    }
}

impl Worker {
    /// Loads the autoencoders that stand in for the loaded model's own.
    pub(super) fn follow_stand_ins(
        &mut self,
        recipe: &mut Recipe,
        cancel: &CancelToken,
    ) -> Result<Vec<String>> {
        let Some(loaded) = &mut self.loaded else {
            return Ok(Vec::new());
        };
        let around = Around {
            family: identify(&loaded.found.files)?,
            model: loaded.model.as_ref(),
            found: &loaded.found,
            compute: &self.backend.compute(recipe.precision).beside_the_network(),
            catalog: &self.shared.catalog(),
            cancel,
        };
        let previews = self.tuning.previews == PreviewMode::Tiny;
        loaded.stand_ins.follow(recipe, &around, previews)
    }
}

/// Loads a file, unless it is the one that is held and did not change.
fn hold(slot: &mut Option<Held>, file: &AutoencoderInfo, around: &Around<'_>) -> Result<()> {
    let stamp = stamp_of(&file.path);
    let same = |held: &Held| held.path == file.path && held.stamp == stamp && stamp.is_some();
    if slot.as_ref().is_some_and(same) {
        return Ok(());
    }
    *slot = None;
    let facts = around.model.facts();
    let wanted = StandIn {
        path: &file.path,
        tiny: file.kind == AutoencoderKind::Tiny,
        latent_channels: facts.latent_channels,
        factor: facts.factor,
        scaling_factor: around.model.autoencoder().scaling_factor(),
    };
    let autoencoder = (around.family.stand_in)(&wanted, around.compute, around.cancel)?;
    // The catalogue's hash may be that of a file that was overwritten since.
    let unchanged = stamp == Some((file.size_bytes, file.changed));
    let sha256 = match &file.sha256 {
        Some(known) if unchanged => known.clone(),
        _ => hash_file(&file.path, around.cancel)?,
    };
    *slot = Some(Held {
        path: file.path.clone(),
        stamp,
        sha256,
        autoencoder,
    });
    Ok(())
}

/// Length and time of change.
fn stamp_of(path: &Path) -> Option<(u64, u128)> {
    let facts = std::fs::metadata(path).ok()?;
    let changed = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((facts.len(), changed.as_nanos()))
}

/// Puts a file's hash into the recipe; says so when the recipe was made with another file.
fn pin(wanted: &mut ModelRef, held: Option<&Held>, what: &str) -> Option<String> {
    let sha256 = &held?.sha256;
    let begins = |known: &String| sha256.starts_with(known.as_str());
    let same = [&wanted.sha256, &wanted.short_hash]
        .into_iter()
        .flatten()
        .all(begins);
    let note = (!same).then(|| format!("the {what} differs from the one the recipe names"));
    wanted.sha256 = Some(sha256.clone());
    wanted.short_hash = None;
    note
}
