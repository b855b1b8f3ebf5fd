//! `Recipe`: every input that decides the pixels of one picture, and `Outcome`, what was observed
//! while making it. One recipe is what a click makes, what the queue journals, what a file's
//! metadata carries, what the command line reads and what the gallery searches.

mod add_ons;
pub mod dialects;
mod exif;
mod json;
mod knobs;
mod metadata;
mod network;
mod png_text;
mod prompting;
mod refiner;
#[cfg(test)]
mod tests;
pub mod validate;

#[cfg(test)]
pub(crate) use tests::record as sample_record;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use add_ons::{AddOnKind, AddOnMade, AddOnUse, AddOns};
pub use json::MAX_JSON_BYTES;
pub use knobs::Knobs;
pub(crate) use metadata::peek_png;
pub use metadata::{
    Dialect, FoundRecord, PARAMETERS_KEYWORD, RECORD_KEYWORD, Texts, encode_png_with_record,
    read_record, read_record_file,
};
pub use network::{
    DecodeTiles, EasyCacheOptions, FinalDecoder, GuidanceInterval, NetworkOptions, Reuse, VaeChoice,
};
pub use prompting::{PromptTemplate, Prompting};
pub use refiner::Refiner;

/// Version of the format this build writes. A newer major version is refused with its reason;
/// unknown fields of any version survive re-saving (they stay in [`Recipe::unknown`]).
pub const RECIPE_VERSION: Version = Version { major: 1, minor: 1 };

/// Revision of the samplers' arithmetic: raised when the same recipe would give other pixels.
pub const SAMPLER_REVISION: u32 = 1;

/// Revision of the prompt grammar. In revision 1 every character was text, and what did not fit into
/// the model's context was cut: [`crate::prompt::PromptSyntax::Plain`]. In revision 2 tags and names of
/// add-ons were text.
pub const PROMPT_REVISION: u32 = 3;

/// `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// Raised when older readers would misread the file.
    pub major: u32,
    /// Raised for additions.
    pub minor: u32,
}

/// Every input that decides the pixels of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Format version of this record.
    pub version: Version,
    /// Which model.
    pub model: ModelRef,
    /// What to draw.
    pub prompt: String,
    /// What to avoid.
    #[serde(default)]
    pub negative_prompt: String,
    /// How both are read.
    #[serde(default)]
    pub prompting: Prompting,
    /// Picture width in pixels, 16 to 8192. With a start picture: the start picture's own size.
    pub width_px: u32,
    /// Picture height in pixels, 16 to 8192.
    pub height_px: u32,
    /// Seed of the noise.
    pub seed: u64,
    /// Sampling steps, 1 to 1000.
    pub steps: u32,
    /// Guidance (CFG) scale, 0 to 100; 1 or below switches guidance off.
    pub guidance: f64,
    /// Guidance rescale phi (Lin et al. 2023, section 3.4), 0 (off) to 1.
    #[serde(default)]
    pub guidance_rescale: f64,
    /// How closely a model that changes pictures keeps to the one it is given (InstructPix2Pix's image
    /// guidance scale), 0 to 100; below 1 all guidance is off. `None`: [`Recipe::IMAGE_GUIDANCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_guidance: Option<f64>,
    /// Sampler id, one of `samplers::SAMPLERS`.
    pub sampler: String,
    /// Schedule id, one of `schedules::SCHEDULES`.
    pub schedule: String,
    /// Knobs of sampler and schedule.
    #[serde(default)]
    pub knobs: Knobs,
    /// How the networks are run.
    #[serde(default, skip_serializing_if = "NetworkOptions::is_at_rest")]
    pub network: NetworkOptions,
    /// Which generator draws the noise.
    #[serde(default)]
    pub noise_source: NoiseKind,
    /// Arithmetic of the networks. `Auto` in a draft, resolved before the job starts.
    #[serde(default)]
    pub precision: Precision,
    /// LoRA and other add-ons.
    #[serde(default, skip_serializing_if = "AddOns::is_empty")]
    pub add_ons: AddOns,
    /// Another model for the finest noise levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refiner: Option<Refiner>,
    /// Start picture of image-to-image and inpainting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Revision of the samplers that made (or will make) the picture.
    #[serde(default = "sampler_revision")]
    pub sampler_revision: u32,
    /// Revision of the prompt grammar.
    #[serde(default = "prompt_revision")]
    pub prompt_revision: u32,
    /// Fields written by another version of this program, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Recipe {
    /// Image guidance where a recipe says nothing, as in diffusers and A1111.
    pub const IMAGE_GUIDANCE: f64 = 1.5;
}

fn sampler_revision() -> u32 {
    SAMPLER_REVISION
}

