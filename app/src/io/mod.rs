//! Files, dialogs and the clipboard, off the interface thread.
//!
//! Two named threads work for the studio: one for files and the clipboard, one that shows dialogs,
//! since a dialog may stay open for as long as the user likes. Tasks and replies cross on bounded
//! channels: a full task channel refuses the task with [`IoReply::Busy`], a full reply channel
//! makes the worker wait.

mod clipboard;
mod dialogs;
mod files;
mod prepare;
mod reveal;
pub mod session;

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::studio::io_task::{IoReply, IoTask};

pub use files::write_atomically;

/// Called after a reply was sent, from the worker's thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Tasks that may wait, and replies that may wait.
const CHANNEL_SLOTS: usize = 64;

/// The two threads and the channels to them.
pub struct IoLink {
    files: Option<Sender<IoTask>>,
    dialogs: Option<Sender<IoTask>>,
    replies: Receiver<IoReply>,
    refused: std::cell::RefCell<Vec<IoReply>>,
    files_thread: Option<JoinHandle<()>>,
}

/// How a worker thread answers.
#[derive(Clone)]
pub(crate) struct Answer {
    replies: Sender<IoReply>,
    waker: Waker,
}

impl Answer {
    /// Sends a reply; waits while the channel is full. `false` when nobody listens any more.
    pub(crate) fn send(&self, reply: IoReply) -> bool {
        let sent = self.replies.send(reply).is_ok();
        (self.waker)();
        sent
    }
}

impl IoLink {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system's error when a thread cannot be started.
    pub fn start(waker: Waker) -> std::io::Result<Self> {
        let (files, file_tasks) = bounded(CHANNEL_SLOTS);
        let (dialogs, dialog_tasks) = bounded(1);
        let (reply_sender, replies) = bounded(CHANNEL_SLOTS);
        let answer = Answer {
            replies: reply_sender,
            waker,
        };
        let for_files = answer.clone();
        let files_thread = std::thread::Builder::new()
            .name("pentimento-files".to_owned())
            .spawn(move || files::serve(&file_tasks, &for_files))?;
        let to_files = files.clone();
        // Not joined at the end: it may hang in a dialog.
        std::thread::Builder::new()
            .name("pentimento-dialogs".to_owned())
            .spawn(move || dialogs::serve(&dialog_tasks, &to_files, &answer))?;
        Ok(Self {
            files: Some(files),
            dialogs: Some(dialogs),
            replies,
            refused: std::cell::RefCell::default(),
            files_thread: Some(files_thread),
        })
    }

    /// Hands a task over; never blocks.
    pub fn run(&self, task: IoTask) {
        let lane = match task {
            IoTask::Ask(_) => &self.dialogs,
            _ => &self.files,
        };
        let Some(lane) = lane else {
            return;
        };
        match lane.try_send(task) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.refused.borrow_mut().push(IoReply::Busy),
        }
    }

    /// The next reply, if one waits.
    pub fn poll(&self) -> Option<IoReply> {
        self.refused
            .borrow_mut()
            .pop()
            .or_else(|| self.replies.try_recv().ok())
    }
}

impl Drop for IoLink {
    /// Lets tasks that were accepted end (a copy that is being saved is saved), then joins.
    fn drop(&mut self) {
        self.files = None;
        self.dialogs = None;
        // Replies nobody reads must not hold the worker.
        let (_, nobody) = bounded(0);
        self.replies = nobody;
        if let Some(thread) = self.files_thread.take() {
            // A panic of the worker was reported when it happened.
            let _panicked = thread.join().is_err();
        }
    }
}
