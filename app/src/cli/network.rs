//! Options of `render` that say how the networks are run.

use std::path::{Path, PathBuf};

use pentimento_engine::catalog::Catalog;
use pentimento_engine::recipe::{
    DecodeTiles, FinalDecoder, ModelRef, NetworkOptions, Recipe, VaeChoice,
};

use super::args::value;
use super::{Args, Failure, Opt};

const WHOLE: &str = "a whole number";
const NUMBER: &str = "a number";

pub(super) const NETWORK: &[Opt] = &[
    value(
        "clip-skip",
        "N",
        "Layer of the text encoder that is read, from its last, 1 (the default), as in A1111.",
    ),
    value(
        "vae",
        "ID|FILE",
        "Autoencoder: a VAE among the models or a file; automatic (NAME.vae.* beside the model, the default) or model.",
    ),
    value(
        "parts-from",
        "ID|FILE",
        "For a file with a network alone: the model whose text encoders and VAE it takes; without it, the first that fits.",
    ),
    value(
        "decoder",
        "ID",
        "What makes the finished picture: full, or tiny (TAESD among the models: quick, less exact).",
    ),
    value(
        "decode-tiles",
        "PX",
        "Side of the tiles the picture is decoded in: automatic (the default: 1024 where it would take more than 2 GiB), whole, or pixels.",
    ),
    value(
        "guide-from",
        "X",
        "Share of the steps before guidance begins, 0 to 1; without guidance a step is faster.",
    ),
    value(
        "guide-until",
        "X",
        "Share of the steps after which guidance ends, 0 to 1.",
    ),
    value(
        "deep-cache",
        "N",
        "Compute the network's deep layers in one of N steps: faster, not the same picture; 1: off.",
    ),
    value(
        "deep-branch",
        "N",
        "With --deep-cache: how far the other steps compute; 0 (least) is the default.",
    ),
    value(
        "negative-every",
        "N",
        "Ask with the negative prompt in one of N steps only; 1 (the default): in each.",
    ),
    value(
        "easy-cache",
        "X",
        "Leave network calls out while the output is foretold to change by less than X in all: faster, not the same picture; 0: off, 0.2 is usual.",
    ),
    value(
        "easy-cache-from",
        "X",
        "With --easy-cache: share of the noise levels before a call is left out, 0.15 unless said.",
    ),
    value(
        "easy-cache-until",
        "X",
        "With --easy-cache: share of the noise levels after which none is left out, 0.95 unless said.",
    ),
];

/// The options that were given.
#[derive(Default)]
pub(super) struct Network {
    clip_skip: Option<u32>,
    vae: Option<VaeChoice>,
    parts_from: Option<ModelRef>,
    decoder: Option<FinalDecoder>,
    tiles: Option<DecodeTiles>,
    guide_from: Option<f64>,
    guide_until: Option<f64>,
    deep_cache: Option<u32>,
    deep_branch: Option<u32>,
    negative_every: Option<u32>,
    easy_cache: Option<f64>,
    easy_from: Option<f64>,
    easy_until: Option<f64>,
}

impl Network {
    /// Reads the options; ranges are checked with the whole recipe.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            clip_skip: args.number("clip-skip", WHOLE)?,
            vae: args.text("vae")?.map(vae),
            parts_from: args.text("parts-from")?.map(file),
            decoder: args
                .choice("decoder", &[("full", false), ("tiny", true)])?
                .map(|tiny| match tiny {
                    true => FinalDecoder::Tiny { file: None },
                    false => FinalDecoder::Full,
                }),
            tiles: args.text("decode-tiles")?.map(tiles).transpose()?,
            guide_from: args.number("guide-from", NUMBER)?,
            guide_until: args.number("guide-until", NUMBER)?,
            deep_cache: args.number("deep-cache", WHOLE)?,
            deep_branch: args.number("deep-branch", WHOLE)?,
            negative_every: args.number("negative-every", WHOLE)?,
            easy_cache: args.number("easy-cache", NUMBER)?,
            easy_from: args.number("easy-cache-from", NUMBER)?,
            easy_until: args.number("easy-cache-until", NUMBER)?,
        })
    }

    /// The VAE's file, where it was named by its path.
    pub(super) fn vae_path(&self) -> Option<PathBuf> {
        match &self.vae {
            Some(VaeChoice::File(wanted)) => {
                let path = PathBuf::from(&wanted.id);
                path.is_file().then_some(path)
            }
            _ => None,
        }
    }

    /// The lender's file or folder, where it was named by its path.
    pub(super) fn lender_path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(&self.parts_from.as_ref()?.id);
        path.exists().then_some(path)
    }

    /// Whether a lender was chosen.
    pub(super) fn chooses_lender(&self) -> bool {
        self.parts_from.is_some()
    }

    /// Whether a VAE was chosen.
    pub(super) fn chooses_vae(&self) -> bool {
        self.vae.is_some()
    }

    /// Whether the catalogue already holds what is named.
    pub(super) fn knows_its_decoders(&self, catalog: &Catalog) -> bool {
        let vae = match &self.vae {
            Some(VaeChoice::File(wanted)) => catalog.autoencoder(wanted).is_some(),
            _ => true,
        };
        vae && self.decoder.as_ref().is_none_or(FinalDecoder::is_full)
    }

    /// Puts them into a recipe whose guidance is settled; asking for what has no effect is an error.
    pub(super) fn apply(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        let NetworkOptions {
            guidance_interval: interval,
            reuse,
            easy_cache: easy,
            clip_skip,
            vae,
            decoder,
            tiles,
            parts_from,
            ..
        } = &mut recipe.network;
        if let Some(choice) = &self.vae {
            vae.clone_from(choice);
        }
        if self.parts_from.is_some() {
            parts_from.clone_from(&self.parts_from);
        }
        if let Some(choice) = &self.decoder {
            decoder.clone_from(choice);
        }
        *tiles = self.tiles.unwrap_or(*tiles);
        interval.from = self.guide_from.unwrap_or(interval.from);
        interval.until = self.guide_until.unwrap_or(interval.until);
        reuse.deep_every = self.deep_cache.unwrap_or(reuse.deep_every);
        reuse.deep_branch = self.deep_branch.unwrap_or(reuse.deep_branch);
        reuse.negative_every = self.negative_every.unwrap_or(reuse.negative_every);
        *clip_skip = self.clip_skip.unwrap_or(*clip_skip);
        easy.threshold = self.easy_cache.unwrap_or(easy.threshold);
        easy.from = self.easy_from.unwrap_or(easy.from);
        easy.until = self.easy_until.unwrap_or(easy.until);
        for (option, given) in [
            ("easy-cache-from", self.easy_from.is_some()),
            ("easy-cache-until", self.easy_until.is_some()),
        ] {
            if given && easy.is_off() {
                return Err(Failure::usage(format!("--{option} needs --easy-cache")));
            }
        }
        if self.deep_branch.is_some() && reuse.deep_every <= 1 {
            return Err(Failure::usage("--deep-branch needs --deep-cache"));
        }
        let unguided = recipe.guidance <= 1.0;
        for (option, given) in [
            ("guide-from", self.guide_from.is_some()),
            ("guide-until", self.guide_until.is_some()),
            ("negative-every", self.negative_every.is_some()),
        ] {
            if given && unguided {
                return Err(Failure::usage(format!(
                    "--{option} has no effect: a guidance of {} is off",
                    recipe.guidance
                )));
            }
        }
        Ok(())
    }
}

