//! How the networks are run beyond sampler, schedule and guidance scale: when guidance works, what is
//! used again from step to step, how far text is read.

use serde::{Deserialize, Serialize};

use super::ModelRef;
use crate::catalog::Catalog;

/// Options of text encoder, denoising network and decoder. At rest they mean what recipes mean that
/// say nothing, older ones among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkOptions {
    /// The part of the run in which guidance works.
    #[serde(skip_serializing_if = "GuidanceInterval::is_whole")]
    pub guidance_interval: GuidanceInterval,
    /// What steps take over from earlier ones.
    #[serde(skip_serializing_if = "Reuse::is_off")]
    pub reuse: Reuse,
    /// Network calls that are left out.
    #[serde(skip_serializing_if = "EasyCacheOptions::is_off")]
    pub easy_cache: EasyCacheOptions,
    /// Which layer of the text encoder is read, counted from its last, 1, as A1111 counts; 1 to 24.
    /// Models that were trained to read an earlier layer (Stable Diffusion 2 the last but one) never
    /// read a later one.
    #[serde(skip_serializing_if = "is_one")]
    pub clip_skip: u32,
    /// The autoencoder between pictures and latents.
    #[serde(skip_serializing_if = "VaeChoice::is_models_own")]
    pub vae: VaeChoice,
    /// What turns the last latents into the picture.
    #[serde(skip_serializing_if = "FinalDecoder::is_full")]
    pub decoder: FinalDecoder,
    /// Whether the last latents are decoded in tiles.
    #[serde(skip_serializing_if = "DecodeTiles::is_whole")]
    pub tiles: DecodeTiles,
    /// What the network was taken to predict (`epsilon`, `v_prediction`), which a file beside the model
    /// may have decided; written when the picture is made. A run that takes it otherwise says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// The model that lends what the model's file does not hold (text encoders, autoencoder); `None`:
    /// the first that can, written when the picture is made. Of no meaning for whole models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts_from: Option<ModelRef>,
}

/// Which autoencoder is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VaeChoice {
    /// The model's own.
    #[default]
    Model,
    /// The file beside the model with its name and `.vae` after it, as A1111 takes it; where there is
    /// none, the model's own. Settled before the job starts.
    Automatic,
    /// A file of its own.
    File(ModelRef),
}

impl VaeChoice {
    /// Whether it is the model's own.
    pub fn is_models_own(&self) -> bool {
        *self == Self::Model
    }
}

/// What turns the last latents into the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FinalDecoder {
    /// The autoencoder's.
    #[default]
    Full,
    /// A tiny one (TAESD): quick, and less exact.
    Tiny {
        /// Which; `None`: the one for the model's latents, settled before the job starts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<ModelRef>,
    },
}

impl FinalDecoder {
    /// Whether it is the autoencoder's.
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// Whether the last latents are decoded as a whole, or in overlapping tiles: in bounded work space, and
/// not quite the same picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecodeTiles {
    /// As a whole.
    #[default]
    Whole,
    /// In tiles of 1024 px where a full decoder would take more than 2 GiB beside its weights. Settled
    /// before the job starts.
    Automatic,
    /// In tiles of this side.
    Tiled {
        /// Pixels, 128 to 4096.
        side_px: u32,
    },
}

impl DecodeTiles {
    /// The side of tiles that are settled automatically, in pixels.
    pub const USUAL_SIDE_PX: u32 = 1024;
    /// Work space from which on they are, in bytes.
    const WORK_SPACE: u64 = 2 << 30;
    /// Bytes a pixel in f32 at a decoder's peak, which is in its last level: a map of 256 channels and
    /// one of 128, and a little.
    const PIXEL_BYTES: u64 = 1600;

    /// Whether nothing is tiled.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// An automatic choice where it comes to the same for that size: another size may want another.
    #[must_use]
    pub fn loosened(self, size_px: [u32; 2], is_bf16: bool) -> Self {
        match Self::Automatic.settled(size_px, is_bf16) == self {
            true => Self::Automatic,
            false => self,
        }
    }

