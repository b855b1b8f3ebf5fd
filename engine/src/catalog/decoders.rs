//! Autoencoders that lie among the models on their own: VAE files that replace a model's own, and tiny
//! decoders for previews and quick pictures.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::scan::{facts_of, unique};
use super::{Catalog, ModelInfo};
use crate::error::{EngineError, Result};
use crate::latent::LatentSpace;
use crate::recipe::ModelRef;
use crate::recipe::dialects::names::stem;
use crate::weights::files::ByteSource;
use crate::weights::format;
use crate::weights::names::{Entries, sort};

/// An autoencoder in a file of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoencoderInfo {
    /// Unique among these: the file's name without its last extension, or that of its folder.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub kind: AutoencoderKind,
    /// Channels of its latents.
    pub latent_channels: u32,
    /// Picture pixels per latent pixel.
    pub factor: u32,
    /// The latent space it was made for, where its name tells.
    pub space: Option<LatentSpace>,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// Its time of change when it was found, in nanoseconds since 1970; 0: unknown.
    #[serde(default)]
    pub changed: u128,
    /// SHA-256 of the file, once it has been computed in the background.
    pub sha256: Option<String>,
}

impl AutoencoderInfo {
    /// Whether its latents may be a model's: of the same shape, and not known to be of another space.
    pub fn fits(&self, model: &ModelInfo) -> bool {
        self.latent_channels as usize == model.storage.latents.channels
            && self.factor == model.multiple_px
            && !self.is_foreign(model)
    }

    /// Whether its name says that it was made for other latents than a model's.
    pub fn is_foreign(&self, model: &ModelInfo) -> bool {
        let spaces = self.space.zip(model.storage.latents.space);
        spaces.is_some_and(|(own, wanted)| own != wanted)
    }
}

/// What an autoencoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoencoderKind {
    /// Encoder and decoder with a distribution (`AutoencoderKL`).
    Full,
    /// At least the decoder of a tiny one (TAESD).
    Tiny,
}

/// Names that say nothing: those of the files in a diffusers folder.
const NAMELESS: &[&str] = &["diffusion_pytorch_model", "model", "pytorch_model"];

/// Levels looked for; hostile files name millions.
const LEVELS_LIMIT: usize = 8;

/// What a file is that holds no whole model.
pub(super) enum Part {
    /// An autoencoder alone.
    Autoencoder(Box<AutoencoderInfo>),
    /// The encoder of a tiny one, which serves for nothing here.
    TinyEncoder,
}

/// What a file holds, if it is an autoencoder alone; told from its header.
pub(super) fn look_at(path: &Path) -> Result<Option<Part>> {
    let source = ByteSource::open(path)?;
    let size_bytes = source.len();
    let entries = (format::identify(&source)?.read_header)(&source)?.entries;
    if is_tiny_encoder(&entries) {
        return Ok(Some(Part::TinyEncoder));
    }
    let (id, name) = names_of(path);
    let shaped = tiny_shape(&entries).map(|channels| (AutoencoderKind::Tiny, channels, 8));
    let Some((kind, channels, factor)) = shaped.or_else(|| full_shape(entries)) else {
        return Ok(None);
    };
    let tiny = kind == AutoencoderKind::Tiny;
    Ok(Some(Part::Autoencoder(Box::new(AutoencoderInfo {
        id,
        path: path.to_owned(),
        kind,
        latent_channels: u32::try_from(channels).unwrap_or(u32::MAX),
        factor,
        space: if tiny {
            LatentSpace::of_tiny(channels, &name)
        } else {
            LatentSpace::of_vae(channels, &name)
        },
        size_bytes,
        changed: facts_of(path).map_or(0, |(_, changed)| changed),
        sha256: None,
    }))))
}

/// The id, and all that the names of file and folder say.
fn names_of(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let own = text(path.file_stem());
    let folder = text(path.parent().and_then(Path::file_name));
    let bare = own.split('.').next().unwrap_or(&own);
    let nameless = NAMELESS.contains(&bare) && !folder.is_empty();
    if nameless {
        (folder.clone(), format!("{folder} {own}"))
    } else {
        (own.clone(), own)
    }
}

/// Whether these are the layers of a tiny encoder, in its makers' layout: from three channels of a
/// picture, through one block, to half the size.
fn is_tiny_encoder(entries: &Entries) -> bool {
    let sides = |name: &str| entries.get(name).map(|entry| entry.shape.as_slice());
    let first = matches!(sides("0.weight"), Some([_, 3, 3, 3]));
    first && sides("1.conv.4.weight").is_some() && sides("2.weight").is_some()
}

