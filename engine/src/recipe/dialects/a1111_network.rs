//! How the networks are run, in A1111's text: under its keys where it has them, under keys of our own
//! for the rest.

use super::super::{DecodeTiles, FinalDecoder, GuidanceInterval, Recipe, VaeChoice};
use super::names::vae;

/// A1111's layer of the text encoder.
const CLIP_SKIP: &str = "Clip skip";
/// A1111's “ignore negative prompt during early sampling”: no guidance in steps up to this share.
const SKIP_EARLY: &str = "Skip Early CFG";
/// Both ends of our interval.
const INTERVAL: &str = "Guidance interval";
const DEEP_EVERY: &str = "DeepCache interval";
const DEEP_BRANCH: &str = "DeepCache branch";
const NEGATIVE_EVERY: &str = "Negative prompt every";
const EASY_CACHE: &str = "EasyCache threshold";
/// Both ends of its part.
const EASY_PART: &str = "EasyCache part";
const VAE: &str = "VAE";
const VAE_HASH: &str = "VAE hash";
const DECODER: &str = "Decoder";
const TINY: &str = "tiny";
const TILES: &str = "Decode tiles";

/// The VAE, where it is not the model's own.
pub(super) fn write_vae(recipe: &Recipe, pairs: &mut Vec<(&'static str, String)>) {
    if let VaeChoice::File(file) = &recipe.network.vae {
        if let Some(hash) = file.sha256.as_deref().and_then(|hash| hash.get(..10)) {
            pairs.push((VAE_HASH, hash.to_owned()));
        }
        pairs.push((VAE, file.id.clone()));
    }
}

/// What is away from its rest, as A1111 leaves out the others.
pub(super) fn write(recipe: &Recipe, pairs: &mut Vec<(&'static str, String)>) {
    let options = &recipe.network;
    if options.clip_skip > 1 {
        pairs.push((CLIP_SKIP, options.clip_skip.to_string()));
    }
    if !options.decoder.is_full() {
        pairs.push((DECODER, TINY.to_owned()));
    }
    if let DecodeTiles::Tiled { side_px } = options.tiles {
        pairs.push((TILES, side_px.to_string()));
    }
    let interval = options.guidance_interval;
    if !interval.is_whole() {
        let steps = recipe.steps.max(1) as usize;
        if let Some(last) = interval.skipped(steps).checked_sub(1) {
            // A1111 skips the steps whose share is at most this: between the last one and the next.
            let share = (last as f64 + 0.5) / steps as f64;
            pairs.push((SKIP_EARLY, format!("{share:.4}")));
        }
        pairs.push((INTERVAL, format!("{}-{}", interval.from, interval.until)));
    }
    let reuse = options.reuse;
    if reuse.deep_every > 1 {
        pairs.push((DEEP_EVERY, reuse.deep_every.to_string()));
        pairs.push((DEEP_BRANCH, reuse.deep_branch.to_string()));
    }
    if reuse.negative_every > 1 {
        pairs.push((NEGATIVE_EVERY, reuse.negative_every.to_string()));
    }
    let easy = options.easy_cache;
    if !easy.is_off() {
        pairs.push((EASY_CACHE, easy.threshold.to_string()));
        pairs.push((EASY_PART, format!("{}-{}", easy.from, easy.until)));
    }
}

/// Reads the options into a recipe whose steps are read already.
pub(super) fn read(recipe: &mut Recipe, pairs: &[(String, String)], notes: &mut Vec<String>) {
    let steps = f64::from(recipe.steps.max(1));
    let options = &mut recipe.network;
    let has_interval = pairs.iter().any(|(key, _)| key == INTERVAL);
    for (key, value) in pairs {
        let whole = || value.parse::<u32>().ok();
        let understood = match key.as_str() {
            CLIP_SKIP => whole().map(|skip| options.clip_skip = skip),
            VAE => {
                options.vae = vae(value);
                Some(())
            }
            DECODER => (value == TINY).then(|| {
                options.decoder = FinalDecoder::Tiny { file: None };
            }),
            TILES => whole().map(|side_px| {
                options.tiles = DecodeTiles::Tiled { side_px };
            }),
            SKIP_EARLY if has_interval => Some(()),
            SKIP_EARLY => share(value).map(|share| {
                // 0 stands for off; else the first step is skipped in any case.
                let skipped = if share > 0.0 {
                    ((share * steps).floor() + 1.0).min(steps)
                } else {
                    0.0
                };
                options.guidance_interval.from = skipped / steps;
            }),
            INTERVAL => part(value).map(|[from, until]| {
                options.guidance_interval = GuidanceInterval { from, until };
            }),
            EASY_CACHE => value.parse().ok().map(|threshold| {
                options.easy_cache.threshold = threshold;
            }),
            EASY_PART => part(value).map(|[from, until]| {
                options.easy_cache.from = from;
                options.easy_cache.until = until;
            }),
            DEEP_EVERY => whole().map(|every| options.reuse.deep_every = every),
            DEEP_BRANCH => whole().map(|branch| options.reuse.deep_branch = branch),
            NEGATIVE_EVERY => whole().map(|every| options.reuse.negative_every = every),
            _ => Some(()),
        };
        if understood.is_none() {
            notes.push(format!("{key}: “{value}” is not understood"));
        }
    }
    read_hash(&mut recipe.network.vae, pairs);
}

/// The hash of a VAE that was read.
fn read_hash(options: &mut VaeChoice, pairs: &[(String, String)]) {
    let hash = pairs.iter().find(|(key, _)| key == VAE_HASH);
    if let (VaeChoice::File(file), Some((_, hash))) = (options, hash) {
        file.short_hash = Some(hash.to_ascii_lowercase());
    }
}

/// Both ends of a part of the run.
fn part(text: &str) -> Option<[f64; 2]> {
    let (from, until) = text.split_once('-')?;
    Some([share(from)?, share(until)?])
}

fn share(text: &str) -> Option<f64> {
    let share: f64 = text.trim().parse().ok()?;
    (0.0..=1.0).contains(&share).then_some(share)
}

/// Whether a key is read here.
pub(super) fn is_known(key: &str) -> bool {
    matches!(
        key,
        CLIP_SKIP
            | SKIP_EARLY
            | INTERVAL
            | DEEP_EVERY
            | DEEP_BRANCH
            | NEGATIVE_EVERY
            | EASY_CACHE
            | EASY_PART
            | VAE
            | VAE_HASH
            | DECODER
            | TILES
    )
}
