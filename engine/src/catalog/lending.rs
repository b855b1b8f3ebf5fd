//! Files that hold a network and not all of its model (ComfyUI's `unet` and `diffusion_models` folders
//! are full of them): which models can lend the missing parts, and the model that comes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scan::{Found, inspect};
use super::{Catalog, ModelInfo};
use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::families::single::{self, Lacking, Lacks};
use crate::recipe::ModelRef;
use crate::weights::Weights;

/// What a model's file does not hold, and who lends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Borrowed {
    /// The parts for people: `the text encoder and the autoencoder`.
    pub parts: String,
    /// Ids of the models that can lend them, in the order of the catalogue: without a word the first
    /// does.
    pub lenders: Vec<String>,
    /// Bytes of the parts that the first of them lends.
    pub size_bytes: u64,
}

impl Borrowed {
    /// Id of the model that lends the parts where nothing is said.
    pub fn usual(&self) -> &str {
        self.lenders.first().map_or("", String::as_str)
    }
}

/// A file with a network that waits for a lender.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// What it is to be called.
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) lacks: Lacks,
}

/// Names that say nothing: those of the files in a diffusers folder.
const NAMELESS: &[&str] = &["diffusion_pytorch_model", "model", "pytorch_model"];

impl Network {
    pub(super) fn new(id: &str, path: &Path, lacks: Lacks) -> Self {
        let bare = id.split('.').next().unwrap_or(id);
        let folder = path.parent().and_then(Path::file_name);
        let folder = folder.filter(|_| NAMELESS.contains(&bare));
        Self {
            id: folder.map_or_else(|| id.to_owned(), |name| name.to_string_lossy().into_owned()),
            path: path.to_owned(),
            lacks,
        }
    }

    /// The model it is with the parts of the first model that can lend them.
    ///
    /// # Errors
    /// `UnsupportedModel` when there is none.
    pub(super) fn complete(&self, whole: &[Found]) -> Result<Found> {
        let fitting: Vec<&Found> = whole.iter().filter(|one| self.takes(one)).collect();
        let mut refused = None;
        for (at, lender) in fitting.iter().enumerate() {
            let lenders = fitting[at..].iter().map(|one| one.info.id.clone());
            match lend(&self.id, &self.path, lender, lenders.collect()) {
                Ok(found) => return Ok(found),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| self.alone()))
    }

    fn takes(&self, lender: &Found) -> bool {
        lender.lender.is_none() && lender.fit == self.lacks.fit
    }

    /// Why it cannot be run.
    pub(super) fn alone(&self) -> EngineError {
        let network = &self.lacks.network;
        EngineError::UnsupportedModel {
            path: self.path.clone(),
            found: format!("a UNet of {network} without {}", self.lacks.names()),
            remedy: format!(
                "add a whole model of {network} to the model folders: this one then takes the parts \
                 from it"
            ),
        }
    }
}

/// The model that a file and a lender make together.
fn lend(id: &str, path: &Path, lender: &Found, lenders: Vec<String>) -> Result<Found> {
    let opened = single::open_with(path, Some(&lender.files))?;
    let mut found = inspect(id, &opened.files)?;
    let storage = &mut found.info.storage;
    storage.take(&opened);
    let lacks = opened.lacks.as_ref();
    let parts = lacks.map_or(&[][..], |lacks| lacks.parts.as_slice());
    let cancel = CancelToken::default();
    let size_of =
        |part: &Lacking| Ok(Weights::open(&opened.files, part.folder, &cancel)?.size_bytes());
    storage.borrowed = Some(Borrowed {
        parts: lacks.map(Lacks::names).unwrap_or_default(),
        lenders,
        size_bytes: parts.iter().map(size_of).sum::<Result<u64>>()?,
    });
    found.lender = Some(Arc::new(lender.clone()));
    Ok(found)
}

impl Found {
    /// This model with the missing parts of its file from another lender.
    ///
    /// # Errors
    /// What does not fit.
    pub fn lent_by(&self, lender: &Self) -> Result<Self> {
        let (Some(path), Some(now)) = (self.files.single_path(), &self.lender) else {
            return Ok(self.clone());
        };
        if now.is_same(lender) {
            let lender = Some(Arc::new(lender.clone()));
            return Ok(Self {
                lender,
                ..self.clone()
            });
        }
        let borrowed = self.info.storage.borrowed.clone().unwrap_or_default();
        let mut found = lend(&self.info.id, path, lender, borrowed.lenders)?;
        found.info.sha256.clone_from(&self.info.sha256);
        Ok(found)
    }
}

impl Catalog {
    /// The model that a recipe means to lend a model's missing parts: by hash, else by its names.
    ///
    /// # Errors
    /// `InvalidRequest` that names those that can.
    pub fn lender(&self, borrowed: &Borrowed, wanted: &ModelRef) -> Result<&ModelInfo> {
        let can = |model: &&ModelInfo| borrowed.lenders.contains(&model.id);
        let meant = self.meant(wanted).map(|(model, _)| model).filter(can);
        meant.ok_or_else(|| {
            let lenders = borrowed.lenders.join(", ");
            let parts = &borrowed.parts;
            let id = &wanted.id;
            EngineError::invalid(
                "network.parts_from",
                format!("“{id}” cannot lend {parts}; choose one of {lenders}"),
            )
        })
    }
}
