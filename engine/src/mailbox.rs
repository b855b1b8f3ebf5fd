//! The preview lane: one slot, in which the newest value replaces an unseen older one.

use std::sync::{Mutex, PoisonError};

/// A latest-wins slot between two threads.
#[derive(Debug)]
pub struct Mailbox<T>(Mutex<Option<T>>);

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Mailbox<T> {
    /// Puts a value, dropping one that nobody took.
    pub fn put(&self, value: T) {
        *self.slot() = Some(value);
    }

    /// Takes the newest value.
    pub fn take(&self) -> Option<T> {
        self.slot().take()
    }

    /// Empties the slot when `stale` says so.
    pub fn discard_if(&self, stale: impl FnOnce(&T) -> bool) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(stale) {
            *slot = None;
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        // A panic while holding the lock cannot leave a half-written Option behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_wins_and_is_taken_once() {
        let mailbox = Mailbox::default();
        mailbox.put(1);
        mailbox.put(2);
        assert_eq!(mailbox.take(), Some(2));
        assert_eq!(mailbox.take(), None);
        mailbox.put(3);
        mailbox.discard_if(|&value| value == 4);
        assert_eq!(mailbox.take(), Some(3));
    }
}
