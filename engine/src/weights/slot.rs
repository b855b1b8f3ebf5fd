//! Places of loaded tensors that can be filled again while the network stands: how add-ons change a
//! model's weights, and how they leave it again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Stored;
use crate::error::Result;

/// A tensor where it computes, in whatever form the layer keeps it. Clones share the place.
pub struct Slot<T>(Arc<Place<T>>);

struct Place<T> {
    value: RwLock<Arc<T>>,
    make: Make<T>,
}

/// From numbers in row-major order to the layer's form.
type Make<T> = Box<dyn Fn(Stored) -> Result<T> + Send + Sync>;

impl<T> Slot<T> {
    /// Makes the form from what was read, and remembers how.
    pub(super) fn fill(
        stored: Stored,
        make: impl Fn(Stored) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Place {
            value: RwLock::new(Arc::new(make(stored)?)),
            make: Box::new(make),
        })))
    }

    /// What is there now. A layer takes it once a call: a change is never seen half-way.
    pub fn get(&self) -> Arc<T> {
        let value = self.0.value.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&value)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.get()).finish()
    }
}

/// A place whose form is not known.
trait Refill: Send + Sync {
    fn refill(&self, stored: Stored) -> Result<()>;
}

impl<T: Send + Sync> Refill for Place<T> {
    fn refill(&self, stored: Stored) -> Result<()> {
        let value = Arc::new((self.make)(stored)?);
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = value;
        Ok(())
    }
}

/// The places of a network's tensors, by the names its files give them.
#[derive(Clone, Default)]
pub struct Slots(BTreeMap<String, Named>);

#[derive(Clone)]
struct Named {
    /// As it is stored.
    shape: Vec<usize>,
    place: Arc<dyn Refill>,
}

impl Slots {
    pub(super) fn register<T: Send + Sync + 'static>(
        &mut self,
        name: String,
        shape: Vec<usize>,
        slot: &Slot<T>,
    ) {
        let place: Arc<dyn Refill> = Arc::<Place<T>>::clone(&slot.0);
        self.0.insert(name, Named { shape, place });
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The shape a tensor is stored in.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|named| named.shape.as_slice())
    }

    /// Fills a tensor's place from numbers in its stored shape; nothing happens where there is none.
    ///
    /// # Errors
    /// `Compute` when the device fails; the place holds what it held before.
    pub(super) fn refill(&self, name: &str, stored: Stored) -> Result<()> {
        match self.0.get(name) {
            Some(named) => named.place.refill(stored),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
