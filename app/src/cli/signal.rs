//! What the command line sleeps on: the engine's waker and Ctrl+C ring the same bell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use pentimento_engine::engine::Waker;

/// A bell with memory for one ring, and a count of interrupts.
#[derive(Debug)]
pub struct Signal {
    ring: Sender<()>,
    heard: Receiver<()>,
    interrupts: AtomicU32,
}

impl Signal {
    /// A silent bell.
    pub fn new() -> Arc<Self> {
        let (ring, heard) = bounded(1);
        Arc::new(Self {
            ring,
            heard,
            interrupts: AtomicU32::new(0),
        })
    }

    /// Wakes the sleeper; a ring that was not heard yet is enough.
    pub fn notify(&self) {
        let _ = self.ring.try_send(());
    }

    /// Ctrl+C: asks the running command to stop.
    pub fn interrupt(&self) {
        self.interrupts.fetch_add(1, Ordering::SeqCst);
        self.notify();
    }

    /// How often the user asked to stop.
    pub fn interrupts(&self) -> u32 {
        self.interrupts.load(Ordering::SeqCst)
    }

    /// Sleeps until a ring, or for so long.
    pub fn wait(&self, at_most: Duration) {
        let _ = self.heard.recv_timeout(at_most);
    }

    /// The engine's waker.
    pub fn waker(self: &Arc<Self>) -> Waker {
        let signal = Arc::clone(self);
        Arc::new(move || signal.notify())
    }
}
