//! The state of the studio, by topic, without egui. Panels read it; [`Studio::apply`] changes it and
//! says, as [`Effect`]s, what is wanted from the world outside.

pub mod canvas_command;
pub mod document;

use std::sync::Arc;

use pentimento_engine::catalog::Catalog;
use pentimento_engine::client::Request;
use pentimento_engine::event::{Event, JobId, Preview};

use crate::command::{Action, Command};
use document::Document;

/// The whole state.
#[derive(Debug, Default)]
pub struct Studio {
    /// What can be run.
    pub catalog: Arc<Catalog>,
    /// The canvas's picture, mask, tools and staging.
    pub document: Document,
    /// The newest preview of the running job.
    pub preview: Option<Preview>,
}

/// What a command wants from the world outside: executed by `app` off the interface thread.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Queue a job.
    Submit(Box<Request>),
    /// Stop a job.
    CancelJob(JobId),
}

impl Studio {
    /// Applies one command.
    pub fn apply(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Action(action) => self.apply_action(action),
            Command::Canvas(command) => self.document.apply(command),
        }
    }

    fn apply_action(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Generate | Action::Cancel => Vec::new(),
        }
    }

    /// Takes an event of the engine.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::ImageReady { .. } | Event::Cancelled { .. } | Event::Failed { .. } => {
                self.preview = None;
            }
            _ => {}
        }
        Vec::new()
    }
}
