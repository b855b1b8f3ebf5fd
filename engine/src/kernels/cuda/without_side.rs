//! Without CUDA there is no second stream.

use std::convert::Infallible;
use std::time::Duration;

use candle_core::{Device, Result, Tensor};

/// The second stream of a card. There is none.
pub struct Side(Infallible);

/// A moment in a card's work.
pub struct Mark(Infallible);

/// Values on their way to the host.
pub struct Fetch(Infallible);

impl Side {
    /// `None`.
    pub fn of(_device: &Device) -> Option<Self> {
        None
    }

    /// The moment at which all that was asked of the card so far is done.
    pub fn mark(&self) -> Result<Mark> {
        match self.0 {}
    }

    /// Begins to copy the values of an f32 tensor of this card.
    pub fn fetch(&self, _tensor: &Tensor) -> Result<Fetch> {
        match self.0 {}
    }

    /// The values, once they are there.
    pub fn values(&self, fetch: Fetch) -> Result<Vec<f32>> {
        match fetch.0 {}
    }
}

impl Mark {
    /// Returns when it has passed.
    pub fn wait(&self) -> Result<()> {
        match self.0 {}
    }

    /// The card's time from this moment to `later`.
    pub fn until(&self, _later: &Self) -> Result<Duration> {
        match self.0 {}
    }
}
