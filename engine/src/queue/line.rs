//! The line of jobs in memory: the worker waits at its head, a cancelled job leaves from the middle.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::cancel::CancelToken;
use crate::client::Request;
use crate::event::JobId;

/// A job that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its number.
    pub job: JobId,
    /// What is asked.
    pub request: Request,
    /// Its stop flag.
    pub cancel: CancelToken,
}

/// What the worker does next.
#[derive(Debug)]
pub enum Next {
    /// Run this.
    Job(Box<Waiting>),
    /// Nothing waits: load this model meanwhile.
    WarmUp(String),
    /// The engine ends.
    Stop,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    warm_up: Option<String>,
    stopped: bool,
}

/// Jobs in order.
#[derive(Debug, Default)]
pub struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

impl Line {
    /// Adds a job at the end.
    pub fn push(&self, waiting: Waiting) {
        self.state().waiting.push_back(waiting);
        self.changed.notify_all();
    }

    /// Takes a job out, if it still waits.
    pub fn remove(&self, job: JobId) -> Option<Waiting> {
        let mut state = self.state();
        let place = state
            .waiting
            .iter()
            .position(|waiting| waiting.job == job)?;
        state.waiting.remove(place)
    }

    /// Asks for a model to be loaded when nothing else is to do.
    pub fn warm_up(&self, model: String) {
        self.state().warm_up = Some(model);
        self.changed.notify_all();
    }

    /// Ends the line: jobs that still wait stay in the journal.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Blocks until there is something to do.
    pub fn next(&self) -> Next {
        let mut state = self.state();
        loop {
            if state.stopped {
                return Next::Stop;
            }
            if let Some(waiting) = state.waiting.pop_front() {
                return Next::Job(Box::new(waiting));
            }
            if let Some(model) = state.warm_up.take() {
                return Next::WarmUp(model);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
