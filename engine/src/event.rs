//! What the engine says back: life-cycle events, never lost, and previews, of which only the
//! latest counts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::prompt::inspect::Inspection;
use crate::raster::Picture;
use crate::recipe::{Recipe, Record};

/// A job's number, unique while the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading weights.
    LoadingModel,
    /// Running the text encoder.
    EncodingPrompt,
    /// Encoding the start picture.
    EncodingPicture,
    /// The sampling loop.
    Denoising,
    /// Latents to pixels.
    Decoding,
    /// Writing the file.
    Saving,
}

/// A life-cycle event. Events of one job come in order; none is dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The list of models changed: read [`crate::client::EngineClient::catalog`].
    CatalogChanged,
    /// A job left the queue. `recipe` is the first picture's, with everything resolved.
    Started {
        /// Which.
        job: JobId,
        /// Resolved recipe of the first picture.
        recipe: Box<Recipe>,
        /// How many pictures it will make.
        count: u32,
    },
    /// A job entered a stage.
    StageChanged {
        /// Which.
        job: JobId,
        /// Picture of the batch, from 0.
        picture: u32,
        /// The stage.
        stage: Stage,
    },
    /// A sampling step ended.
    StepDone {
        /// Which.
        job: JobId,
        /// Picture of the batch, from 0.
        picture: u32,
        /// Steps done of this picture, from 1.
        step: u32,
        /// Steps of this picture in all.
        steps: u32,
        /// Seconds since this picture's sampling began.
        elapsed_secs: f64,
        /// Estimated seconds until the whole job ends.
        left_secs: f64,
    },
    /// A picture is finished and already on disk.
    ImageReady {
        /// Which.
        job: JobId,
        /// Picture of the batch, from 0.
        picture: u32,
        /// The file.
        path: PathBuf,
        /// Recipe and outcome.
        record: Box<Record>,
        /// The pixels.
        image: Picture,
    },
    /// A picture is finished but could not be saved: its only copy. `Failed` with the reason follows.
    ImageUnsaved {
        /// Which.
        job: JobId,
        /// Picture of the batch, from 0.
        picture: u32,
        /// Recipe and outcome.
        record: Box<Record>,
        /// The pixels.
        image: Picture,
    },
    /// The job made all its pictures.
    Finished {
        /// Which.
        job: JobId,
    },
    /// The job was cancelled; pictures reported before stay.
    Cancelled {
        /// Which.
        job: JobId,
    },
    /// The job failed; the engine lives.
    Failed {
        /// Which.
        job: JobId,
        /// Why.
        error: EngineError,
    },
    /// Answer to [`crate::client::EngineClient::inspect_prompts`].
    PromptsInspected {
        /// The query's id.
        query: u64,
        /// Of the prompt and of the negative prompt.
        inspections: Box<[Inspection; 2]>,
    },
}

impl Event {
    /// The job the event speaks of.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::CatalogChanged | Self::PromptsInspected { .. } => None,
            Self::Started { job, .. }
            | Self::StageChanged { job, .. }
            | Self::StepDone { job, .. }
            | Self::ImageReady { job, .. }
            | Self::ImageUnsaved { job, .. }
            | Self::Finished { job }
            | Self::Cancelled { job }
            | Self::Failed { job, .. } => Some(*job),
        }
    }
}

/// How long a prompt is for a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    /// Tokens of the text, without start and end marks.
    pub used: u32,
    /// Tokens the model reads in as many chunks as the text takes; what lies beyond is cut.
    pub limit: u32,
}

/// The picture as it stands after a step: small, approximate, replaced by the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Which job.
    pub job: JobId,
    /// Picture of the batch, from 0.
    pub picture: u32,
    /// Steps done.
    pub step: u32,
    /// Where it lies in the picture being made: the whole picture, or the crop an inpainting run
    /// repaints. `[x, y, width, height]` in pixels of that picture.
    pub bounds_px: [u32; 4],
    /// The pixels, often an eighth of the picture's size: stretch over `bounds_px`.
    pub image: Picture,
    /// Whether the tiny decoder made it (sharp) or the linear map (coarse).
    pub decoded: bool,
}
