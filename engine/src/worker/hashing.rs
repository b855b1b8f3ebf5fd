//! The model's hash, computed while its first picture is made.

use super::panic_message;
use crate::cancel::CancelToken;
use crate::catalog::hash::hash_model;
use crate::catalog::scan::Found;
use crate::engine::Shared;
use crate::error::{EngineError, Result};

/// Hashes the model while its first picture is made, unless the hash is known.
pub(super) enum HashInBackground {
    Known(String),
    Running(std::thread::JoinHandle<Result<String>>, String),
}

impl HashInBackground {
    pub(super) fn start(found: &Found, cancel: &CancelToken) -> Self {
        if let Some(sha256) = &found.info.sha256 {
            return Self::Known(sha256.clone());
        }
        let (found, cancel) = (found.clone(), cancel.clone());
        let id = found.info.id.clone();
        let work = move || {
            crate::backend::lower_priority();
            hash_model(&found, &cancel)
        };
        match std::thread::Builder::new()
            .name("engine-job-hash".to_owned())
            .spawn(work)
        {
            Ok(thread) => Self::Running(thread, id),
            Err(_no_thread) => Self::Known(String::new()),
        }
    }

    pub(super) fn finish(self, shared: &Shared) -> Result<String> {
        match self {
            Self::Known(sha256) => Ok(sha256),
            Self::Running(thread, id) => {
                let sha256 = thread.join().unwrap_or_else(|payload| {
                    let report = panic_message(payload.as_ref());
                    Err(EngineError::Internal {
                        stage: "hashing the model".to_owned(),
                        report,
                    })
                })?;
                shared.set_hash(&id, &sha256);
                Ok(sha256)
            }
        }
    }
}
