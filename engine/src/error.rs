//! Typed errors: a code with fields. The engine never words a sentence for a person beyond these
//! short facts; the app and the command line turn them into a headline and a hint.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that can go wrong in the engine. Serialisable, since it crosses to the interface.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineError {
    /// One field of a recipe or request cannot be honoured.
    #[error("{field}: {why}")]
    InvalidRequest {
        /// The recipe's field name, as in its JSON: `width_px`, `steps`, `mask`…
        field: String,
        /// What is wrong and which values are accepted.
        why: String,
    },
    /// No model of that name, id or path is known.
    #[error("no model called “{wanted}” (known: {})", known.join(", "))]
    ModelNotFound {
        /// What was asked for.
        wanted: String,
        /// Ids of the models in the catalogue.
        known: Vec<String>,
    },
    /// The folder or file is a model, but not one this build can run.
    #[error("{}: unsupported model: {found}; {remedy}", path.display())]
    UnsupportedModel {
        /// The file that says so.
        path: PathBuf,
        /// The setting or class that was found.
        found: String,
        /// What would work instead.
        remedy: String,
    },
    /// A file of a model is missing, broken or of the wrong shape.
    #[error("{}: {problem}; {remedy}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place in the file where known.
        problem: String,
        /// What the user can do next.
        remedy: String,
    },
    /// Reading or writing failed.
    #[error("{}: cannot {action}: {reason}; {remedy}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `write`, `create`…
        action: String,
        /// The system's own words.
        reason: String,
        /// What the user can do next.
        remedy: String,
    },
    /// The job was cancelled before it ended.
    #[error("cancelled")]
    Cancelled,
    /// The queue is full.
    #[error("the queue is full ({limit} jobs)")]
    QueueFull {
        /// How many jobs it holds.
        limit: usize,
    },
    /// The compute library failed.
    #[error("computation failed in {op}: {reason}")]
    Compute {
        /// The layer or stage.
        op: String,
        /// The library's own words.
        reason: String,
    },
    /// A fault of the program: a panic caught at the job's fence.
    #[error("internal fault while {stage}: {report}")]
    Internal {
        /// What the job was doing.
        stage: String,
        /// The panic's message and place.
        report: String,
    },
}

impl EngineError {
    /// A field-level problem.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::InvalidRequest {
            field: field.into(),
            why: why.into(),
        }
    }

    /// A file that is broken, with the remedy.
    pub fn bad_file(
        path: impl Into<PathBuf>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::BadFile {
            path: path.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// A failed read or write, with a remedy chosen from the system's error kind.
    pub fn io(path: impl Into<PathBuf>, action: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let remedy = match error.kind() {
            Kind::NotFound => "check the path, the file may have been moved",
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                "choose a folder you may write to, or change its permissions"
            }
            Kind::StorageFull | Kind::QuotaExceeded => {
                "free some space on that disk, or choose another folder"
            }
            Kind::AlreadyExists => "choose another name",
            Kind::NotADirectory => {
                "a file is in the way where a folder is needed: choose another path"
            }
            Kind::IsADirectory => "this is a folder: name a file",
            Kind::InvalidFilename => "choose a shorter or simpler name",
            _ => "check the disk and try again",
        };
        Self::Io {
            path: path.into(),
            action: action.to_owned(),
            reason: error.to_string(),
            remedy: remedy.to_owned(),
        }
    }

    /// A stable one-word code, the same as in the JSON form.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest { .. } => "invalid_request",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::UnsupportedModel { .. } => "unsupported_model",
            Self::BadFile { .. } => "bad_file",
            Self::Io { .. } => "io",
            Self::Cancelled => "cancelled",
            Self::QueueFull { .. } => "queue_full",
            Self::Compute { .. } => "compute",
            Self::Internal { .. } => "internal",
        }
    }
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute {
            op: "tensor".to_owned(),
            reason: error.to_string(),
        }
    }
}

/// The engine's result.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
