//! The thread `engine-queue`: blobs and journal first, then the job may start. It also takes
//! cancelled jobs out of the line.

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::engine::Shared;
use crate::error::Result;
use crate::event::{Event, JobId};
use crate::library::Library;
use crate::queue::line::Waiting;

/// What the thread is asked.
pub(crate) enum IntakeTask {
    /// Journal a job and put it in the line.
    Queue(Box<Waiting>),
    /// Take a job out of the line.
    Cancel(JobId),
}

/// The thread's state.
pub(crate) struct Intake {
    shared: Arc<Shared>,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Works until the lane closes.
    pub(crate) fn run(&self, tasks: &Receiver<IntakeTask>) {
        let mut library = None;
        for task in tasks {
            match task {
                IntakeTask::Queue(waiting) => self.queue(*waiting, &mut library),
                IntakeTask::Cancel(job) => {
                    if self.shared.line.remove(job).is_some() {
                        self.shared.journal.remove(job);
                        self.shared.end_job(job, Event::Cancelled { job });
                    }
                }
            }
        }
    }

    fn queue(&self, waiting: Waiting, library: &mut Option<(PathBuf, Library)>) {
        let job = waiting.job;
        match self.journal(&waiting, library) {
            Ok(()) => self.shared.line.push(waiting),
            Err(error) => self.shared.end_job(job, Event::Failed { job, error }),
        }
    }

    fn journal(&self, waiting: &Waiting, library: &mut Option<(PathBuf, Library)>) -> Result<()> {
        let root = self.shared.tuning().library_dir.clone();
        let start = waiting.request.recipe.start.as_ref();
        if !waiting.request.blobs.is_empty() || start.is_some() {
            let (_, library) = match library {
                Some(open) if open.0 == root => open,
                other => other.insert((root.clone(), Library::open(&root)?)),
            };
            for blob in &waiting.request.blobs {
                library.put_blob(blob)?;
            }
            // A job of an earlier run, when another library was in use.
            let others = self.shared.journal.libraries();
            let came_along = |sha256: &&str| {
                let mut blobs = waiting.request.blobs.iter();
                blobs.any(|blob| blob.sha256 == **sha256)
            };
            let blobs = start.iter().flat_map(|start| start.blobs());
            for sha256 in blobs.filter(|sha256| !came_along(sha256)) {
                library.bring_blob(sha256, &others)?;
            }
        }
        let journal = &self.shared.journal;
        journal.write(waiting.job, &waiting.request, &root)?;
        if let Some(former) = &waiting.request.resumes {
            journal.forget(former);
        }
        Ok(())
    }
}