/// Latent channels of a tiny decoder, in its makers' layout or in diffusers'.
fn tiny_shape(entries: &Entries) -> Option<usize> {
    let [first, block, last] = ["1.weight", "3.conv.0.weight", "18.conv.4.weight"];
    let own = [first, block, last].map(|name| entries.get(name));
    let theirs = ["0.weight", "2.conv.0.weight", "17.conv.4.weight"]
        .map(|name| entries.get(&format!("decoder.layers.{name}")));
    let of = |tensors: [Option<&crate::weights::element::Entry>; 3]| {
        let [first, block, last] = tensors;
        let (first, block, last) = (first?, block?, last?);
        let [width, channels, 3, 3] = first.shape[..] else {
            return None;
        };
        let square = [width, width, 3, 3];
        (block.shape == square && last.shape == square).then_some(channels)
    };
    of(own).or_else(|| of(theirs))
}

/// Kind, latent channels and factor of a full autoencoder that has the file for itself.
fn full_shape(entries: Entries) -> Option<(AutoencoderKind, usize, u32)> {
    let mut sorted = sort(entries);
    let vae = sorted.parts.remove("vae")?;
    let side = |name: &str, side: usize| vae.get(name)?.shape.get(side).copied();
    side("encoder.conv_in.weight", 0).filter(|_| sorted.parts.is_empty())?;
    let levels = (0..LEVELS_LIMIT)
        .take_while(|level| {
            let name = format!("encoder.down_blocks.{level}.resnets.0.conv1.weight");
            vae.contains_key(&name)
        })
        .count();
    let channels = side("decoder.conv_in.weight", 1)?;
    Some((AutoencoderKind::Full, channels, 1 << levels.checked_sub(1)?))
}

impl Catalog {
    /// Adds one under an id of its own.
    pub(super) fn add_autoencoder(&mut self, mut file: AutoencoderInfo) {
        let taken = |id: &str| self.autoencoders.iter().any(|other| other.id == id);
        file.id = unique(&file.id, taken);
        self.autoencoders.push(file);
    }

