//! The only file, beside the kernels for cards, that knows which devices this build was made for: picks the
//! device, resolves the precision, owns the compute threads, and leads to what only some devices have.
//!
//! A build with the feature `cuda` runs without an NVIDIA driver too, on the CPU, if it was linked as
//! `packaging/cuda/README.md` says.

use candle_core::{DType, Device, Tensor};

use crate::error::{EngineError, Result};
use crate::kernels::cpu::{Packing, trusted_isa};
use crate::kernels::cuda;
use crate::nn::{Compute, MapOrder};
use crate::recipe::Precision;

/// A device with its compute threads.
pub struct Backend {
    device: Device,
    name: String,
    pool: rayon::ThreadPool,
}

impl Backend {
    /// Opens a device: `auto`, `cpu`, `cuda`, `cuda:N`, `metal`, or `cuda-plain`, a card on which the tensor
    /// library's operations alone are used until the program ends, in case ours fail there in a way that no check
    /// finds. `threads`: compute threads, `None` for one a core.
    ///
    /// # Errors
    /// `InvalidRequest` for a device that this build or machine does not have.
    pub fn open(wanted: &str, threads: Option<usize>) -> Result<Self> {
        let (device, name) = open_device(wanted)?;
        let pool = compute_threads(threads)?;
        Ok(Self { device, name, pool })
    }

    /// The same device with other compute threads; models that were loaded for it go on working.
    ///
    /// # Errors
    /// `InvalidRequest` for 0 threads, `Compute` when the system refuses them.
    pub fn with_threads(&self, threads: Option<usize>) -> Result<Self> {
        Ok(Self {
            device: self.device.clone(),
            name: self.name.clone(),
            pool: compute_threads(threads)?,
        })
    }

    /// The tensor library's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// `cpu`, `cuda:0`…
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Instruction level of the kernels, for the outcome of a picture computed in that resolved precision. Of a
    /// card, what proved itself there; where not, it computes the same with the tensor library's operations, slower.
    /// The first to ask waits until the card has been tried, which its first picture has to in any case.
    pub fn kernels(&self, precision: Precision) -> String {
        let mut parts = self.level();
        if cuda::trusted(&self.device) {
            parts += ", fused";
        }
        let order = cuda::order_of_maps(&self.device, dtype(precision));
        if cuda::convolves(&self.device, order) {
            parts += ", cuDNN";
        }
        if order == MapOrder::ChannelsLast {
            parts += ", channels last";
        }
        parts
    }

    /// What of [`Self::kernels`] is known at once, for a start that must not wait and for times that are
    /// compared from run to run: the CPU's instruction level, or the card's name.
    pub fn level(&self) -> String {
        if self.device.is_cpu() {
            trusted_isa().name().to_owned()
        } else {
            self.name.clone()
        }
    }

    /// What `wanted` means here. `Auto` is bf16 where the processor or the card has instructions
    /// for it, which halves memory and most often time, and f32 elsewhere.
    ///
    /// # Errors
    /// `InvalidRequest` for a precision this device cannot compute in.
    pub fn resolve_precision(&self, wanted: Precision) -> Result<Precision> {
        match wanted {
            Precision::Auto if self.device.is_cpu() && trusted_isa().prefers_bf16() => {
                Ok(Precision::Bf16)
            }
            Precision::Auto if has_bf16(&self.device) => Ok(Precision::Bf16),
            Precision::Auto | Precision::F32 => Ok(Precision::F32),
            Precision::Bf16 if self.device.is_cpu() || has_bf16(&self.device) => {
                Ok(Precision::Bf16)
            }
            Precision::Bf16 => Err(EngineError::invalid(
                "precision",
                format!("bf16 is not available on {}; use f32 or auto", self.name),
            )),
            Precision::Int8 if self.device.is_cpu() => Ok(Precision::Int8),
            Precision::Int8 => Err(EngineError::invalid(
                "precision",
                format!("int8 runs on the CPU alone, not on {}; use auto", self.name),
            )),
        }
    }

    /// Where networks of that resolved precision are loaded to. The first to ask of a card waits until it has been
    /// tried, as for [`Self::kernels`].
    pub fn compute(&self, precision: Precision) -> Compute {
        if !self.device.is_cpu() {
            let dtype = dtype(precision);
            return Compute::Tensors {
                device: self.device.clone(),
                dtype,
                order: cuda::order_of_maps(&self.device, dtype),
            };
        }
        let packing = match precision {
            Precision::Int8 => Packing::Int8,
            Precision::Bf16 => Packing::Bf16,
            Precision::Auto | Precision::F32 => Packing::F32,
        };
        Compute::cpu(trusted_isa(), packing)
    }

    /// Runs work on the compute threads, so that parallel loops inside use them and no others.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

/// The number type of a card's networks in that resolved precision.
fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::Bf16 | Precision::Int8 => DType::BF16,
        Precision::Auto | Precision::F32 => DType::F32,
    }
}

