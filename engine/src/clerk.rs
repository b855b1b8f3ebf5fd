//! The threads `engine-clerk` and `engine-hasher`: finding models, reading prompts, hashing files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::catalog::AddOnInfo;
use crate::catalog::hash::{HashCache, hash_file, hash_model};
use crate::catalog::scan::{Found, Scanner};
use crate::engine::{EmbeddedModel, EngineConfig, Shared};
use crate::event::Event;
use crate::families;
use crate::prompt::inspect::{PromptQuery, inspect};
use crate::prompt::learned::may_hold;
use crate::prompt::tokenizer::Tokenizer;
use crate::prompt::wildcards::WildcardFiles;
use crate::recipe::AddOnKind;

/// Shortest time between two looks at the model folders.
const PAUSE: Duration = Duration::from_secs(3);
/// The time between two looks, in times that one takes.
const PAUSE_PER_LOOK: u32 = 50;

/// What the clerk is asked.
pub(crate) enum ClerkTask {
    /// Look through the model folders, if others were named.
    Scan,
    /// Read prompts as a job would.
    Inspect {
        /// Returned with the answer.
        query: u64,
        /// What to read.
        prompts: Box<PromptQuery>,
    },
}

/// The clerk's state.
pub(crate) struct Clerk {
    shared: Arc<Shared>,
    embedded: Vec<EmbeddedModel>,
    data_dir: PathBuf,
    wildcard_folders: Vec<PathBuf>,
    hashes: Sender<ToHash>,
    /// The folders of the last scan, and what it saw.
    folders: Vec<PathBuf>,
    scanner: Scanner,
    /// Time between two looks at the folders.
    pause: Duration,
    /// The tokenizer used last.
    tokenizer: Option<(String, Tokenizer)>,
}

impl Clerk {
    pub(crate) fn new(shared: Arc<Shared>, config: &EngineConfig, hashes: Sender<ToHash>) -> Self {
        let (embedded, data_dir) = (config.embedded_models.clone(), config.data_dir.clone());
        Self {
            shared,
            embedded,
            data_dir,
            wildcard_folders: config.wildcard_folders.clone(),
            hashes,
            folders: Vec::new(),
            scanner: Scanner::default(),
            pause: PAUSE,
            tokenizer: None,
        }
    }