fn prompt_revision() -> u32 {
    PROMPT_REVISION
}

/// A model by name, pinned by the hash of its files where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Catalogue id: folder or file name without extension.
    pub id: String,
    /// Of a single file its SHA-256, of a folder that over the sorted lines `path\0sha256\n` of the
    /// loaded files; in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What another program calls its hash: the first eight or more hex digits of a single file's
    /// SHA-256. Only for finding the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_hash: Option<String>,
}

/// The picture a run starts from, and the part of it to repaint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// SHA-256 (hex) of the PNG in the library's `blobs/`.
    pub picture: String,
    /// Share of the schedule that is run, above 0 to 1; 1 forgets the picture.
    pub strength: f64,
    /// Present for inpainting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inpaint: Option<Inpaint>,
}

impl Start {
    /// The hashes of the picture and, for inpainting, of the mask.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        let mask = self.inpaint.as_ref().map(|inpaint| &*inpaint.mask);
        std::iter::once(&*self.picture).chain(mask)
    }
}

/// Inpainting options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inpaint {
    /// SHA-256 (hex) of the mask's grey PNG in `blobs/`, of the start picture's size; 255 = repaint.
    pub mask: String,
    /// Gaussian blur radius of the mask in pixels, 0 to 64: widens what the model repaints, and
    /// feathers the paste inside the painted area. Pixels where the painted mask is 0 never change.
    #[serde(default)]
    pub blur_px: u32,
    /// What the masked area holds before the first step.
    #[serde(default)]
    pub content: MaskedContent,
    /// Which part of the picture the model sees.
    #[serde(default)]
    pub area: InpaintArea,
}

/// What the masked area holds before the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskedContent {
    /// The picture as it is.
    #[default]
    Original,
    /// Colours grown inward from the mask's surroundings.
    Fill,
    /// Latent noise.
    Noise,
    /// Zero latents.
    Nothing,
}

/// Which part of the picture the model sees while inpainting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InpaintArea {
    /// The whole picture.
    #[default]
    WholePicture,
    /// A crop around the mask, scaled to the model's native size, pasted back in place.
    OnlyMasked {
        /// Pixels of surroundings on each side, 0 to 256.
        padding_px: u32,
    },
}

/// Which generator draws the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// torch's CPU generator (mt19937), as ComfyUI, InvokeAI and diffusers on the CPU.
    #[default]
    TorchCpu,
    /// Philox, as torch on CUDA (A1111's default and its “NV” source).
    Philox,
}

/// Where the fresh noise of SDE samplers comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepNoise {
    /// Drawn step by step from the recipe's generator, as diffusers does.
    #[default]
    Fresh,
    /// Increments of one Brownian path that the seed decides, as k-diffusion, A1111 and ComfyUI: where
    /// two runs visit the same levels they meet the same noise, so more steps refine the picture.
    Brownian,
}

impl StepNoise {
    fn is_fresh(&self) -> bool {
        *self == Self::Fresh
    }
}

/// Arithmetic of the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// The fastest that keeps the quality on this machine.
    #[default]
    Auto,
    /// 32-bit floats: the reference.
    F32,
    /// bfloat16 weights and products, f32 sums.
    Bf16,
    /// As `Bf16`, but the denoising network's weights are kept as 8-bit integers, 32 of which share a
    /// factor: a little more than half of the memory.
    Int8,
}

impl Precision {
    /// Whether activations are bf16 in that resolved precision.
    pub fn has_bf16_activations(self) -> bool {
        matches!(self, Self::Bf16 | Self::Int8)
    }
}

/// What was observed while a picture was made: it does not decide pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `cpu`, `cuda:0`…
    pub device: String,
    /// Instruction level of the kernels: `avx512`, `portable`…
    pub kernels: String,
    /// Program version that made it.
    pub build: String,
    /// Seconds for this picture without loading.
    pub elapsed_secs: f64,
    /// Seconds spent loading the model for this job, 0 when it was in memory.
    pub load_secs: f64,
    /// Share of the time that went into previews, 0 to 1.
    pub preview_share: f64,
    /// Unix time of completion in milliseconds.
    pub finished_unix_ms: u64,
    /// Things the user should know: a truncated prompt, an older sampler revision…
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Network calls that EasyCache left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reused_calls: u32,
    /// Add-ons that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_ons: Vec<AddOnMade>,
    /// Of an inpainting run: whether every pixel with painted mask 0 was compared with the opened
    /// picture and found equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmasked_pixels_verified: Option<bool>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A finished picture's record: what travels inside its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What decided its pixels.
    pub recipe: Recipe,
    /// What was observed.
    pub outcome: Outcome,
}
