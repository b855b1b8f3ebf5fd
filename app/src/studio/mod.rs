//! The state of the studio, by topic, without egui. Panels read it; [`Studio::apply`] changes it and
//! says, as [`Effect`]s, what is wanted from the world outside.

pub mod canvas_apply;
pub mod canvas_command;
pub mod document;
pub mod edit;
pub mod flood;
pub mod geometry;
pub mod history;
pub mod io_task;
pub mod mask;
pub mod region;
pub mod session;
pub mod staging;
pub mod stroke;
pub mod tiles;
pub mod tool_settings;

use std::sync::Arc;

use pentimento_engine::catalog::Catalog;
use pentimento_engine::client::Request;
use pentimento_engine::event::{Event, JobId, Preview};

use crate::command::{Action, Command};
use canvas_apply::ViewRequest;
use document::Document;
use io_task::IoTask;
use staging::Staging;
use tool_settings::ToolSettings;

/// The whole state.
#[derive(Debug, Default)]
pub struct Studio {
    /// What can be run.
    pub catalog: Arc<Catalog>,
    /// The canvas's picture and mask.
    pub document: Document,
    /// Results waiting to be accepted.
    pub staging: Staging,
    /// The canvas tools.
    pub tools: ToolSettings,
    /// What a menu or key wants of the canvas's view.
    pub view_request: ViewRequest,
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
    /// Something for the file threads.
    Io(IoTask),
}

impl Studio {
    /// Applies one command.
    pub fn apply(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Action(action) => self.apply_action(action),
            Command::Canvas(command) => self.apply_canvas(command),
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