    /// What an automatic choice comes to for a picture of that size, decoded by a full decoder in bf16 or
    /// in f32.
    #[must_use]
    pub fn settled(self, [width_px, height_px]: [u32; 2], is_bf16: bool) -> Self {
        if self != Self::Automatic {
            return self;
        }
        let bytes = Self::PIXEL_BYTES / if is_bf16 { 2 } else { 1 };
        let area = u64::from(width_px) * u64::from(height_px);
        match area * bytes > Self::WORK_SPACE {
            true => Self::Tiled {
                side_px: Self::USUAL_SIDE_PX,
            },
            false => Self::Whole,
        }
    }
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            guidance_interval: GuidanceInterval::default(),
            reuse: Reuse::default(),
            easy_cache: EasyCacheOptions::default(),
            clip_skip: 1,
            vae: VaeChoice::default(),
            decoder: FinalDecoder::default(),
            tiles: DecodeTiles::default(),
            prediction: None,
            parts_from: None,
        }
    }
}

impl NetworkOptions {
    /// What a new recipe begins with: the VAE that lies beside a model belongs to it, and large pictures
    /// are decoded in tiles. The plain default is what recipes mean that say nothing.
    #[must_use]
    pub fn of_new_recipes() -> Self {
        Self {
            vae: VaeChoice::Automatic,
            tiles: DecodeTiles::Automatic,
            ..Self::default()
        }
    }

    /// Whether nothing is said.
    pub fn is_at_rest(&self) -> bool {
        *self == Self::default()
    }
}

impl super::Recipe {
    /// Lets go of what was settled for the model that the recipe was made with, now that another draws,
    /// and says so: what it predicts, who lends it parts, and, with `vae`, the file in the place of its
    /// autoencoder.
    pub fn leave_former_model(&mut self, vae: bool) -> Option<String> {
        let network = &mut self.network;
        network.prediction = None;
        network.parts_from = None;
        let VaeChoice::File(former) = &network.vae else {
            return None;
        };
        let note = vae.then(|| {
            format!(
                "the VAE “{}” belongs to the recipe's model: the chosen model's is taken",
                former.id
            )
        })?;
        network.vae = VaeChoice::Automatic;
        Some(note)
    }

    /// Takes the model's own where the VAE or the tiny decoder that the recipe names is not here, another
    /// lender where it is the model that lends parts, and says so: a recipe from elsewhere can be made
    /// then, if not to the pixel.
    pub fn leave_missing_decoders(&mut self, catalog: &Catalog) -> Vec<String> {
        let mut notes = Vec::new();
        let network = &mut self.network;
        if let VaeChoice::File(wanted) = &network.vae
            && catalog.vae(wanted).is_err()
        {
            notes.push(format!(
                "the VAE “{}” is not here: the model's own is taken",
                wanted.id
            ));
            network.vae = VaeChoice::Model;
        }
        if let FinalDecoder::Tiny { file: Some(wanted) } = &network.decoder
            && catalog.autoencoder(wanted).is_none()
        {
            notes.push(format!(
                "the tiny decoder “{}” is not here: another is taken",
                wanted.id
            ));
            network.decoder = FinalDecoder::Tiny { file: None };
        }
        let model = catalog.find(&self.model.id);
        let borrowed = model.and_then(|model| model.storage.borrowed.as_ref());
        if let (Some(borrowed), Some(wanted)) = (borrowed, &network.parts_from)
            && catalog.lender(borrowed, wanted).is_err()
        {
            notes.push(format!(
                "“{}”, which lent {}, is not here: “{}” does",
                wanted.id,
                borrowed.parts,
                borrowed.usual()
            ));
            network.parts_from = None;
        }
        notes
    }
}

/// A part of the run (Kynkäänniemi et al. 2024): outside of it the network is asked with the prompt
/// alone, in about half the time, as where the guidance scale is 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuidanceInterval {
    /// Share of the steps before guidance begins, 0 to 1.
    pub from: f64,
    /// Share of the steps after which guidance ends, `from` to 1.
    pub until: f64,
}

impl Default for GuidanceInterval {
    fn default() -> Self {
        Self {
            from: 0.0,
            until: 1.0,
        }
    }
}

/// Shares come from divisions: what is a hair below a whole step is meant as that step.
const HAIR: f64 = 1e-6;

impl GuidanceInterval {
    /// Whether guidance works all the time.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether guidance works in the step after `done` of `steps`: from step `floor(from * steps)` on,
    /// up to step `floor(until * steps)`, as diffusers' guiders count.
    pub fn holds(&self, done: usize, steps: usize) -> bool {
        (self.skipped(steps)..whole_steps(self.until, steps)).contains(&done)
    }

    /// Steps before guidance begins.
    pub fn skipped(&self, steps: usize) -> usize {
        whole_steps(self.from, steps)
    }
}

