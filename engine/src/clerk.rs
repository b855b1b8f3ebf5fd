//! The threads `engine-clerk` and `engine-hasher`: finding models, counting tokens, hashing files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::catalog::hash::{HashCache, hash_model};
use crate::catalog::scan::{Found, Scanner};
use crate::engine::{EmbeddedModel, EngineConfig, Shared};
use crate::event::Event;
use crate::families;
use crate::prompt::tokenizer::Tokenizer;

/// Shortest time between two looks at the model folders.
const PAUSE: Duration = Duration::from_secs(3);
/// The time between two looks, in times that one takes.
const PAUSE_PER_LOOK: u32 = 50;

/// What the clerk is asked.
pub(crate) enum ClerkTask {
    /// Look through these folders.
    Scan(Vec<PathBuf>),
    /// Count tokens.
    CountTokens {
        /// Returned with the answer.
        query: u64,
        /// Model id.
        model: String,
        /// Texts.
        texts: Vec<String>,
    },
}

/// The clerk's state.
pub(crate) struct Clerk {
    shared: Arc<Shared>,
    embedded: Vec<EmbeddedModel>,
    data_dir: PathBuf,
    hashes: Sender<Vec<Found>>,
    /// The folders of the last scan, and what it saw.
    folders: Vec<PathBuf>,
    scanner: Scanner,
    /// Time between two looks at the folders.
    pause: Duration,
    /// The tokenizer used last.
    tokenizer: Option<(String, Tokenizer)>,
}

impl Clerk {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: &EngineConfig,
        hashes: Sender<Vec<Found>>,
    ) -> Self {
        let (embedded, data_dir) = (config.embedded_models.clone(), config.data_dir.clone());
        Self {
            shared,
            embedded,
            data_dir,
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
            match tasks.recv_timeout(self.pause) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.watch(),
                Ok(ClerkTask::Scan(folders)) => {
                    self.folders = folders;
                    self.scan();
                }
                Ok(ClerkTask::CountTokens {
                    query,
                    model,
                    texts,
                }) => {
                    self.count_tokens(query, &model, &texts);
                }
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
            info.sha256 = cache.get(model);
            model.info.sha256.clone_from(&info.sha256);
        }
        self.tokenizer = None;
        let unknown: Vec<Found> = found
            .iter()
            .filter(|model| model.info.sha256.is_none())
            .cloned()
            .collect();
        self.shared.set_catalog(catalog, found);
        // When the lane is full, earlier scans are still being hashed; the next scan asks again.
        let _later = self.hashes.try_send(unknown).is_err();
    }

    fn count_tokens(&mut self, query: u64, model: &str, texts: &[String]) {
        if self.tokenizer.as_ref().is_none_or(|(id, _)| id != model) {
            let found = self.shared.found(model);
            let read = |found: Found| {
                (families::identify(&found.files).ok()?.tokenizer)(&found.files).ok()
            };
            self.tokenizer = found
                .and_then(read)
                .map(|tokenizer| (model.to_owned(), tokenizer));
        }
        let Some((_, tokenizer)) = &self.tokenizer else {
            return;
        };
        let counts: Option<Vec<_>> = texts
            .iter()
            .map(|text| tokenizer.count(text).ok())
            .collect();
        if let Some(counts) = counts {
            self.shared.emit(Event::TokensCounted { query, counts });
        }
    }
}

/// The hasher's state.
pub(crate) struct Hasher {
    shared: Arc<Shared>,
    data_dir: PathBuf,
}

impl Hasher {
    /// Works until the lane closes or the engine stops.
    pub(crate) fn run(&self, tasks: &Receiver<Vec<Found>>) {
        for models in tasks {
            for model in models {
                if self.shared.stopping.is_cancelled() {
                    return;
                }
                self.hash(&model, &self.data_dir);
            }
        }
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
