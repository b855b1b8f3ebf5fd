//! The kernels as operations on tensors of a card. Nothing here asks whether they are trusted, and the callers
//! ([`super::fused`], [`super::verify`]) see to shapes and number types.

use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, WrapErr};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Error, Layout, Result, Shape, Storage, StorageRef,
    Tensor,
};
use half::{bf16, f16};

use super::geometry::{self, ChannelSums, Grid, THREADS};
use super::{Finish, GroupNorm, MapOrder, function};

const PTX: &str = include_str!("kernels.ptx");

/// A number type that the kernels are made for.
trait Value: DeviceRepr + CudaDType {
    /// The end of its kernels' names.
    const NAME: &'static str;
}

impl Value for f32 {
    const NAME: &'static str = "f32";
}

impl Value for f16 {
    const NAME: &'static str = "f16";
}

impl Value for bf16 {
    const NAME: &'static str = "bf16";
}

/// What one operation does with its input's memory.
trait Kernel {
    const NAME: &'static str;

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)>;
}

/// The tensor library's door to operations of others.
struct Operation<K>(K);

impl<K: Kernel> Operation<K> {
    fn on<T: Value>(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let card = x.device.clone();
        let (start, end) = layout.contiguous_offsets().ok_or_else(|| apart(K::NAME))?;
        let view = x.as_cuda_slice::<T>()?.slice(start..end);
        let (y, shape) = self.0.run(&card, &view, layout.shape())?;
        Ok((CudaStorage::wrap_cuda_slice(y, card), shape))
    }
}

impl<K: Kernel> CustomOp1 for Operation<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg(format!("{}: for cards only", K::NAME)))
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        match x.dtype() {
            DType::F32 => self.on::<f32>(x, layout),
            DType::F16 => self.on::<f16>(x, layout),
            DType::BF16 => self.on::<bf16>(x, layout),
            other => Err(Error::UnsupportedDTypeForOp(other, K::NAME)),
        }
    }
}

fn apart(name: &str) -> Error {
    Error::Msg(format!("{name}: the values do not lie together on a card"))
}

/// A second tensor of an operation, locked while the kernel is given its address.
struct Beside<'a>(StorageRef<'a>, &'a Layout);

impl<'a> Beside<'a> {
    fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self(storage, layout)
    }

    fn view<T: Value>(&self) -> Result<CudaView<'_, T>> {
        let (Storage::Cuda(storage), Some((start, end))) = (&*self.0, self.1.contiguous_offsets())
        else {
            return Err(apart("fused kernel"));
        };
        Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
    }
}

/// The view of a part that may be left out.
fn view_of<'a, T: Value>(part: Option<&'a Beside<'_>>) -> Result<Option<CudaView<'a, T>>> {
    part.map(Beside::view).transpose()
}

/// A null pointer where a part is left out.
fn push_optional<'a, 'b: 'a, T>(args: &mut LaunchArgs<'a>, part: Option<&'b CudaView<'b, T>>) {
    match part {
        Some(view) => args.arg(view),
        None => args.arg(&0_u64),
    };
}

fn push_numbers<'a>(args: &mut LaunchArgs<'a>, numbers: &'a [u64]) {
    for number in numbers {
        args.arg(number);
    }
}

fn kernel<T: Value>(card: &CudaDevice, name: &str) -> Result<CudaFunction> {
    entry(card, &format!("{name}_{}", T::NAME))
}

fn entry(card: &CudaDevice, name: &str) -> Result<CudaFunction> {
    let found = card.get_or_load_custom_func(name, "pentimento", PTX)?;
    Ok(found.into_cuda_function())
}

fn uninitialised<T: Value>(card: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    // SAFETY: the kernel that is launched next, on the same stream, writes every value.
    unsafe { card.alloc::<T>(count) }
}