    /// The autoencoder that a recipe means: by its hash, else by id, path or file name, in either case
    /// of letters.
    pub fn autoencoder(&self, wanted: &ModelRef) -> Option<&AutoencoderInfo> {
        let hashes: Vec<&str> = [&wanted.sha256, &wanted.short_hash]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|hash| hash.len() >= 8)
            .collect();
        let same_hash = |one: &&AutoencoderInfo| {
            let known = one.sha256.as_deref().unwrap_or_default();
            hashes.iter().any(|hash| known.starts_with(hash))
        };
        let name = stem(&wanted.id).to_lowercase();
        let all = || self.autoencoders.iter();
        all()
            .find(same_hash)
            .or_else(|| all().find(|one| one.id == wanted.id))
            .or_else(|| all().find(|one| one.path.as_os_str() == wanted.id.as_str()))
            .or_else(|| all().find(|one| stem(&one.id).to_lowercase() == name))
            .or_else(|| all().find(|one| one.id.to_lowercase() == name))
    }

    /// As [`Self::autoencoder`], of the full ones.
    ///
    /// # Errors
    /// `InvalidRequest` that names those there are.
    pub fn vae(&self, wanted: &ModelRef) -> Result<&AutoencoderInfo> {
        let is_full = |one: &&AutoencoderInfo| one.kind == AutoencoderKind::Full;
        self.autoencoder(wanted).filter(is_full).ok_or_else(|| {
            let known = self.autoencoders.iter().filter(is_full);
            let known: Vec<&str> = known.map(|one| one.id.as_str()).collect();
            let why = match known.as_slice() {
                [] => "no VAE file is among the models: take the model's own".to_owned(),
                known => format!("choose one of {}, or the model's own", known.join(", ")),
            };
            EngineError::invalid("network.vae", format!("“{}” is not here; {why}", wanted.id))
        })
    }

    /// The VAE that A1111 takes for a model on its own: the one of its name with `.vae` after it, beside
    /// it before one elsewhere.
    pub fn vae_beside(&self, model: &Path) -> Option<&AutoencoderInfo> {
        let wanted = format!("{}.vae", model.file_stem()?.to_string_lossy()).to_lowercase();
        let named = |one: &&AutoencoderInfo| {
            let stem = one.path.file_stem().unwrap_or_default();
            one.kind == AutoencoderKind::Full && stem.to_string_lossy().to_lowercase() == wanted
        };
        let all = || self.autoencoders.iter().filter(named);
        all()
            .find(|one| one.path.parent() == model.parent())
            .or_else(|| all().next())
    }

    /// The tiny decoder for a latent space.
    pub fn tiny_decoder(&self, space: LatentSpace) -> Option<&AutoencoderInfo> {
        let mut all = self.autoencoders.iter();
        all.find(|one| one.kind == AutoencoderKind::Tiny && one.space == Some(space))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: AutoencoderKind, sha256: Option<&str>) -> AutoencoderInfo {
        let path = PathBuf::from(path);
        let (id, name) = names_of(&path);
        AutoencoderInfo {
            id,
            kind,
            latent_channels: 4,
            factor: 8,
            space: LatentSpace::of_tiny(4, &name).filter(|_| kind == AutoencoderKind::Tiny),
            size_bytes: 0,
            changed: 0,
            sha256: sha256.map(str::to_owned),
            path,
        }
    }

    fn catalog() -> Catalog {
        use AutoencoderKind::{Full, Tiny};
        let hash = "ab12".repeat(16);
        Catalog {
            autoencoders: vec![
                file("/vae/Dream.vae.pt", Full, None),
                file("/models/dream.vae.safetensors", Full, Some(&hash)),
                file(
                    "/vae/sd-vae-ft-mse/diffusion_pytorch_model.fp16.safetensors",
                    Full,
                    None,
                ),
                file("/approx/taesdxl_decoder.pth", Tiny, None),
                file("/approx/taesd_decoder.safetensors", Tiny, None),
                file("/approx/taef1_decoder.safetensors", Tiny, None),
            ],
            ..Catalog::default()
        }
    }

    #[test]
    fn a_vae_is_meant_by_hash_then_by_any_of_its_names() {
        let catalog = catalog();
        let meant = |id: &str, short: Option<&str>| {
            let wanted = ModelRef {
                id: id.to_owned(),
                sha256: None,
                short_hash: short.map(str::to_owned),
            };
            let found = catalog.autoencoder(&wanted);
            found.map(|one| one.path.to_string_lossy().into_owned())
        };
        let beside = Some("/models/dream.vae.safetensors".to_owned());
        assert_eq!(meant("other", Some("ab12ab12ab")), beside);
        assert_eq!(meant("dream.vae", None), beside);
        assert_eq!(meant("/models/dream.vae.safetensors", None), beside);
        assert_eq!(
            meant("Dream.vae.pt", None).as_deref(),
            Some("/vae/Dream.vae.pt")
        );
        assert!(meant("SD-VAE-ft-mse", None).is_some(), "the folder's name");
        assert_eq!(meant("gone", Some("ab12")), None, "too short");
    }

    #[test]
    fn beside_a_model_lies_its_own_vae() {
        let catalog = catalog();
        let of = |model: &str| {
            let found = catalog.vae_beside(Path::new(model));
            found.map(|one| one.path.to_string_lossy().into_owned())
        };
        let beside = "/models/dream.vae.safetensors";
        assert_eq!(of("/models/dream.ckpt").as_deref(), Some(beside));
        assert_eq!(of("/else/dream.ckpt").as_deref(), Some("/vae/Dream.vae.pt"));
        assert_eq!(of("/models/dreamer.safetensors"), None);
    }

    #[test]
    fn names_of_well_known_vaes_tell_their_latents() {
        let of = |name| LatentSpace::of_vae(4, name);
        let usual = Some(LatentSpace::StableDiffusion);
        assert_eq!(of("vae-ft-mse-840000-ema-pruned"), usual);
        assert_eq!(of("sd-vae-ft-ema"), usual);
        assert_eq!(of("kl-f8-anime2"), usual);
        assert_eq!(of("sdxl_vae"), Some(LatentSpace::StableDiffusionXl));
        assert_eq!(of("orangemix.vae"), None);
        assert_eq!(LatentSpace::of_vae(16, "sdxl_vae"), None);
    }

    #[test]
    fn tiny_decoders_are_told_apart_by_name() {
        let catalog = catalog();
        let of = |space| catalog.tiny_decoder(space).map(|one| one.id.as_str());
        assert_eq!(of(LatentSpace::StableDiffusion), Some("taesd_decoder"));
        assert_eq!(of(LatentSpace::StableDiffusionXl), Some("taesdxl_decoder"));
    }
}
