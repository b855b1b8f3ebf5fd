//! Network calls that a card has recorded: at small pictures a quick card is done with each launch before the host
//! has asked for the next one, and a recorded call is one launch.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::kernels::cuda::{self, Recording};
use crate::residency::Residency;

/// Recordings kept at a time: each has memory of its own, as much as a call needs.
const MOST: usize = 2;

/// The calls of one picture's run, during which all weights stay where they are.
pub struct Replays {
    device: Device,
    known: RefCell<Vec<Known>>,
    used: Cell<bool>,
}

struct Known {
    /// What the call reads besides its inputs.
    reads: Arc<dyn Any>,
    /// Of the inputs.
    shapes: Vec<Vec<usize>>,
    state: State,
}

enum State {
    /// It was computed once. What comes only once is not worth recording.
    Seen,
    Recorded(Recording),
    Refused,
}

impl Replays {
    /// For a run on `device`; `None` where nothing is recorded: on what is no card, on one where it failed before, and
    /// where weights are let go of during a run.
    pub fn of(device: &Device, residency: Residency) -> Option<Self> {
        let stays = matches!(residency, Residency::Everything | Residency::Networks);
        (stays && cuda::may_record(device)).then(|| Self::on(device))
    }

    fn on(device: &Device) -> Self {
        Self {
            device: device.clone(),
            known: RefCell::default(),
            used: Cell::new(false),
        }
    }

    /// Whether a recording has given an answer.
    pub fn were_used(&self) -> bool {
        self.used.get()
    }

    /// Lets go of all recordings: another network takes over, which needs memory too.
    pub fn clear(&self) {
        self.known.borrow_mut().clear();
    }

    /// What `work` makes of its inputs, which it may give up when it is cancelled. From the second call on with the
    /// same `reads` (one allocation: the texts as the network has read them) and inputs of the same shapes it is a
    /// recording's answer, where that can be had.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn call(
        &self,
        reads: &Arc<dyn Any>,
        inputs: &[Tensor],
        cancel: &CancelToken,
        work: impl Fn(&[Tensor], &CancelToken) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let first = self.attempt(reads, inputs, cancel, &work);
        if first.is_ok() || !self.holds_any() {
            return first;
        }
        // There may be too little memory, of which recordings hold their own.
        self.clear();
        work(inputs, cancel)
    }

    fn holds_any(&self) -> bool {
        let known = self.known.borrow();
        known
            .iter()
            .any(|known| matches!(known.state, State::Recorded(_)))
    }

    fn attempt(
        &self,
        reads: &Arc<dyn Any>,
        inputs: &[Tensor],
        cancel: &CancelToken,
        work: &impl Fn(&[Tensor], &CancelToken) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut known = self.known.borrow_mut();
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.dims().to_vec()).collect();
        let same = |known: &Known| Arc::ptr_eq(&known.reads, reads) && known.shapes == shapes;
        let Some(at) = known.iter().position(same) else {
            if known.len() >= MOST {
                known.remove(0);
            }
            known.push(Known {
                reads: Arc::clone(reads),
                shapes,
                state: State::Seen,
            });
            return work(inputs, cancel);
        };
        let state = &mut known[at].state;
        if let State::Seen = state {
            *state = if cuda::may_record(&self.device) {
                // To the end: half a call is no recording, and would say nothing about the card.
                let patient = CancelToken::default();
                let recorded = Recording::new(inputs, &|inputs| {
                    work(inputs, &patient).map_err(candle_core::Error::wrap)
                });
                recorded.map_or(State::Refused, State::Recorded)
            } else {
                State::Refused
            };
        }
        if let State::Recorded(recording) = state {
            match recording.run(inputs) {
                Ok(y) => {
                    self.used.set(true);
                    return Ok(y);
                }
                // Out of memory, say.
                Err(_) => *state = State::Refused,
            }
        }
        work(inputs, cancel)
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EngineError;

    fn doubled(inputs: &[Tensor], cancel: &CancelToken) -> Result<Tensor> {
        cancel.check()?;
        Ok((&inputs[0] * 2.0)?)
    }

    #[test]
    fn what_cannot_be_recorded_is_computed() {
        assert!(Replays::of(&Device::Cpu, Residency::Everything).is_none());
        let replays = Replays::on(&Device::Cpu);
        let texts: [Arc<dyn Any>; 3] = [Arc::new(1), Arc::new(1), Arc::new(1)];
        for round in 0..2 {
            // Each twice: seen, then refused; and too many of them in turn.
            for reads in texts.iter().flat_map(|reads| [reads, reads]) {
                let x = Tensor::new(&[round as f32, 1.0], &Device::Cpu).unwrap();
                let y = replays.call(reads, &[x], &CancelToken::default(), doubled);
                let y = y.unwrap();
                assert_eq!(y.to_vec1::<f32>().unwrap(), [2.0 * round as f32, 2.0]);
            }
            let known = replays.known.borrow();
            let refused = |known: &Known| matches!(known.state, State::Refused);
            assert!(known.len() == MOST && known.iter().all(refused));
        }
    }

    #[test]
    fn errors_are_those_of_the_work() {
        let replays = Replays::on(&Device::Cpu);
        let reads: Arc<dyn Any> = Arc::new(());
        let x = [Tensor::new(&[1.0_f32], &Device::Cpu).unwrap()];
        let cancelled = CancelToken::default();
        cancelled.cancel();
        for _ in 0..3 {
            let error = replays.call(&reads, &x, &cancelled, doubled);
            assert!(matches!(error, Err(EngineError::Cancelled)));
        }
        // And the next call is as good as any.
        let going = CancelToken::default();
        assert!(replays.call(&reads, &x, &going, doubled).is_ok());
    }
}
