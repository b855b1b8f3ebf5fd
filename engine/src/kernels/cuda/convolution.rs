//! Convolutions through cuDNN, where it is found and proved itself.
//!
//! The tensor library's own convolution on a card first writes every window of the picture out, nine times the
//! input for a kernel of 3 x 3, and multiplies that. cuDNN reads the picture where it lies. The tensor library
//! can call cuDNN as well, but decides that when the program is built, sums f16 in f16, asks for an algorithm
//! anew at each call and takes as much memory as the answer wants; hence an operation of ours.
//!
//! # Order
//! Tensor cores read pixel by pixel (channels last, NHWC), and cuDNN may transpose what comes channel by channel
//! (NCHW) into its workspace and back, two passes a convolution. Both orders are served here; which one a network
//! keeps its maps in is decided when it is loaded ([`super::order_of_maps`]).
//!
//! # Memory
//! A handle serves one thread at a time, so that each thread has its own for each card, and beside it what was
//! settled for every convolution it has seen. Workspaces come from the card's pool and go back to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionFwdAlgo_t as Algorithm, cudnnConvolutionMode_t as Mode,
    cudnnMathType_t as Arithmetic, cudnnTensorFormat_t as Format,
};
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvDescriptor, ConvForward, Cudnn, CudnnDataType, CudnnError, FilterDescriptor,
    TensorDescriptor,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDType, CudaDevice, DeviceId};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor,
    WithDType,
};
use half::{bf16, f16};

use super::MapOrder;
use super::geometry::Convolution;
use super::verify;

/// No algorithm may take more beside its input and output. Transposed copies of both fit for all but the largest
/// maps of an autoencoder: one of 1024 x 1024 with 128 channels in f32 is half as large.
const MOST_WORKSPACE: usize = 1 << 30;

/// Whether cuDNN convolves maps of that order on `device`: asked the first time of a card, it is compared there
/// with the tensor library's own convolution, and used only if all agree.
pub fn convolves(device: &Device, order: MapOrder) -> bool {
    let known = match order {
        MapOrder::ChannelsFirst => &verify::CHANNELS_FIRST,
        MapOrder::ChannelsLast => &verify::CHANNELS_LAST,
    };
    known.of(device, |device| verify::convolutions_agree(device, order))
}

/// Convolution of a map with a weight, (B, C, H, W) with (O, C, k, l) or (B, H, W, C) with (O, k, l, C), with the
/// same stride and the same padding of zeros on all sides. `None` also where cuDNN refuses or fails: the other
/// order may be better, and the tensor library may still manage.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    (stride, padding): (usize, usize),
    order: MapOrder,
) -> Option<Tensor> {
    let fit = matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16)
        && weight.dtype() == x.dtype()
        && weight.device().same_device(x.device())
        && x.is_contiguous()
        && weight.is_contiguous();
    (fit && convolves(x.device(), order))
        .then(|| unchecked(x, weight, (stride, padding), order).ok())
        .flatten()
}

/// As [`conv2d`], of contiguous tensors of one card and number type, without any check of trust.
pub(super) fn unchecked(
    x: &Tensor,
    weight: &Tensor,
    windows: (usize, usize),
    order: MapOrder,
) -> Result<Tensor> {
    let lengths = |tensor: &Tensor| match (order, tensor.dims()) {
        (MapOrder::ChannelsLast, &[first, height, width, channels]) => {
            vec![first, channels, height, width]
        }
        (_, dims) => dims.to_vec(),
    };
    let convolution = Convolution::new(&lengths(x), &lengths(weight), windows, order)
        .ok_or_else(|| Error::Msg("cuDNN: not a convolution that it is asked for".to_owned()))?;
    x.apply_op2_no_bwd(weight, &convolution)
}

/// A number type that cuDNN convolves, always with sums in f32.
trait Value: DeviceRepr + CudaDType + CudnnDataType + WithDType {
    const ZERO: Self;
    const ONE: Self;
    /// The products within. On tensor cores those of f16 and bf16 are exact; f32 would first be cut to 10 bits
    /// of fraction by default, which the tensor library's products are not either.
    const ARITHMETIC: Arithmetic;
}

impl Value for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const ARITHMETIC: Arithmetic = Arithmetic::CUDNN_FMA_MATH;
}

impl Value for f16 {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;
    const ARITHMETIC: Arithmetic = Arithmetic::CUDNN_TENSOR_OP_MATH;
}

impl Value for bf16 {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;
    const ARITHMETIC: Arithmetic = Arithmetic::CUDNN_TENSOR_OP_MATH;
}

/// How one convolution is computed.
#[derive(Clone, Copy)]
struct Plan {
    algorithm: Algorithm,
    workspace_bytes: usize,
}

/// What a thread keeps of a card.
struct Card {
    id: DeviceId,
    cudnn: Arc<Cudnn>,
    /// `None`: cuDNN has no way for it.
    plans: HashMap<(Convolution, DType), Option<Plan>>,
}

