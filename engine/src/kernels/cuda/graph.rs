//! Recorded work: what a network asks of a card in one call, some thousand launches, as one (CUDA graphs). Each launch
//! costs the host some microseconds, so that a quick card waits for it at small pictures.
//!
//! The tensor library lets its stream be recorded where nothing comes from the host meanwhile: it keeps the small
//! arrays that its kernels are told of strides by, from a call before the recording. Memory that is got and given back
//! while recording becomes part of the record. The rest is ours: a recording reads its inputs from memory of its own,
//! writes its output to memory of its own, and holds addresses, not tensors. So whoever keeps one keeps all that the
//! work read besides its inputs, weights above all, where it is.
//!
//! # Trust
//! The first recording of a process on a card is compared there with the work itself, with inputs that it was recorded
//! with and with others. Where it differs, or the work cannot be recorded, nothing is recorded on that card again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::sys::{
    CUgraphInstantiate_flags as Flags, CUstreamCaptureMode as Mode,
    CUstreamCaptureStatus as Status, cuDeviceGraphMemTrim,
};
use candle_core::cuda_backend::cudarc::driver::{CudaGraph, CudaStream, DriverError};
use candle_core::{DType, Device, Error, Result, Tensor};

use super::verify::RECORDINGS;

/// Of a difference between a recording and the work, in parts of the largest value. The kernels are the same; a
/// library may choose another order of sums.
const LIMIT: f32 = 16e-3;

/// Work of a card, to be done again with other inputs.
pub struct Recording {
    /// `None` only while it ends.
    graph: Option<CudaGraph>,
    stream: Arc<CudaStream>,
    inputs: Vec<Tensor>,
    output: Tensor,
}

/// Whether it makes sense to record on `device`: it is a card with pools of memory, which alone are given out while
/// recording, and none of its recordings failed yet.
pub fn may_record(device: &Device) -> bool {
    let has_pools = device
        .as_cuda_device()
        .is_ok_and(|card| card.cuda_stream().context().has_async_alloc());
    has_pools && RECORDINGS.known(device) != Some(false)
}