fn compute_threads(threads: Option<usize>) -> Result<rayon::ThreadPool> {
    if threads == Some(0) {
        return Err(EngineError::invalid("threads", "must be at least 1"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .thread_name(|index| format!("engine-compute-{index}"))
        .start_handler(|_| lower_priority())
        .build()
        .map_err(|error| EngineError::Compute {
            op: "compute threads".to_owned(),
            reason: error.to_string(),
        })
}

/// The interface must stay live on two cores: compute gives way to it.
pub(crate) fn lower_priority() {
    #[cfg(unix)]
    {
        // On Linux this moves the calling thread alone. Refusal costs smoothness, nothing else.
        let _refused = rustix::process::nice(10).is_err();
    }
}

fn open_device(wanted: &str) -> Result<(Device, String)> {
    let (kind, ordinal) = match wanted.split_once(':') {
        Some((kind, ordinal)) => {
            let ordinal: usize = ordinal.parse().map_err(|_error: std::num::ParseIntError| {
                EngineError::invalid("device", format!("“{ordinal}” is not a device number"))
            })?;
            (kind, ordinal)
        }
        None => (wanted, 0),
    };
    match kind {
        "auto" => Ok(best_device()),
        "cpu" => Ok((Device::Cpu, "cpu".to_owned())),
        "cuda" => open_cuda(ordinal),
        "cuda-plain" => open_plain_cuda(ordinal),
        "metal" => open_metal(ordinal),
        _ => Err(EngineError::invalid(
            "device",
            format!("“{wanted}” is unknown: use auto, cpu, cuda, cuda:N, cuda-plain or metal"),
        )),
    }
}

fn best_device() -> (Device, String) {
    open_cuda(0)
        .or_else(|_| open_metal(0))
        .unwrap_or_else(|_| (Device::Cpu, "cpu".to_owned()))
}

fn absent(kind: &str) -> EngineError {
    EngineError::invalid(
        "device",
        format!("this build has no {kind} support: use cpu"),
    )
}

#[cfg(feature = "cuda")]
fn open_cuda(ordinal: usize) -> Result<(Device, String)> {
    let device = cuda::open(ordinal).map_err(|error| {
        // Further lines tell where in the library it happened.
        let error = error.to_string();
        let reason = error.lines().next().unwrap_or_default();
        EngineError::invalid(
            "device",
            format!("CUDA device {ordinal} cannot be opened: {reason}"),
        )
    })?;
    Ok((device, format!("cuda:{ordinal}")))
}

#[cfg(feature = "cuda")]
fn open_plain_cuda(ordinal: usize) -> Result<(Device, String)> {
    let (device, name) = open_cuda(ordinal)?;
    cuda::distrust(&device);
    Ok((device, name))
}

#[cfg(not(feature = "cuda"))]
fn open_plain_cuda(ordinal: usize) -> Result<(Device, String)> {
    open_cuda(ordinal)
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_ordinal: usize) -> Result<(Device, String)> {
    Err(absent("CUDA"))
}

#[cfg(feature = "metal")]
fn open_metal(ordinal: usize) -> Result<(Device, String)> {
    let device = Device::new_metal(ordinal).map_err(|error| {
        EngineError::invalid(
            "device",
            format!("Metal device {ordinal} cannot be opened: {error}"),
        )
    })?;
    Ok((device, "metal".to_owned()))
}

#[cfg(not(feature = "metal"))]
fn open_metal(_ordinal: usize) -> Result<(Device, String)> {
    Err(absent("Metal"))
}

/// Whether a card multiplies in bf16: NVIDIA's from Ampere (compute capability 8.0) on.
#[cfg(feature = "cuda")]
fn has_bf16(device: &Device) -> bool {
    let Ok(device) = device.as_cuda_device() else {
        return false;
    };
    let stream = device.cuda_stream();
    let capability = stream.context().compute_capability();
    capability.is_ok_and(|(major, _)| major >= 8)
}

#[cfg(not(feature = "cuda"))]
fn has_bf16(_device: &Device) -> bool {
    false
}

/// Attention that streams over the keys (Dao et al. 2022), where the device has a kernel for it: of
/// queries, keys and values (B, N or M, heads, dim) to (B, N, heads, dim). `None` where it has none.
#[cfg(feature = "flash_attn")]
pub(crate) fn flash_attention(
    [q, k, v]: &[Tensor; 3],
    causal: bool,
) -> Option<candle_core::Result<Tensor>> {
    let dim = q.dim(candle_core::D::Minus1).ok()?;
    let is_half = matches!(q.dtype(), DType::BF16 | DType::F16);
    if !(q.device().is_cuda() && is_half && has_flash_kernel(dim)) {
        return None;
    }
    let scale = 1.0 / (dim as f32).sqrt();
    let run = || {
        let [q, k, v] = [q.contiguous()?, k.contiguous()?, v.contiguous()?];
        candle_flash_attn::flash_attn(&q, &k, &v, scale, causal)
    };
    Some(run())
}

#[cfg(not(feature = "flash_attn"))]
pub(crate) fn flash_attention(
    _parts: &[Tensor; 3],
    _causal: bool,
) -> Option<candle_core::Result<Tensor>> {
    None
}

/// Whether this build holds the kernel that heads of `dim` channels run on. All take hours to compile:
/// `PENTIMENTO_FLASH_DIMS` (as in `64,96,160`) names those that were, without it there are all.
#[cfg(feature = "flash_attn")]
fn has_flash_kernel(dim: usize) -> bool {
    const KERNELS: [usize; 9] = [32, 64, 96, 128, 160, 192, 224, 256, 512];
    let Some(kernel) = KERNELS.into_iter().find(|&kernel| dim <= kernel) else {
        return false;
    };
    let built = option_env!("PENTIMENTO_FLASH_DIMS");
    let is_built = |built: &str| built.split(',').any(|one| one.trim().parse() == Ok(kernel));
    dim.is_multiple_of(8) && built.is_none_or(is_built)
}
