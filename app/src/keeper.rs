//! Keeps settings, draft and tools between starts: one JSON file in the data folder, written
//! atomically on a thread of its own a moment after the last change, and once more at the end.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::io::write_atomically;
use crate::studio::Studio;
use crate::studio::draft::Draft;
use crate::studio::settings::Settings;
use crate::studio::staging::StagedFiles;
use crate::studio::tool_settings::ToolSettings;

/// Seconds between the first change and its writing.
const SETTLE_SECS: f64 = 1.0;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The program's settings.
    pub settings: Settings,
    /// The recipe's controls.
    pub draft: Draft,
    /// The canvas tools.
    pub tools: ToolSettings,
    /// Results that were not accepted or discarded yet.
    pub staged: StagedFiles,
}

/// Writes what changed.
pub struct Keeper {
    file: PathBuf,
    lane: Option<Sender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    written: Kept,
    changed_secs: Option<f64>,
}

impl Kept {
    /// Reads the file of `data_dir`. One that is missing or broken gives the defaults; a broken one
    /// is put aside, so that nothing of it is lost.
    pub fn load(data_dir: &Path) -> Self {
        let file = file_in(data_dir);
        let Ok(text) = std::fs::read(&file) else {
            return Self::default();
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(kept) => Self {
                settings: kept.settings.repaired(),
                draft: kept.draft.repaired(),
                tools: kept.tools.clamped(),
                staged: kept.staged,
            },
            Err(_broken) => {
                // If it cannot be moved, the next write replaces it.
                let _kept_in_place = std::fs::rename(&file, file.with_extension("broken")).is_err();
                Self::default()
            }
        }
    }

    /// What is to be kept of the studio.
    pub fn of(studio: &Studio) -> Self {
        Self {
            settings: studio.settings.clone(),
            draft: studio.draft.clone(),
            tools: studio.tools.clone(),
            staged: staged_of(studio).into_owned(),
        }
    }

    fn is_of(&self, studio: &Studio) -> bool {
        self.settings == studio.settings
            && self.draft == studio.draft
            && self.tools == studio.tools
            && self.staged == *staged_of(studio)
    }
}

/// What is staged; until the last run's results are back, those.
fn staged_of(studio: &Studio) -> Cow<'_, StagedFiles> {
    if studio.staging.is_empty() {
        Cow::Borrowed(&studio.staged_before)
    } else {
        Cow::Owned(StagedFiles::of(&studio.staging))
    }
}

impl Keeper {
    /// Starts the thread. `written` is what was loaded.
    ///
    /// # Errors
    /// The system's error when the thread cannot be started.
    pub fn start(data_dir: &Path, written: Kept) -> std::io::Result<Self> {
        // One slot: while one version is being written, the next waits in the studio itself.
        let (lane, versions) = bounded::<Vec<u8>>(1);
        let file = file_in(data_dir);
        let target = file.clone();
        let thread = std::thread::Builder::new()
            .name("pentimento-keeper".to_owned())
            .spawn(move || {
                for version in versions {
                    write(&target, &version);
                }
            })?;
        Ok(Self {
            file,
            lane: Some(lane),
            thread: Some(thread),
            written,
            changed_secs: None,
        })
    }

    /// Call each frame: sends what changed once it has settled. Returns the seconds to wait, if any.
    pub fn tick(&mut self, studio: &Studio, now_secs: f64) -> Option<f64> {
        if self.written.is_of(studio) {
            self.changed_secs = None;
            return None;
        }
        let left = *self.changed_secs.get_or_insert(now_secs) + SETTLE_SECS - now_secs;
        if left > 0.0 {
            return Some(left);
        }
        let kept = Kept::of(studio);
        let sent = self
            .lane
            .as_ref()
            .is_some_and(|lane| lane.try_send(to_json(&kept)).is_ok());
        if !sent {
            return Some(SETTLE_SECS);
        }
        self.written = kept;
        self.changed_secs = None;
        None
    }

    /// Writes what is not written yet, and waits for it: the program ends.
    pub fn finish(&mut self, studio: &Studio) {
        self.lane = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened; the write below makes up for it.
            let _panicked = thread.join().is_err();
        }
        if !self.written.is_of(studio) {
            write(&self.file, &to_json(&Kept::of(studio)));
        }
    }
}

fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join("studio.json")
}

fn to_json(kept: &Kept) -> Vec<u8> {
    // Plain data with string keys: cannot fail.
    serde_json::to_vec_pretty(kept).unwrap_or_default()
}

fn write(file: &Path, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    if let Some(folder) = file.parent() {
        // The write below says what is wrong.
        let _exists = std::fs::create_dir_all(folder).is_err();
    }
    // Settings that cannot be written are lost at the next start; the work itself is elsewhere.
    let _lost = write_atomically(file, content).is_err();
}
