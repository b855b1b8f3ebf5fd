//! Undo and redo: one step per stroke or command, bounded by memory.

use std::collections::VecDeque;

use super::edit::{Canvas, Edit, EditKind};

/// Memory the history may hold on to by default, in bytes. The newest step is kept whatever it
/// costs.
pub const DEFAULT_BUDGET_BYTES: usize = 768 << 20;
/// Steps kept at most.
const MAX_STEPS: usize = 1000;

/// Edits done and undone.
#[derive(Clone, Debug)]
pub struct History {
    done: VecDeque<Edit>,
    undone: Vec<Edit>,
    budget_bytes: usize,
    done_bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::with_budget(DEFAULT_BUDGET_BYTES)
    }
}

impl History {
    /// An empty history that holds on to at most `budget_bytes` of pixels.
    pub fn with_budget(budget_bytes: usize) -> Self {
        Self {
            done: VecDeque::new(),
            undone: Vec::new(),
            budget_bytes,
            done_bytes: 0,
        }
    }

    /// Adds an edit that was applied already; what was undone is forgotten, and so are the oldest
    /// steps when the budget is spent.
    pub fn push(&mut self, edit: Edit) {
        self.undone.clear();
        self.done_bytes += edit.cost_bytes();
        self.done.push_back(edit);
        while self.done.len() > 1
            && (self.done_bytes > self.budget_bytes || self.done.len() > MAX_STEPS)
        {
            if let Some(oldest) = self.done.pop_front() {
                self.done_bytes -= oldest.cost_bytes();
            }
        }
    }

    /// Takes the newest edit back; `false` when there is none.
    pub fn undo(&mut self, canvas: &mut Option<Canvas>) -> bool {
        let Some(edit) = self.done.pop_back() else {
            return false;
        };
        self.done_bytes -= edit.cost_bytes();
        edit.revert(canvas);
        self.undone.push(edit);
        true
    }

    /// Does the edit that was undone last again; `false` when there is none.
    pub fn redo(&mut self, canvas: &mut Option<Canvas>) -> bool {
        let Some(edit) = self.undone.pop() else {
            return false;
        };
        self.done_bytes += edit.cost_bytes();
        edit.apply(canvas);
        self.done.push_back(edit);
        true
    }

    /// What undo would take back.
    pub fn undo_kind(&self) -> Option<EditKind> {
        self.done.back().map(|edit| edit.kind)
    }

    /// What redo would do again.
    pub fn redo_kind(&self) -> Option<EditKind> {
        self.undone.last().map(|edit| edit.kind)
    }

    /// Edits that can be undone, oldest first.
    pub fn done(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        self.done.iter()
    }

    /// Edits that can be redone, the next one first.
    pub fn undone(&self) -> impl Iterator<Item = &Edit> {
        self.undone.iter().rev()
    }

    /// Bytes of pixels the steps to undo hold on to.
    pub fn done_bytes(&self) -> usize {
        self.done_bytes
    }
}