fn whole_steps(share: f64, steps: usize) -> usize {
    (share * steps as f64 + HAIR).floor() as usize
}

/// What steps take over from earlier ones: faster, and not quite the same picture. Counted in steps
/// of the run: all network calls of one step (Heun and its kin make two) are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reuse {
    /// The deep features of the network are computed in one of so many steps, 1 (all of them) to 20
    /// (Ma et al. 2024, “DeepCache”).
    pub deep_every: u32,
    /// The skip connection up to which the other steps compute, 0 (the outermost: fastest) to 63.
    pub deep_branch: u32,
    /// The difference that the negative prompt makes is computed in one of so many steps, 1 (all of
    /// them) to 20.
    pub negative_every: u32,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            deep_every: 1,
            deep_branch: 0,
            negative_every: 1,
        }
    }
}

impl Reuse {
    /// Whether every step computes everything.
    pub fn is_off(&self) -> bool {
        self.deep_every <= 1 && self.negative_every <= 1
    }
}

/// Network calls that are left out where their output is foretold to change little (EasyCache: Zhou et al.
/// 2025): faster, and not quite the same picture. As ComfyUI's node of that name, which compares one of
/// eight columns and rows where this compares all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EasyCacheOptions {
    /// Sum of the foretold changes, relative to the output, below which calls are left out: 0 (none are)
    /// to 3. ComfyUI begins with 0.2.
    pub threshold: f64,
    /// Share of the noise levels the model was trained with that are to be passed before a call may be
    /// left out, 0 to 1.
    pub from: f64,
    /// Share of the noise levels after which none is left out any more, `from` to 1.
    pub until: f64,
}

impl Default for EasyCacheOptions {
    fn default() -> Self {
        Self {
            threshold: 0.0,
            from: 0.15,
            until: 0.95,
        }
    }
}

impl EasyCacheOptions {
    /// What ComfyUI begins with.
    pub const USUAL_THRESHOLD: f64 = 0.2;

    /// Whether every call is made.
    pub fn is_off(&self) -> bool {
        self.threshold <= 0.0
    }
}

fn is_one(value: &u32) -> bool {
    *value == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_counts_whole_steps() {
        let steps = |from: f64, until: f64, steps: usize| -> Vec<usize> {
            let interval = GuidanceInterval { from, until };
            (0..steps)
                .filter(|done| interval.holds(*done, steps))
                .collect()
        };
        assert_eq!(steps(0.0, 1.0, 3), [0, 1, 2]);
        assert_eq!(steps(0.2, 0.8, 10), [2, 3, 4, 5, 6, 7]);
        assert_eq!(steps(0.25, 1.0, 6), [1, 2, 3, 4, 5]);
        assert_eq!(steps(0.5, 0.5, 6), [0; 0]);
        // Every share k / n is exactly k steps, however it rounds.
        for n in 1..100 {
            for k in 0..=n {
                let share = k as f64 / n as f64;
                let interval = GuidanceInterval {
                    from: share,
                    until: 1.0,
                };
                assert_eq!(interval.skipped(n), k, "{k} of {n}");
            }
        }
    }

    #[test]
    fn large_pictures_are_tiled() {
        let settled = |side, is_bf16| DecodeTiles::Automatic.settled([side, side], is_bf16);
        let tiled = DecodeTiles::Tiled { side_px: 1024 };
        assert_eq!(settled(1024, false), DecodeTiles::Whole);
        assert_eq!(settled(1536, false), tiled);
        assert_eq!(settled(1536, true), DecodeTiles::Whole);
        assert_eq!(settled(2048, true), tiled);
        let whole = DecodeTiles::Whole;
        assert_eq!(whole.settled([4096; 2], false), whole);
        assert_eq!(whole.loosened([4096; 2], false), whole);
        assert_eq!(whole.loosened([512; 2], false), DecodeTiles::Automatic);
        assert_eq!(tiled.loosened([2048; 2], true), DecodeTiles::Automatic);
    }

    #[test]
    fn what_is_at_rest_is_not_written() {
        let text = serde_json::to_string(&NetworkOptions::default()).expect("json");
        assert_eq!(text, "{}");
        let read: NetworkOptions = serde_json::from_str("{}").expect("json");
        assert!(read.is_at_rest());
        let some: NetworkOptions =
            serde_json::from_str(r#"{"reuse":{"deep_every":3}}"#).expect("json");
        assert_eq!(some.reuse.deep_every, 3);
        assert_eq!(some.reuse.negative_every, 1);
    }
}
