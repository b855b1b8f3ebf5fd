//! Weights on disk: bounded readers, one a file format, and the scoped access networks load from.

pub mod ckpt;
pub mod element;
pub mod embedding;
pub mod files;
pub mod format;
pub mod gguf;
pub mod lora;
pub mod names;
pub mod rows;
pub mod safetensors;
pub mod single;
pub mod slot;
mod stored;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Tensor;

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::nn::Compute;
use element::Entry;
use files::{ByteSource, ModelFiles};
use rows::StoredRows;
use single::SingleFile;
use slot::{Origin, Slot, Slots};

pub use stored::Stored;
pub(crate) use stored::with_stored;

/// All tensors of one part of a model (its UNet, its text encoder…), from one file or from shards.
pub struct Weights {
    label: PathBuf,
    shards: Vec<Arc<ByteSource>>,
    entries: BTreeMap<String, (usize, Entry)>,
    used: RefCell<BTreeSet<String>>,
    slots: RefCell<Slots>,
    cancel: CancelToken,
}

/// File names that hold a part's weights, in order of preference, without folder.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// The names of folders from before there was safetensors.
const PICKLED: [&str; 2] = ["diffusion_pytorch_model.bin", "pytorch_model.bin"];

impl Weights {
    /// Finds and opens the weights in a part's folder: `diffusion_pytorch_model` or `model`, plain
    /// or `.fp16`, whole or sharded by an index file, or as `.bin`; or that part of a single file.
    ///
    /// # Errors
    /// `BadFile` when there are none or a header is broken.
    pub fn open(files: &ModelFiles, folder: &str, cancel: &CancelToken) -> Result<Self> {
        let files = files.holder(folder);
        if let Some(path) = files.single_path() {
            return Self::from_single(SingleFile::open(path)?, folder, cancel);
        }
        for stem in STEMS {
            for variant in ["", ".fp16"] {
                let whole = format!("{folder}/{stem}{variant}.safetensors");
                if files.exists(&whole) {
                    let shards = vec![files.open(&whole)?];
                    return Self::from_shards(files.label(&whole), shards, cancel);
                }
                let index = format!("{folder}/{stem}.safetensors.index{variant}.json");
                if files.exists(&index) {
                    return Self::from_index(files, folder, &index, cancel);
                }
            }
        }
        for name in PICKLED {
            let whole = format!("{folder}/{name}");
            if files.exists(&whole) {
                let shards = vec![files.open(&whole)?];
                return Self::from_shards(files.label(&whole), shards, cancel);
            }
        }
        let stem = STEMS[usize::from(folder.starts_with("text"))];
        Err(EngineError::bad_file(
            files.label(&format!("{folder}/{stem}.safetensors")),
            "the weights are missing",
            "copy the whole model folder again, with its .safetensors (or .bin) files",
        ))
    }

    /// Bytes of all its tensors.
    pub fn size_bytes(&self) -> u64 {
        self.entries.values().map(|(_, entry)| entry.len).sum()
    }

    fn from_index(
        files: &ModelFiles,
        folder: &str,
        index: &str,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let label = files.label(index);
        let bad = |problem: &str| {
            EngineError::bad_file(
                &label,
                problem,
                "copy the model's files again, all its shards",
            )
        };
        let config = files.config(index)?;
        let map = config.get("weight_map").and_then(|map| map.as_object());
        let map = map.ok_or_else(|| bad("“weight_map” is missing"))?;
        let names: BTreeSet<&str> = map.values().filter_map(|name| name.as_str()).collect();
        let mut shards = Vec::new();
        for name in names {
            // A shard's name comes from a file: it must stay inside the folder.
            if name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(bad("a shard's name leaves the folder"));
            }
            shards.push(files.open(&format!("{folder}/{name}"))?);
        }
        Self::from_shards(label, shards, cancel)
    }

    fn from_single(mut file: SingleFile, part: &str, cancel: &CancelToken) -> Result<Self> {
        let label = file.source.label().to_owned();
        let Some(entries) = file.parts.remove(part) else {
            return Err(EngineError::bad_file(
                label,
                format!("the part “{part}” is missing"),
                "the file changed since it was listed: copy it again",
            ));
        };
        Ok(Self {
            label,
            shards: vec![Arc::new(file.source)],
            entries: entries
                .into_iter()
                .map(|(name, entry)| (name, (0, entry)))
                .collect(),
            used: RefCell::default(),
            slots: RefCell::default(),
            cancel: cancel.clone(),
        })
    }

    /// Opens shards that were found already. `label` names them in messages.
    ///
    /// # Errors
    /// `BadFile` when a header is broken or two shards hold one tensor.
    pub fn from_shards(
        label: PathBuf,
        shards: Vec<ByteSource>,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (index, shard) in shards.iter().enumerate() {
            let header = (format::identify(shard)?.read_header)(shard)?;
            for (name, entry) in header.entries {
                if entries.insert(name.clone(), (index, entry)).is_some() {
                    return Err(EngineError::bad_file(
                        shard.label(),
                        format!("tensor “{name}” is in another shard too"),
                        "copy the model's files again",
                    ));
                }
            }
        }
        Ok(Self {
            label,
            shards: shards.into_iter().map(Arc::new).collect(),
            entries,
            used: RefCell::default(),
            slots: RefCell::default(),
            cancel: cancel.clone(),
        })
    }

    /// Access from the top.
    pub fn root<'a>(&'a self, compute: &'a Compute) -> Scope<'a> {
        Scope {
            weights: self,
            prefix: String::new(),
            compute,
        }
    }

    /// Bytes of all its tensors.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|(_, entry)| entry.len).sum()
    }

    /// Tensor names that nobody asked for.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        self.entries
            .keys()
            .filter(|name| !used.contains(*name))
            .cloned()
            .collect()
    }

    /// The places of the tensors that layers were loaded from so far.
    pub fn slots(&self) -> Slots {
        self.slots.borrow().clone()
    }

    /// Where a tensor lies, once it is found to be of that shape and a weight.
    fn locate(&self, name: &str, shape: &[usize]) -> Result<Origin> {
        self.cancel.check()?;
        let Some((shard, entry)) = self.entries.get(name) else {
            return Err(EngineError::bad_file(
                &self.label,
                format!("tensor “{name}” is missing"),
                "the weights do not fit the model's config.json: copy both from one source",
            ));
        };
        let source = &self.shards[*shard];
        if entry.shape != shape {
            return Err(EngineError::bad_file(
                source.label(),
                format!(
                    "tensor “{name}” has shape {:?} where {shape:?} is needed",
                    entry.shape
                ),
                "the weights do not fit the model's config.json: copy both from one source",
            ));
        }
        if !entry.element.is_weight() {
            return Err(stored::not_weights(source, name));
        }
        self.used.borrow_mut().insert(name.to_owned());
        Ok(Origin {
            source: Arc::clone(source),
            name: name.to_owned(),
            entry: entry.clone(),
        })
    }
}

