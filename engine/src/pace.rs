//! How far the host runs ahead of the device.
//!
//! On the CPU an operation is done when it returns. A card is only told what to do: a host that waited after every step
//! (to read a preview, to report) would leave it idle until the next step's first operation arrives. So what a step
//! gives is taken one step later: its values come over a second stream while the card is at the next step, and are
//! waited for when that one has been asked for. The host is never further ahead, so that cancelling stays quick.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::kernels::cuda::{Fetch, Mark, Side};

/// Of one run on one device.
pub struct Pace {
    side: Option<Side>,
    behind: bool,
}

/// A moment in the device's work.
pub struct Moment(At);

enum At {
    /// It has passed: the device does what it is told before the host goes on.
    Past(Instant),
    Card(Mark),
}

/// Values on their way to the host.
pub struct Arriving(From);

enum From {
    Here(Vec<f32>),
    Card(Fetch),
}

impl Pace {
    /// Behind on cards that have a second stream, at once elsewhere.
    pub fn of(device: &Device) -> Self {
        let side = Side::of(device);
        let behind = side.is_some();
        Self { side, behind }
    }

    /// One step behind on the CPU too, where nothing is gained by it: for tests.
    #[cfg(test)]
    pub(crate) fn behind() -> Self {
        Self {
            side: None,
            behind: true,
        }
    }

    /// Whether what a step gives is to be taken after the next one was asked for.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// The moment at which the device has done all that it was asked for so far.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn mark(&self) -> Result<Moment> {
        Ok(Moment(match &self.side {
            Some(side) => At::Card(side.mark()?),
            None => At::Past(Instant::now()),
        }))
    }

    /// Begins to bring a tensor's f32 values to the host.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn fetch(&self, tensor: &Tensor) -> Result<Arriving> {
        Ok(Arriving(match &self.side {
            Some(side) => From::Card(side.fetch(tensor)?),
            None => From::Here(tensor.flatten_all()?.to_vec1()?),
        }))
    }

    /// The values, once they are here.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn values(&self, arriving: Arriving) -> Result<Vec<f32>> {
        match (arriving.0, &self.side) {
            (From::Here(values), _) => Ok(values),
            (From::Card(fetch), Some(side)) => Ok(side.values(fetch)?),
            (From::Card(_), None) => Err(crate::error::EngineError::Compute {
                op: "side stream".to_owned(),
                reason: "the values are another run's".to_owned(),
            }),
        }
    }
}

impl Moment {
    /// Returns when it has passed.
    ///
    /// # Errors
    /// `Compute` when the device fails, or did before.
    pub fn wait(&self) -> Result<()> {
        match &self.0 {
            At::Past(_) => Ok(()),
            At::Card(mark) => Ok(mark.wait()?),
        }
    }

    /// The device's time from this moment to `later`, which has passed.
    ///
    /// # Errors
    /// `Compute` when the device fails, or did before.
    pub fn until(&self, later: &Self) -> Result<Duration> {
        Ok(match (&self.0, &later.0) {
            (At::Past(from), At::Past(to)) => to.saturating_duration_since(*from),
            (At::Card(from), At::Card(to)) => from.until(to)?,
            _ => Duration::ZERO,
        })
    }
}
