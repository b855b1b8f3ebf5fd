//! Every user action as data. [`Command`] is what panels send; [`Action`] are the commands without
//! arguments, each with label, tooltip, shortcut, icon and a condition in one table ([`ACTIONS`])
//! that menus, the palette and the key handling walk.

use crate::studio::canvas_command::CanvasCommand;

/// A request to change the studio. Applied by `Studio::apply`, and by nothing else.
#[derive(Clone, Debug)]
pub enum Command {
    /// An action of the table.
    Action(Action),
    /// An edit of the document, the mask, the tools or the staging.
    Canvas(CanvasCommand),
}

/// The commands that need no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Submit the draft.
    Generate,
    /// Cancel the running job.
    Cancel,
}

/// Collects the commands of a frame; drained once at its end.
#[derive(Debug, Default)]
pub struct CommandSender {
    queue: Vec<Command>,
}

impl CommandSender {
    /// Sends a command.
    pub fn send(&mut self, command: impl Into<Command>) {
        self.queue.push(command.into());
    }

    /// Takes what was sent since the last call, in order.
    pub fn drain(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.queue)
    }
}

impl From<Action> for Command {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

impl From<CanvasCommand> for Command {
    fn from(command: CanvasCommand) -> Self {
        Self::Canvas(command)
    }
}