thread_local! {
    /// Never given back. The end of a handle waits for the card and panics on one that has failed, and a panic at a
    /// thread's end ends the program; at the program's end NVIDIA's libraries may be gone before the thread is.
    /// Compute threads end only when their number is changed, so that few are left behind.
    static CARDS: RefCell<ManuallyDrop<Vec<Card>>> =
        const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// The calling thread's handle of `card`, and its plan for a convolution.
fn settled<T: Value>(
    convolution: &Convolution,
    card: &CudaDevice,
) -> Result<(Arc<Cudnn>, Option<Plan>)> {
    // The handle asks the driver for what is current, and another card may have been since.
    let bound = card.cuda_stream().context().bind_to_thread();
    bound.map_err(Error::wrap)?;
    CARDS.with_borrow_mut(|cards| {
        let known = cards.iter().position(|known| known.id == card.id());
        let at = match known {
            Some(at) => at,
            None => {
                cards.push(Card {
                    id: card.id(),
                    cudnn: Cudnn::new(card.cuda_stream()).map_err(Error::wrap)?,
                    plans: HashMap::new(),
                });
                cards.len() - 1
            }
        };
        let Card { cudnn, plans, .. } = &mut cards[at];
        let plan = plans
            .entry((*convolution, T::DTYPE))
            .or_insert_with(|| Described::<T>::new(convolution, cudnn).ok()?.plan());
        Ok((Arc::clone(cudnn), *plan))
    })
}

/// A convolution in cuDNN's words.
struct Described<T> {
    convolution: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
}

impl<T: Value> Described<T> {
    fn new(convolution: &Convolution, cudnn: &Arc<Cudnn>) -> std::result::Result<Self, CudnnError> {
        let format = match convolution.order {
            MapOrder::ChannelsFirst => Format::CUDNN_TENSOR_NCHW,
            MapOrder::ChannelsLast => Format::CUDNN_TENSOR_NHWC,
        };
        let (stride, padding) = (convolution.stride, convolution.padding);
        // Not mirrored, as everywhere in networks. The type is that of the sums.
        let mut described = cudnn.create_conv2d::<f32>(
            [padding; 2],
            [stride; 2],
            [1; 2],
            Mode::CUDNN_CROSS_CORRELATION,
        )?;
        described.set_math_type(T::ARITHMETIC)?;
        Ok(Self {
            convolution: described,
            x: cudnn.create_4d_tensor(format, convolution.x)?,
            weight: cudnn.create_4d_filter(format, convolution.weight)?,
            y: cudnn.create_4d_tensor(format, convolution.y)?,
        })
    }

    fn forward(&self) -> ConvForward<'_, T, f32, T> {
        ConvForward {
            conv: &self.convolution,
            x: &self.x,
            w: &self.weight,
            y: &self.y,
        }
    }

    /// What cuDNN expects to be fastest, or else one of the two ways that need little memory.
    fn plan(&self) -> Option<Plan> {
        let forward = self.forward();
        let frugal = [
            Algorithm::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
            Algorithm::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
        ];
        let fastest = forward.pick_algorithm().ok();
        fastest.into_iter().chain(frugal).find_map(|algorithm| {
            // An error here is how it says that an algorithm does not know such a convolution.
            let workspace_bytes = forward.get_workspace_size(algorithm).ok()?;
            (workspace_bytes <= MOST_WORKSPACE).then_some(Plan {
                algorithm,
                workspace_bytes,
            })
        })
    }
}

impl Convolution {
    fn on<T: Value>(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        (weight, weight_layout): (&CudaStorage, &Layout),
    ) -> Result<(CudaStorage, Shape)> {
        let card = x.device().clone();
        let (cudnn, plan) = settled::<T>(self, &card)?;
        let plan = plan.ok_or_else(|| Error::Msg("cuDNN knows no way".to_owned()))?;
        let described = Described::<T>::new(self, &cudnn).map_err(Error::wrap)?;
        let (x, weight) = (view::<T>(x, x_layout)?, view::<T>(weight, weight_layout)?);
        let [pictures, channels, height, width] = self.y.map(|length| length as usize);
        let shape = Shape::from(match self.order {
            MapOrder::ChannelsFirst => (pictures, channels, height, width),
            MapOrder::ChannelsLast => (pictures, height, width, channels),
        });
        // SAFETY: the convolution, on the same stream, writes every value.
        let mut y = unsafe { card.alloc::<T>(shape.elem_count()) }?;
        // SAFETY: cuDNN reads of its workspace only what it has written there.
        let allocate = |bytes| unsafe { card.alloc::<u8>(bytes) };
        let mut workspace: Option<CudaSlice<u8>> = (plan.workspace_bytes > 0)
            .then(|| allocate(plan.workspace_bytes))
            .transpose()?;
        // SAFETY: x, weight and y are as described: contiguous, which `view` has seen to, of these shapes and
        // this number type, on the card and the stream of the handle; the workspace is as large as was asked.
        // Their memory is given back in the order of that stream.
        unsafe {
            described.forward().launch(
                plan.algorithm,
                workspace.as_mut(),
                (T::ONE, T::ZERO),
                &x,
                &weight,
                &mut y,
            )
        }
        .map_err(Error::wrap)?;
        Ok((CudaStorage::wrap_cuda_slice(y, card), shape))
    }
}

fn view<'a, T: Value>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::Msg("cuDNN: the values do not lie together".to_owned()))?;
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _x_layout: &Layout,
        _weight: &CpuStorage,
        _weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg("cuDNN: for cards only".to_owned()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (x, weight) = ((x, x_layout), (weight, weight_layout));
        match x.0.dtype() {
            DType::F32 => self.on::<f32>(x, weight),
            DType::F16 => self.on::<f16>(x, weight),
            DType::BF16 => self.on::<bf16>(x, weight),
            other => Err(Error::UnsupportedDTypeForOp(other, "cuDNN")),
        }
    }
}
