//! Keeps the session on disk: the document's journal, on a thread of its own, so that a kill loses
//! at most the stroke that was being drawn.
//!
//! The folder holds `lock` (one program at a time) and `canvas.journal`. The thread
//! mirrors the document (its tiles are shared with the window's) and so can write the journal anew
//! whenever it has grown too long, or after a write failed.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use pentimento_engine::error::EngineError;

use super::Waker;
use crate::studio::document::{Document, JournalEntry};
use crate::studio::session::{JournalWriter, Refused, SessionReply, condense, recover};

/// A journal below this length is never condensed, in bytes.
const MIN_CONDENSE_BYTES: u64 = 64 << 20;
/// Changes that may wait for the thread; more wait in the link.
const CHANNEL_SLOTS: usize = 256;

/// The window's end.
pub struct SessionLink {
    changes: Option<Sender<JournalEntry>>,
    replies: Receiver<SessionReply>,
    waiting: VecDeque<JournalEntry>,
    thread: Option<JoinHandle<()>>,
}

impl SessionLink {
    /// Starts the thread on a folder, which is made if it is missing.
    ///
    /// # Errors
    /// The system's when the thread cannot be started.
    pub fn start(folder: PathBuf, waker: Waker) -> std::io::Result<Self> {
        let (changes, received) = bounded(CHANNEL_SLOTS);
        let (reply_sender, replies) = bounded(16);
        let thread = std::thread::Builder::new()
            .name("pentimento-session".to_owned())
            .spawn(move || {
                let say = |reply| {
                    // Full or closed: a window that does not listen cannot be told.
                    let _unheard = reply_sender.try_send(reply).is_err();
                    waker();
                };
                Keeper::run(&folder, &received, &say);
            })?;
        Ok(Self {
            changes: Some(changes),
            replies,
            waiting: VecDeque::new(),
            thread: Some(thread),
        })
    }

    /// The next reply, if one waits.
    pub fn poll(&self) -> Option<SessionReply> {
        self.replies.try_recv().ok()
    }

    /// Hands over what happened since the last call; never blocks. Call once a frame.
    pub fn keep(&mut self, entries: Vec<JournalEntry>) {
        self.waiting.extend(entries);
        let Some(changes) = &self.changes else {
            return;
        };
        while let Some(change) = self.waiting.pop_front() {
            match changes.try_send(change) {
                Ok(()) => {}
                Err(TrySendError::Full(change)) => {
                    self.waiting.push_front(change);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

impl Drop for SessionLink {
    /// Waits until everything is on disk.
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            for change in self.waiting.drain(..) {
                if changes.send(change).is_err() {
                    break;
                }
            }
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _panicked = thread.join().is_err();
        }
    }
}

/// The thread's state.
struct Keeper {
    journal: PathBuf,
    mirror: Document,
    writer: Option<JournalWriter<BufWriter<File>>>,
    condensed_bytes: u64,
}

impl Keeper {
    fn run(folder: &Path, changes: &Receiver<JournalEntry>, say: &dyn Fn(SessionReply)) {
        let lock = std::fs::create_dir_all(folder).and_then(|()| lock(folder));
        let _lock = match lock {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                say(SessionReply::InUse);
                changes.iter().for_each(drop);
                return;
            }
            Err(error) => {
                say(SessionReply::Failed(EngineError::io(
                    folder, "write", &error,
                )));
                changes.iter().for_each(drop);
                return;
            }
        };
        let mut keeper = Self {
            journal: folder.join("canvas.journal"),
            mirror: Document::default(),
            writer: None,
            condensed_bytes: 0,
        };
        keeper.restore(say);
        while let Ok(first) = changes.recv() {
            // One trip to the disk for everything that waits.
            let mut written = Ok(());
            for entry in std::iter::once(first).chain(changes.try_iter()) {
                if written.is_ok() {
                    written = keeper.append(&entry);
                }
                keeper.mirror.replay(entry);
            }
            written = written.and_then(|()| keeper.settle());
            if let Err(error) = written {
                keeper.writer = None;
                say(SessionReply::Failed(EngineError::io(
                    &keeper.journal,
                    "write",
                    &error,
                )));
            }
        }
    }

    /// Reads the last session and reports it.
    fn restore(&mut self, say: &dyn Fn(SessionReply)) {
        match self.read_journal() {
            Ok(Ok(())) => {}
            Ok(Err(_refused)) => {
                let aside = self.journal.with_extension("unreadable");
                let moved = std::fs::rename(&self.journal, &aside);
                say(match moved {
                    Ok(()) => SessionReply::Unreadable(aside),
                    Err(error) => {
                        SessionReply::Failed(EngineError::io(&self.journal, "rename", &error))
                    }
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => say(SessionReply::Failed(EngineError::io(
                &self.journal,
                "read",
                &error,
            ))),
        }
        say(SessionReply::Restored(Box::new(self.mirror.clone())));
    }

    fn read_journal(&mut self) -> std::io::Result<Result<(), Refused>> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.journal)?;
        let recovered = match recover(&mut BufReader::with_capacity(1 << 20, &mut file))? {
            Ok(recovered) => recovered,
            Err(refused) => return Ok(Err(refused)),
        };
        // A torn tail goes before anything is appended.
        file.set_len(recovered.byte_len)?;
        file.seek(SeekFrom::End(0))?;
        self.mirror = recovered.document;
        self.condensed_bytes = recovered.byte_len;
        self.writer = Some(JournalWriter::resume(
            BufWriter::with_capacity(1 << 20, file),
            recovered.next_record,
            recovered.byte_len,
        ));
        Ok(Ok(()))
    }

    /// Appends an entry that the mirror has not seen yet.
    fn append(&mut self, entry: &JournalEntry) -> std::io::Result<()> {
        if self.writer.is_none() {
            self.rewrite()?;
        }
        match &mut self.writer {
            Some(writer) => writer.append(entry),
            None => Ok(()),
        }
    }

    /// Brings everything to the disk; writes the journal anew when it is missing or too long.
    fn settle(&mut self) -> std::io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        writer.get_mut().flush()?;
        let limit = MIN_CONDENSE_BYTES.max(self.condensed_bytes.saturating_mul(3));
        if writer.byte_len() > limit {
            return self.rewrite();
        }
        writer.get_mut().get_ref().sync_data()
    }

    /// Writes the shortest journal of the mirror to a new file and puts it in place.
    fn rewrite(&mut self) -> std::io::Result<()> {
        self.writer = None;
        let part = self.journal.with_extension("part");
        let (base, entries) = condense(&self.mirror);
        let file = BufWriter::with_capacity(1 << 20, File::create(&part)?);
        let mut writer = JournalWriter::create(file, base.as_ref())?;
        for entry in &entries {
            writer.append(entry)?;
        }
        writer.get_mut().flush()?;
        writer.get_mut().get_ref().sync_all()?;
        std::fs::rename(&part, &self.journal)?;
        self.condensed_bytes = writer.byte_len();
        self.writer = Some(writer);
        Ok(())
    }
}

/// The lock that says whose session it is; `None` when another program has it.
fn lock(folder: &Path) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}
