//! Opens a card as one queue of work.

use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::{Device, Result};

/// The card `ordinal`, with one stream for all threads.
///
/// Not the stream of the calling thread, which is what the tensor library takes by default: a job may run on
/// another compute thread than the one that loaded its model, and two threads' streams do not wait for each
/// other.
///
/// # Errors
/// When there is no such card, driver or library.
pub fn open(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let card = device.as_cuda_device()?;
    // Two events a tensor, made and recorded around each use, order the work of several streams; there is one.
    // SAFETY: every tensor of this device is made, used and freed on its one stream, but for those that `Side` copies
    // from: it waits for what made them, and keeps them until it is done. Streams of other openings of the card never
    // see them: the tensor library refuses operations across devices.
    unsafe { card.disable_event_tracking() };
    // Costs time where it fails, nothing else.
    let _refused = keep_freed_memory(card.cuda_stream().context()).is_err();
    Ok(device)
}

/// By default the pool that tensors come from gives all free memory back whenever the host waits for the card,
/// which it does at every step; getting it again takes longer than many a kernel. The driver still takes it back when
/// the same process would otherwise run out.
fn keep_freed_memory(context: &CudaContext) -> std::result::Result<(), result::DriverError> {
    if !context.has_async_alloc() {
        // A card without pools.
        return Ok(());
    }
    let mut threshold = u64::MAX;
    // SAFETY: the device is that of a living context, its default pool is never destroyed, and the attribute
    // is a 64-bit number, which the call reads.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        result::mem_pool::set_attribute(
            pool,
            sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            (&raw mut threshold).cast(),
        )
    }
}