fn tiles(text: &str) -> Result<DecodeTiles, Failure> {
    match text {
        "automatic" => Ok(DecodeTiles::Automatic),
        "whole" => Ok(DecodeTiles::Whole),
        other => match other.parse() {
            Ok(side_px) => Ok(DecodeTiles::Tiled { side_px }),
            Err(_no_number) => Err(Failure::usage(format!(
                "--decode-tiles: “{other}” is neither automatic nor whole nor a number of pixels"
            ))),
        },
    }
}

/// A file by its path is meant wherever the program runs.
fn vae(text: &str) -> VaeChoice {
    match text {
        "automatic" => VaeChoice::Automatic,
        "model" => VaeChoice::Model,
        other => VaeChoice::File(file(other)),
    }
}

/// A file or folder by its path is meant wherever the program runs.
fn file(text: &str) -> ModelRef {
    let absolute = Some(Path::new(text)).filter(|path| path.exists());
    let absolute = absolute.and_then(|path| std::path::absolute(path).ok());
    let id = absolute.map(|path| path.to_string_lossy().into_owned());
    ModelRef {
        id: id.unwrap_or_else(|| text.to_owned()),
        ..ModelRef::default()
    }
}

/// The options away from their rest, as lines for people.
pub(super) fn text(options: &NetworkOptions) -> Option<String> {
    let rest = NetworkOptions::default();
    let mut parts = Vec::new();
    let interval = options.guidance_interval;
    if interval != rest.guidance_interval {
        parts.push(format!(
            "guidance from {} to {} of the run",
            interval.from, interval.until
        ));
    }
    let reuse = options.reuse;
    if reuse.deep_every > 1 {
        parts.push(format!(
            "deep layers every {} steps, branch {}",
            reuse.deep_every, reuse.deep_branch
        ));
    }
    if reuse.negative_every > 1 {
        parts.push(format!(
            "negative prompt every {} steps",
            reuse.negative_every
        ));
    }
    let easy = options.easy_cache;
    if !easy.is_off() {
        parts.push(format!(
            "EasyCache {} from {} to {} of the noise levels",
            easy.threshold, easy.from, easy.until
        ));
    }
    if options.clip_skip > 1 {
        parts.push(format!("CLIP skip {}", options.clip_skip));
    }
    if let Some(lender) = &options.parts_from {
        parts.push(format!("text encoder and VAE from {}", named(lender)));
    }
    match &options.vae {
        VaeChoice::Model => {}
        VaeChoice::Automatic => parts.push("VAE beside the model".to_owned()),
        VaeChoice::File(file) => parts.push(format!("VAE {}", named(file))),
    }
    if let DecodeTiles::Tiled { side_px } = options.tiles {
        parts.push(format!("decoded in tiles of {side_px} px"));
    }
    match &options.decoder {
        FinalDecoder::Full => {}
        FinalDecoder::Tiny { file: None } => parts.push("tiny decoder".to_owned()),
        FinalDecoder::Tiny { file: Some(file) } => {
            parts.push(format!("tiny decoder {}", named(file)));
        }
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

fn named(file: &ModelRef) -> String {
    match &file.sha256 {
        Some(sha256) => format!("{} {sha256}", file.id),
        None => file.id.clone(),
    }
}