    /// The other thread's state.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher {
            shared: Arc::clone(&self.shared),
            data_dir: self.data_dir.clone(),
        }
    }

    /// Works until the lane closes.
    pub(crate) fn run(&mut self, tasks: &Receiver<ClerkTask>) {
        loop {
            let task = match tasks.recv_timeout(self.pause) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => None,
                Ok(task) => Some(task),
            };
            // Whatever came: the word that there are others may have found the lane full.
            if let Some(folders) = self.shared.folders.take() {
                self.folders = folders;
                self.scan();
            }
            match task {
                None => self.watch(),
                Some(ClerkTask::Scan) => {}
                Some(ClerkTask::Inspect { query, prompts }) => self.inspect(query, &prompts),
            }
        }
    }

    /// Looks whether models came, went or changed. Large trees on slow disks are looked at less often.
    fn watch(&mut self) {
        let began = Instant::now();
        if self.scanner.has_changed(&self.folders) {
            self.scan();
        }
        self.pause = PAUSE.max(began.elapsed() * PAUSE_PER_LOOK);
    }

    fn scan(&mut self) {
        let cache = HashCache::open(&self.data_dir);
        let (mut catalog, mut found) = self.scanner.scan(&self.folders, &self.embedded);
        for (info, model) in catalog.models.iter_mut().zip(&mut found) {
            if info.sha256.is_none() {
                info.sha256 = cache.get(model);
                model.info.sha256.clone_from(&info.sha256);
            }
        }
        for file in &mut catalog.autoencoders {
            file.sha256 = cache.get_file(&file.path);
        }
        let unhashed = catalog.autoencoders.iter();
        let unhashed = unhashed.filter(|file| file.sha256.is_none());
        let files = unhashed.map(|file| file.path.clone()).collect();
        self.tokenizer = None;
        let unknown: Vec<Found> = found
            .iter()
            .filter(|model| model.info.sha256.is_none())
            .cloned()
            .collect();
        self.shared.set_catalog(catalog, found);
        // When the lane is full, earlier scans are still being hashed; the next scan asks again.
        let to_hash = ToHash {
            models: unknown,
            files,
        };
        let _later = self.hashes.try_send(to_hash).is_err();
    }

    fn inspect(&mut self, query: u64, prompts: &PromptQuery) {
        let model = &prompts.model;
        if self.tokenizer.as_ref().is_none_or(|(id, _)| id != model) {
            let found = self.shared.found(model);
            let read = |found: Found| {
                (families::identify(&found.files).ok()?.tokenizer)(&found.files).ok()
            };
            self.tokenizer = found
                .and_then(read)
                .map(|tokenizer| (model.clone(), tokenizer));
        }
        let Some((_, tokenizer)) = &mut self.tokenizer else {
            return;
        };
        let words = learnable(&self.shared, prompts);
        let named = words
            .iter()
            .map(|(name, vectors)| (name.as_str(), *vectors));
        if tokenizer.learn(named).is_err() {
            return;
        }
        // Looked through only where they are named: this runs while the artist types.
        let names_files = prompts.texts.iter().any(|text| text.contains("__"));
        let folders = names_files.then_some(self.wildcard_folders.as_slice());
        let wildcards = WildcardFiles::open(folders.unwrap_or_default());
        if let Ok(inspections) = inspect(tokenizer, prompts, &wildcards) {
            let inspections = Box::new(inspections);
            self.shared
                .emit(Event::PromptsInspected { query, inspections });
        }
    }
}

/// What a scan found without a known hash.
pub(crate) struct ToHash {
    models: Vec<Found>,
    /// Autoencoders.
    files: Vec<PathBuf>,
}

/// Embeddings whose names may stand in the prompts, that were made for the model as far as that can be
/// told from their width.
fn learnable(shared: &Shared, prompts: &PromptQuery) -> Vec<(String, usize)> {
    let catalog = shared.catalog();
    let variant = catalog
        .find(&prompts.model)
        .map(|model| &model.storage.variant);
    let fits = |info: &&AddOnInfo| {
        info.kind == AddOnKind::Embedding
            && variant.is_none_or(|variant| variant.starts_with(&info.base))
    };
    let may_say = |info: &&AddOnInfo| {
        let mut texts = prompts.texts.iter();
        texts.any(|text| may_hold(text, &info.name))
    };
    let found = catalog.add_ons.iter().filter(fits).filter(may_say);
    found
        .map(|info| (info.name.clone(), info.vectors as usize))
        .collect()
}

/// The hasher's state.
pub(crate) struct Hasher {
    shared: Arc<Shared>,
    data_dir: PathBuf,
}

impl Hasher {
    /// Works until the lane closes or the engine stops.
    pub(crate) fn run(&self, tasks: &Receiver<ToHash>) {
        for ToHash { models, files } in tasks {
            for file in files {
                if self.shared.stopping.is_cancelled() {
                    return;
                }
                self.hash_file(&file);
            }
            for model in models {
                if self.shared.stopping.is_cancelled() {
                    return;
                }
                self.hash(&model, &self.data_dir);
            }
        }
    }

    fn hash_file(&self, path: &Path) {
        let Ok(sha256) = hash_file(path, &self.shared.stopping) else {
            return;
        };
        HashCache::open(&self.data_dir).put_file(path, &sha256);
        self.shared.set_file_hash(path, &sha256);
    }

    fn hash(&self, model: &Found, data_dir: &Path) {
        // An unreadable file shows when the model is loaded; it needs no second message.
        let Ok(sha256) = hash_model(model, &self.shared.stopping) else {
            return;
        };
        HashCache::open(data_dir).put(model, &sha256);
        self.shared.set_hash(&model.info.id, &sha256);
    }
}
