//! Places of loaded tensors. One is filled when it is first needed, or earlier where somebody fetches it;
//! it can be emptied while it is not needed, and be changed by add-ons: whatever becomes of it, the
//! next who asks finds the same numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Stored;
use super::element::Entry;
use super::files::ByteSource;
use crate::cancel::CancelToken;
use crate::error::Result;

/// Where a tensor's numbers lie. The file stays open: what is read later is of the file that was
/// checked.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) source: Arc<ByteSource>,
    /// For messages.
    pub(super) name: String,
    pub(super) entry: Entry,
}

impl Origin {
    /// Reads and checks the numbers.
    ///
    /// # Errors
    /// As [`Stored::read`]; `BadFile` when the file was written to since it was opened.
    pub(super) fn read(&self) -> Result<Stored> {
        self.source.check_unchanged()?;
        Stored::read(&self.source, &self.name, &self.entry)
    }
}

/// A tensor where it computes, in whatever form the layer keeps it. Clones share the place.
pub struct Slot<T>(Arc<Place<T>>);

struct Place<T> {
    origin: Origin,
    state: RwLock<State<T>>,
    /// Whether what was read for one use stays for the next.
    keeps: AtomicBool,
    make: Make<T>,
}

struct State<T> {
    /// `None`: not in memory.
    value: Option<Arc<T>>,
    change: Option<Change>,
}

/// From numbers in row-major order to the layer's form.
type Make<T> = Box<dyn Fn(Stored) -> Result<T> + Send + Sync>;

/// What is made of a file's numbers before they are used.
pub(super) type Change = Arc<dyn Fn(Stored) -> Result<Stored> + Send + Sync>;

impl<T> Place<T> {
    fn value(&self) -> Option<Arc<T>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.value.clone()
    }

    fn change(&self) -> Option<Change> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.change.clone()
    }

    fn numbers(&self, change: Option<&Change>) -> Result<Stored> {
        let stored = self.origin.read()?;
        match change {
            Some(change) => change(stored),
            None => Ok(stored),
        }
    }

    /// Not under the lock: it works on the pool.
    fn get(&self) -> Result<Arc<T>> {
        if let Some(value) = self.value() {
            return Ok(value);
        }
        let made = Arc::new((self.make)(self.numbers(self.change().as_ref())?)?);
        if !self.keeps.load(Ordering::Relaxed) {
            return Ok(made);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(state.value.get_or_insert(made)))
    }
}

impl<T> Slot<T> {
    /// A place that is empty yet, and what fills it.
    pub(super) fn new(
        origin: Origin,
        make: impl Fn(Stored) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            value: None,
            change: None,
        };
        Self(Arc::new(Place {
            origin,
            state: RwLock::new(state),
            keeps: AtomicBool::new(true),
            make: Box::new(make),
        }))
    }

    /// What is there, read now where it is not. A layer takes it once a call: a change is never seen
    /// half-way.
    ///
    /// # Errors
    /// `BadFile` or `Io` when it cannot be read, `Compute` when the device fails.
    pub fn get(&self) -> Result<Arc<T>> {
        self.0.get()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.0.value()).finish()
    }
}

/// A place whose form is not known.
trait AnyPlace: Send + Sync {
    fn origin(&self) -> &Origin;
    fn is_empty(&self) -> bool;
    fn fill(&self) -> Result<()>;
    fn empty(&self);
    fn keep(&self, keeps: bool);
    fn set_change(&self, change: Option<Change>) -> Result<()>;
}

impl<T: Send + Sync> AnyPlace for Place<T> {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn is_empty(&self) -> bool {
        self.value().is_none()
    }

    fn fill(&self) -> Result<()> {
        self.get().map(|_value| ())
    }

    fn empty(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.value = None;
    }