/// Launches with the arguments that were pushed.
///
/// # Safety
/// They are those of the kernel in `kernels.cu`, in its order, and its loops stay within them.
unsafe fn launch(args: LaunchArgs<'_>, grid: Grid) -> Result<()> {
    // SAFETY: by this function's own condition.
    unsafe { launch_with(args, grid, THREADS) }
}

/// As [`launch`], with another number of threads.
///
/// # Safety
/// That of [`launch`]; a power of two up to 256 where the threads of the kernel meet.
unsafe fn launch_with(mut args: LaunchArgs<'_>, (x, y): Grid, threads: u32) -> Result<()> {
    let config = LaunchConfig {
        grid_dim: (x, y, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: by this function's own condition.
    unsafe { args.launch(config) }.w()?;
    Ok(())
}

fn code(activation: super::Activation) -> Result<i32> {
    function(activation).ok_or_else(|| Error::Msg(format!("{activation:?}: no fused kernel")))
}

/// As [`super::fused::group_norm`], of a contiguous map with f32 scales of its channels.
pub(super) fn group_norm(x: &Tensor, norm: GroupNorm<'_>) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Operation(norm))
}

impl Kernel for GroupNorm<'_> {
    const NAME: &'static str = "group norm";

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        if self.order == MapOrder::ChannelsLast {
            return self.run_last(card, x, shape);
        }
        let stream = card.cuda_stream();
        let (pictures, channels, height, width) = shape.dims4()?;
        let (pixels, group) = (height * width, channels / self.groups);
        let (runs, length) = (pictures * self.groups, group * pixels);
        let grid = geometry::sums(runs, length);
        let splits = grid.0 as usize;
        let mut partials = uninitialised::<f32>(card, runs * splits * 3)?;
        let sums = kernel::<T>(card, "group_norm_sums")?;
        let numbers = [runs, length].map(|number| number as u64);
        let mut args = stream.launch_builder(&sums);
        args.arg(x).arg(&mut partials);
        push_numbers(&mut args, &numbers);
        // SAFETY: x, partials, runs, length; three partial sums for each run and split.
        unsafe { launch(args, grid) }?;

        let mut y = uninitialised::<T>(card, shape.elem_count())?;
        let apply = kernel::<T>(card, "group_norm_apply")?;
        let (weight, bias) = (Beside::new(self.weight), Beside::new(self.bias));
        let (weight, bias) = (weight.view::<f32>()?, bias.view::<f32>()?);
        let planes = pictures * channels;
        let numbers = [planes, pixels, channels, group, splits].map(|number| number as u64);
        let (epsilon, function) = (self.epsilon as f32, code(self.activation)?);
        let mut args = stream.launch_builder(&apply);
        args.arg(x).arg(&mut y).arg(&partials);
        args.arg(&weight).arg(&bias);
        push_numbers(&mut args, &numbers);
        args.arg(&epsilon).arg(&function);
        // SAFETY: x, y, partials, weight, bias, planes, length, channels, group, splits, epsilon, function;
        // weight and bias have a value for each channel.
        unsafe { launch(args, geometry::pass(planes, pixels)) }?;
        Ok((y, shape.clone()))
    }
}