impl Recording {
    /// Records `work`, a function of its inputs alone, which are contiguous and on one card.
    ///
    /// # Errors
    /// When the work fails, or asks for what cannot be recorded, or the recording is not trusted.
    pub fn new(inputs: &[Tensor], work: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<Self> {
        let device = match inputs {
            [first, ..] => first.device().clone(),
            [] => return Err(Error::Msg("recording: nothing to work on".to_owned())),
        };
        let recording = Self::unchecked(&device, inputs, work)?;
        let trusted = match RECORDINGS.known(&device) {
            Some(known) => known,
            None => {
                // An error says nothing: there may be too little memory this time.
                let agrees = recording.agrees(inputs, work)?;
                RECORDINGS.settle(&device, agrees);
                agrees
            }
        };
        if trusted {
            Ok(recording)
        } else {
            Err(Error::Msg("recording: it is not trusted".to_owned()))
        }
    }

    fn unchecked(
        device: &Device,
        inputs: &[Tensor],
        work: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    ) -> Result<Self> {
        let card = device.as_cuda_device()?;
        let stream = card.cuda_stream();
        let inputs: Result<Vec<_>> = inputs.iter().map(Tensor::copy).collect();
        let inputs = inputs?;
        // What the library uploads for its kernels it keeps from here on, for this thread.
        let _keeps = card.enable_cuda_graph_htod_cache();
        // All of it once for real: kernels are loaded, plans made and arrays uploaded, none of which can be recorded.
        let output = work(&inputs)?.copy()?;
        output.slice_set(&output.copy()?, 0, 0)?;
        forget_errors(&stream);
        stream
            .begin_capture(Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(Error::wrap)?;
        // All that is got in here is given back in here, which the record then says too.
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let y = work(&inputs)?.contiguous()?;
            output.slice_set(&y, 0, 0)
        }));
        let graph = ended(&stream);
        let recordable = matches!(asked, Ok(Ok(())));
        match graph {
            Ok(Some(graph)) if recordable => Ok(Self {
                graph: Some(graph),
                stream,
                inputs,
                output,
            }),
            graph => {
                let reason = match (asked, &graph) {
                    (Ok(Err(error)), _) => error.to_string(),
                    (Err(_), _) => "the work panicked".to_owned(),
                    (_, Err(error)) => error.to_string(),
                    (_, Ok(_)) => "the card recorded nothing".to_owned(),
                };
                drop(graph);
                forget_errors(&stream);
                trim(&stream);
                // Too little memory says nothing of what the card can do, nor does one refusal after it did.
                let short = reason.contains("OUT_OF_MEMORY");
                if !recordable && !short && RECORDINGS.known(device).is_none() {
                    RECORDINGS.settle(device, false);
                }
                Err(Error::Msg(format!("recording: {reason}")))
            }
        }
    }

    /// What the work makes of other inputs of the same shapes and number types.
    ///
    /// # Errors
    /// When they are of others, or the card fails.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Tensor> {
        let Some(graph) = self.graph.as_ref().filter(|_| self.takes(inputs)) else {
            return Err(Error::Msg("recording: made for other inputs".to_owned()));
        };
        for (own, given) in self.inputs.iter().zip(inputs) {
            own.slice_set(&given.contiguous()?, 0, 0)?;
        }
        graph.launch().map_err(Error::wrap)?;
        self.output.copy()
    }

    fn takes(&self, inputs: &[Tensor]) -> bool {
        let alike = |(own, given): (&Tensor, &Tensor)| {
            own.dims() == given.dims() && own.dtype() == given.dtype()
        };
        self.inputs.len() == inputs.len() && self.inputs.iter().zip(inputs).all(alike)
    }

    /// Whether it gives what the work gives: of other inputs, then of its own.
    fn agrees(
        &self,
        inputs: &[Tensor],
        work: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    ) -> Result<bool> {
        let others: Result<Vec<_>> = inputs.iter().map(|x| x.affine(0.5, 0.1)).collect();
        for inputs in [others?.as_slice(), inputs] {
            let numbers = |y: Tensor| y.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
            let (got, want) = (numbers(self.run(inputs)?)?, numbers(work(inputs)?)?);
            let scale = want.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
            let near = |(got, want): (&f32, &f32)| (got - want).abs() <= LIMIT * scale;
            if got.len() != want.len() || !got.iter().zip(&want).all(near) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // It may still be at work, and what a step before it left behind must not hide that.
        forget_errors(&self.stream);
        let _failed = self.stream.synchronize().is_err();
        drop(self.graph.take());
        trim(&self.stream);
    }
}

/// Ends what the stream records, in any case: until then it does nothing else.
fn ended(stream: &Arc<CudaStream>) -> std::result::Result<Option<CudaGraph>, DriverError> {
    const NONE: Status = Status::CU_STREAM_CAPTURE_STATUS_NONE;
    let end = || {
        // The binding gives an earlier error out instead of doing anything: those of freeing what was never really got,
        // where the recording failed half-way.
        forget_errors(stream);
        stream.end_capture(Flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH)
    };
    let first = end();
    for _ in 0..3 {
        forget_errors(stream);
        if stream.capture_status() == Ok(NONE) {
            break;
        }
        let _ended = end().is_ok();
    }
    first
}

/// Errors that the binding met where it could not return them, and would give out at its next call.
fn forget_errors(stream: &CudaStream) {
    let _old = stream.context().check_err().is_err();
}

/// The memory of recordings is a pool of its own, which nothing else gets anything from: it goes back to the card.
fn trim(stream: &CudaStream) {
    // SAFETY: the device is that of a living context.
    let _refused = unsafe { cuDeviceGraphMemTrim(stream.context().cu_device()) };
}