    fn keep(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::Relaxed);
    }

    fn set_change(&self, change: Option<Change>) -> Result<()> {
        // Also for an empty place: what is wrong with a change is to be known now.
        let stored = self.numbers(change.as_ref())?;
        let value = match self.is_empty() {
            true => None,
            false => Some(Arc::new((self.make)(stored)?)),
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State { value, change };
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
    place: Arc<dyn AnyPlace>,
}

impl Slots {
    pub(super) fn register<T: Send + Sync + 'static>(
        &mut self,
        name: String,
        shape: Vec<usize>,
        slot: &Slot<T>,
    ) {
        let place: Arc<dyn AnyPlace> = Arc::<Place<T>>::clone(&slot.0);
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

    /// Whether every tensor is in memory.
    pub fn are_filled(&self) -> bool {
        self.0.values().all(|named| !named.place.is_empty())
    }

    /// Reads what is not in memory, in the order of the files.
    ///
    /// # Errors
    /// `Cancelled`, or as [`Slot::get`].
    pub fn fill(&self, cancel: &CancelToken) -> Result<()> {
        let mut places: Vec<_> = self.0.values().map(|named| &named.place).collect();
        places.sort_by_key(|place| {
            let Origin { source, entry, .. } = place.origin();
            (source.label(), entry.offset)
        });
        for place in places {
            cancel.check()?;
            place.fill()?;
        }
        Ok(())
    }

    /// Lets go of all memory; whoever asks for a tensor afterwards has it read again.
    pub fn empty(&self) {
        for named in self.0.values() {
            named.place.empty();
        }
    }

    /// Whether a tensor that is read for one use stays in memory for the next; at first, each does.
    /// What is there already stays until [`Self::empty`].
    pub fn keep(&self, keeps: bool) {
        for named in self.0.values() {
            named.place.keep(keeps);
        }
    }

    /// The numbers of a tensor in its file; `None` where there is no such tensor.
    ///
    /// # Errors
    /// `BadFile` or `Io` when they cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<Stored>> {
        let origin = self.0.get(name).map(|named| named.place.origin());
        origin.map(Origin::read).transpose()
    }

    /// Makes something of a tensor's numbers from now on, or leaves them as they are in the file; nothing
    /// happens where there is no such tensor. A change is tried at once.
    ///
    /// # Errors
    /// Those of `change`, or as [`Slot::get`]; the place holds what it held before.
    pub(super) fn change(&self, name: &str, change: Option<Change>) -> Result<()> {
        match self.0.get(name) {
            Some(named) => named.place.set_change(change),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EngineError;
    use crate::weights::element::ElementType;

    fn origin(path: &std::path::Path) -> Origin {
        Origin {
            source: Arc::new(ByteSource::open(path).unwrap()),
            name: "a".to_owned(),
            entry: Entry {
                element: ElementType::F32,
                shape: vec![2],
                offset: 0,
                len: 8,
                strides: None,
            },
        }
    }

    fn slots(slot: &Slot<Vec<f32>>) -> Slots {
        let mut slots = Slots::default();
        slots.register("a".to_owned(), vec![2], slot);
        slots
    }

    fn write(path: &std::path::Path, values: [f32; 2]) {
        std::fs::write(path, values.map(f32::to_le_bytes).concat()).unwrap();
    }

    #[test]
    fn an_emptied_place_gives_the_same_again_changes_and_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write(&path, [1.0, 2.0]);
        let slot = Slot::new(origin(&path), |stored| Ok(stored.into_f32()));
        let slots = slots(&slot);
        assert!(!slots.are_filled(), "nothing is read before it is needed");
        slots.fill(&CancelToken::default()).unwrap();
        assert!(slots.are_filled());
        assert_eq!(*slot.get().unwrap(), [1.0, 2.0]);
        let twice = |stored: Stored| {
            let values = stored.into_f32().iter().map(|value| value * 2.0).collect();
            Ok(Stored::F32(values))
        };
        slots.change("a", Some(Arc::new(twice))).unwrap();
        assert_eq!(*slot.get().unwrap(), [2.0, 4.0]);
        slots.empty();
        assert!(!slots.are_filled());
        assert_eq!(*slot.get().unwrap(), [2.0, 4.0], "read and changed again");
        slots.empty();
        slots.change("a", None).unwrap();
        assert!(!slots.are_filled(), "a change fills no empty place");
        assert_eq!(*slot.get().unwrap(), [1.0, 2.0]);
        let bad = |_: Stored| Err(EngineError::Cancelled);
        assert!(slots.change("a", Some(Arc::new(bad))).is_err());
        assert_eq!(*slot.get().unwrap(), [1.0, 2.0], "as it was");
    }

    #[test]
    fn a_place_that_keeps_nothing_gives_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write(&path, [1.0, 2.0]);
        let slot = Slot::new(origin(&path), |stored| Ok(stored.into_f32()));
        let slots = slots(&slot);
        slots.keep(false);
        let (first, second) = (slot.get().unwrap(), slot.get().unwrap());
        assert_eq!(first, second);
        assert!(!Arc::ptr_eq(&first, &second) && !slots.are_filled());
        slots.keep(true);
        assert!(Arc::ptr_eq(&slot.get().unwrap(), &slot.get().unwrap()));
        assert!(slots.are_filled());
    }

    #[test]
    fn a_file_that_was_written_to_meanwhile_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write(&path, [1.0, 2.0]);
        let slot = Slot::new(origin(&path), |stored| Ok(stored.into_f32()));
        std::fs::write(&path, [0; 4]).unwrap();
        match slot.get() {
            Err(EngineError::BadFile { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
        // Deleted, it is still there for who has it open.
        write(&path, [3.0, 4.0]);
        let slot = Slot::new(origin(&path), |stored| Ok(stored.into_f32()));
        std::fs::remove_file(&path).unwrap();
        if cfg!(unix) {
            assert_eq!(*slot.get().unwrap(), [3.0, 4.0]);
        }
    }
}