impl GroupNorm<'_> {
    /// Of a map (B, H, W, C).
    fn run_last<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        let stream = card.cuda_stream();
        let (pictures, height, width, channels) = shape.dims4()?;
        let (pixels, group) = (height * width, channels / self.groups);
        let cut = ChannelSums::new(pictures, pixels, channels);
        let mut partials = uninitialised::<f32>(card, pictures * cut.parts * channels * 3)?;
        let sums = kernel::<T>(card, "group_norm_last_sums")?;
        let numbers = [pictures, pixels, channels].map(|number| number as u64);
        let across = cut.width as i32;
        let mut args = stream.launch_builder(&sums);
        args.arg(x).arg(&mut partials);
        push_numbers(&mut args, &numbers);
        args.arg(&across);
        // SAFETY: x, partials, pictures, pixels, channels, width; three partial sums for each picture, part and
        // channel. Its threads do not meet.
        unsafe { launch_with(args, cut.grid, cut.threads) }?;

        let mut scales = uninitialised::<f32>(card, pictures * channels * 2)?;
        let merge = entry(card, "group_norm_last_scales")?;
        let (weight, bias) = (Beside::new(self.weight), Beside::new(self.bias));
        let (weight, bias) = (weight.view::<f32>()?, bias.view::<f32>()?);
        let numbers = [pictures, cut.parts, channels, group].map(|number| number as u64);
        let epsilon = self.epsilon as f32;
        let mut args = stream.launch_builder(&merge);
        args.arg(&partials).arg(&mut scales);
        args.arg(&weight).arg(&bias);
        push_numbers(&mut args, &numbers);
        args.arg(&epsilon);
        // SAFETY: partials, scales, weight, bias, pictures, parts, channels, group, epsilon; weight and bias have
        // a value for each channel, scales two for each picture and channel.
        unsafe { launch(args, geometry::rows(pictures * self.groups)) }?;

        let mut y = uninitialised::<T>(card, shape.elem_count())?;
        let apply = kernel::<T>(card, "group_norm_last_apply")?;
        let length = pixels * channels;
        let numbers = [pictures, length, channels].map(|number| number as u64);
        let function = code(self.activation)?;
        let mut args = stream.launch_builder(&apply);
        args.arg(x).arg(&mut y).arg(&scales);
        push_numbers(&mut args, &numbers);
        args.arg(&function);
        // SAFETY: x, y, scales, pictures, length, channels, function.
        unsafe { launch(args, geometry::pass(pictures, length)) }?;
        Ok((y, shape.clone()))
    }
}

struct LayerNorm<'a> {
    scales: [&'a Tensor; 2],
    epsilon: f64,
}

/// As [`super::fused::layer_norm`], of contiguous rows with f32 scales of their values.
pub(super) fn layer_norm(x: &Tensor, scales: [&Tensor; 2], epsilon: f64) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Operation(LayerNorm { scales, epsilon }))
}

impl Kernel for LayerNorm<'_> {
    const NAME: &'static str = "layer norm";

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        let stream = card.cuda_stream();
        let (rows, length) = rows_of(shape);
        let mut y = uninitialised::<T>(card, shape.elem_count())?;
        let layer_norm = kernel::<T>(card, "layer_norm")?;
        let [weight, bias] = self.scales.map(Beside::new);
        let (weight, bias) = (weight.view::<f32>()?, bias.view::<f32>()?);
        let numbers = [rows, length].map(|number| number as u64);
        let epsilon = self.epsilon as f32;
        let mut args = stream.launch_builder(&layer_norm);
        args.arg(x).arg(&mut y).arg(&weight).arg(&bias);
        push_numbers(&mut args, &numbers);
        args.arg(&epsilon);
        // SAFETY: x, y, weight, bias, rows, length, epsilon; weight and bias are as long as a row.
        unsafe { launch(args, geometry::rows(rows)) }?;
        Ok((y, shape.clone()))
    }
}

/// Rows and their length: all dimensions but the last, and the last.
fn rows_of(shape: &Shape) -> (usize, usize) {
    let length = shape.dims().last().copied().unwrap_or(1).max(1);
    (shape.elem_count() / length, length)
}

struct Geglu<'a>(Option<&'a Tensor>);

/// As [`super::fused::geglu`], of contiguous rows of even length with an f32 bias as long.
pub(super) fn geglu(both: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    both.apply_op1_no_bwd(&Operation(Geglu(bias)))
}