/// Weights below a prefix, in PyTorch's dotted names.
#[derive(Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    compute: &'a Compute,
}

impl Scope<'_> {
    /// Where the layers are loaded to.
    pub fn compute(&self) -> &Compute {
        self.compute
    }

    /// One part further down.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Self {
        Self {
            prefix: format!("{}{part}.", self.prefix),
            ..self.clone()
        }
    }

    /// Whether a tensor of that name is here.
    pub fn has(&self, name: &str) -> bool {
        self.weights
            .entries
            .contains_key(&format!("{}{name}", self.prefix))
    }

    /// A tensor of exactly that shape, in the type it is stored in.
    ///
    /// # Errors
    /// `BadFile` when it is missing, of another shape or type, or holds non-finite numbers.
    pub fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored> {
        let full = format!("{}{name}", self.prefix);
        self.weights.locate(&full, shape)?.read()
    }

    /// A tensor stored in any of these shapes (a linear layer as 1x1 convolution).
    ///
    /// # Errors
    /// As [`Self::stored`]; the first shape is the one named.
    pub fn stored_in(&self, name: &str, shapes: &[&[usize]]) -> Result<Stored> {
        let full = format!("{}{name}", self.prefix);
        let shape = self.stored_shape(&full, shapes);
        self.weights.locate(&full, shape)?.read()
    }

    fn stored_shape<'s>(&self, full: &str, shapes: &[&'s [usize]]) -> &'s [usize] {
        let stored = self.weights.entries.get(full);
        let stored = stored.map(|(_, entry)| entry.shape.as_slice());
        let fits = shapes.iter().find(|shape| stored == Some(**shape));
        fits.unwrap_or(&shapes[0])
    }

    /// A place for a tensor stored in any of these shapes, in the form that `make` gives it. It is read
    /// when it is first needed.
    ///
    /// # Errors
    /// `BadFile` when it is missing, of another shape, or holds no weights.
    pub fn slot<T: Send + Sync + 'static>(
        &self,
        name: &str,
        shapes: &[&[usize]],
        make: impl Fn(Stored) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Slot<T>> {
        let full = format!("{}{name}", self.prefix);
        let shape = self.stored_shape(&full, shapes);
        let slot = Slot::new(self.weights.locate(&full, shape)?, make);
        let mut slots = self.weights.slots.borrow_mut();
        slots.register(full, shape.to_vec(), &slot);
        Ok(slot)
    }

    /// A table of exactly that shape of which few rows will be wanted.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn rows(&self, name: &str, shape: [usize; 2]) -> Result<StoredRows> {
        let full = format!("{}{name}", self.prefix);
        StoredRows::open(self.weights.locate(&full, &shape)?, &self.weights.cancel)
    }

    /// A tensor as f32 on the device, of exactly that shape.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.stored(name, shape)?
            .into_tensor(shape, self.compute.device())
    }

    /// Marks a tensor as known and not needed (buffers that some versions save).
    pub fn ignore(&self, name: &str) {
        self.weights
            .used
            .borrow_mut()
            .insert(format!("{}{name}", self.prefix));
    }
}
