//! A second stream of a card: brings values to the host while the first goes on computing.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice, sys::CUevent_flags as Flags,
};
use candle_core::{Device, Error, Result, Storage, Tensor};

use super::verify::is_plain;

/// The second stream, for one thread.
pub struct Side {
    card: CudaDevice,
    stream: Arc<CudaStream>,
    /// Page-locked memory, which copies need to run beside computation. It is kept, for getting it takes the driver
    /// as long as a small copy, and giving it back may wait for the card.
    spare: RefCell<Vec<PinnedHostSlice<f32>>>,
}

/// A moment in a card's work.
pub struct Mark(CudaEvent);

/// Values on their way to the host.
pub struct Fetch {
    arrived: CudaEvent,
    /// `None` only while it is given back.
    values: Option<PinnedHostSlice<f32>>,
    count: usize,
    /// Its memory is read until the copy is done.
    _from: Tensor,
}

impl Side {
    /// `None` of what is no card, where its driver refuses, and where the tensor library alone is used.
    pub fn of(device: &Device) -> Option<Self> {
        if is_plain(device) {
            return None;
        }
        let card = device.as_cuda_device().ok()?.clone();
        let stream = card.cuda_stream().context().new_stream().ok()?;
        Some(Self {
            card,
            stream,
            spare: RefCell::default(),
        })
    }

    /// The moment at which all that was asked of the card so far is done.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn mark(&self) -> Result<Mark> {
        // With a time, and who waits for it sleeps.
        let flags = Some(Flags::CU_EVENT_BLOCKING_SYNC);
        let event = self.card.cuda_stream().record_event(flags);
        Ok(Mark(event.map_err(Error::wrap)?))
    }

    /// Begins to copy the values of an f32 tensor of this card, as they are once all that was asked of it so far is
    /// done.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn fetch(&self, tensor: &Tensor) -> Result<Fetch> {
        let tensor = tensor.contiguous()?;
        let count = tensor.elem_count();
        let mut values = self.page_locked(count)?;
        let arrived = {
            let (storage, layout) = tensor.storage_and_layout();
            let (Storage::Cuda(storage), Some((start, end))) =
                (&*storage, layout.contiguous_offsets())
            else {
                return Err(Error::Msg("side stream: not a card's tensor".to_owned()));
            };
            let view = storage.as_cuda_slice::<f32>()?.slice(start..end);
            let mut copy = || {
                self.stream.join(&self.card.cuda_stream())?;
                // As much as there is: the binding copies what the place for it holds.
                let to = &mut values.as_mut_slice()?[..count];
                self.stream.memcpy_dtoh(&view, to)?;
                self.stream
                    .record_event(Some(Flags::CU_EVENT_BLOCKING_SYNC))
            };
            let copied: std::result::Result<CudaEvent, DriverError> = copy();
            match copied {
                Ok(arrived) => arrived,
                Err(error) => {
                    // A copy may have begun: the memory at both ends stays until it is over.
                    surely(self.stream.context(), || self.stream.synchronize());
                    return Err(Error::wrap(error));
                }
            }
        };
        Ok(Fetch {
            arrived,
            values: Some(values),
            count,
            _from: tensor,
        })
    }

    /// The values, once they are there.
    ///
    /// # Errors
    /// When the driver fails, or the card did before.
    pub fn values(&self, mut fetch: Fetch) -> Result<Vec<f32>> {
        fetch.arrived.synchronize().map_err(Error::wrap)?;
        let Some(values) = fetch.values.take() else {
            return Err(Error::Msg("side stream: fetched twice".to_owned()));
        };
        let copied = values.as_slice().map_err(Error::wrap)?[..fetch.count].to_vec();
        self.spare.borrow_mut().push(values);
        Ok(copied)
    }

    fn page_locked(&self, count: usize) -> Result<PinnedHostSlice<f32>> {
        let mut spare = self.spare.borrow_mut();
        if let Some(at) = spare.iter().position(|memory| memory.len() >= count) {
            return Ok(spare.swap_remove(at));
        }
        // Without flags: memory that is combined as it is written is slow to read, and it is here to be read.
        // SAFETY: it is read only after a copy has filled as much of it as is read.
        let memory = unsafe { self.stream.context().alloc_pinned_with_flags(count, 0) };
        memory.map_err(Error::wrap)
    }
}

impl Mark {
    /// Returns when it has passed.
    ///
    /// # Errors
    /// When the driver fails, or the card did before.
    pub fn wait(&self) -> Result<()> {
        self.0.synchronize().map_err(Error::wrap)
    }

    /// The card's time from this moment to `later`, once both have passed.
    ///
    /// # Errors
    /// When the driver fails, or the card did before.
    pub fn until(&self, later: &Self) -> Result<Duration> {
        let elapsed_ms = self.0.elapsed_ms(&later.0).map_err(Error::wrap)?;
        Ok(Duration::from_secs_f32(elapsed_ms.max(0.0) / 1000.0))
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // Whoever loses interest still waits for the copy: it reads from one memory and writes to the other.
        let context = Arc::clone(self.arrived.context());
        surely(&context, || self.arrived.synchronize());
    }
}

/// Waits, also where the binding has an earlier error to give out instead.
fn surely(context: &CudaContext, wait: impl Fn() -> std::result::Result<(), DriverError>) {
    if wait().is_err() {
        let _old = context.check_err().is_err();
        let _failed = wait().is_err();
    }
}