impl Kernel for Geglu<'_> {
    const NAME: &'static str = "gated layer";

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        let stream = card.cuda_stream();
        let (rows, both) = rows_of(shape);
        let half = both / 2;
        let mut dims = shape.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = half;
        }
        let mut y = uninitialised::<T>(card, rows * half)?;
        let geglu = kernel::<T>(card, "geglu")?;
        let bias = self.0.map(Beside::new);
        let bias = view_of::<f32>(bias.as_ref())?;
        let numbers = [rows, half].map(|number| number as u64);
        let mut args = stream.launch_builder(&geglu);
        args.arg(x).arg(&mut y);
        push_optional(&mut args, bias.as_ref());
        push_numbers(&mut args, &numbers);
        // SAFETY: x, y, bias, rows, length; a row of x and the bias are twice as long as one of y.
        unsafe { launch(args, geometry::pass(rows, half)) }?;
        Ok((y, dims.into()))
    }
}

/// As [`super::fused::finish`], of a contiguous map or tokens with parts that fit.
pub(super) fn finish(y: &Tensor, with: Finish<'_>) -> Result<Tensor> {
    y.apply_op1_no_bwd(&Operation(with))
}

impl Kernel for Finish<'_> {
    const NAME: &'static str = "after a product";

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        let stream = card.cuda_stream();
        let is_map = shape.rank() == 4;
        let (rows, length, rows_a_picture) = match *shape.dims() {
            [pictures, channels, height, width] => (pictures * channels, height * width, channels),
            [pictures, tokens, channels] => (pictures * tokens, channels, tokens),
            _ => return Err(apart(Self::NAME)),
        };
        let mut y = uninitialised::<T>(card, shape.elem_count())?;
        let finish = kernel::<T>(card, "finish")?;
        let [bias, vector, residual] =
            [self.bias, self.vector, self.residual].map(|part| part.map(Beside::new));
        let bias = view_of::<f32>(bias.as_ref())?;
        let (vector, residual) = (
            view_of::<T>(vector.as_ref())?,
            view_of::<T>(residual.as_ref())?,
        );
        let numbers = [rows, length, rows_a_picture].map(|number| number as u64);
        let (maps, function) = (i32::from(is_map), code(self.activation)?);
        let mut args = stream.launch_builder(&finish);
        args.arg(x).arg(&mut y);
        push_optional(&mut args, bias.as_ref());
        push_optional(&mut args, vector.as_ref());
        push_optional(&mut args, residual.as_ref());
        push_numbers(&mut args, &numbers);
        args.arg(&maps).arg(&function);
        // SAFETY: x, y, bias, vector, residual, rows, length, rows_a_picture, maps, function; a bias for each
        // channel, a vector of as many for each picture, a residual of the same shape.
        unsafe { launch(args, geometry::pass(rows, length)) }?;
        Ok((y, shape.clone()))
    }
}

struct Enlarge((usize, usize));

/// As [`super::fused::enlarge`], of a contiguous map, to a height and width above 0.
pub(super) fn enlarge(x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Operation(Enlarge(size)))
}

impl Kernel for Enlarge {
    const NAME: &'static str = "enlargement";

    fn run<T: Value>(
        &self,
        card: &CudaDevice,
        x: &CudaView<'_, T>,
        shape: &Shape,
    ) -> Result<(CudaSlice<T>, Shape)> {
        let stream = card.cuda_stream();
        let (pictures, height, width, channels) = shape.dims4()?;
        let Self((to_height, to_width)) = *self;
        let rows = pictures * to_height * to_width;
        let mut y = uninitialised::<T>(card, rows * channels)?;
        let enlarge = kernel::<T>(card, "enlarge")?;
        let numbers = [pictures, height, width, to_height, to_width, channels];
        let numbers = numbers.map(|number| number as u64);
        let mut args = stream.launch_builder(&enlarge);
        args.arg(x).arg(&mut y);
        push_numbers(&mut args, &numbers);
        // SAFETY: x, y, pictures, height, width, height and width of y, channels.
        unsafe { launch(args, geometry::pass(rows, channels)) }?;
        Ok((y, Shape::from((pictures, to_height, to_width, channels))))
    }
}
