//! Weights in the order in which the register tiles read them.
//!
//! A weight matrix of `k` inputs and `n` outputs is cut into panels of two registers' width; a panel
//! holds, input after input, its columns' weights side by side. The inputs come in `taps` runs (the
//! places of a convolution's window; one for a plain matrix).
//!
//! In bf16, where the processor has a dot product for it, two inputs go together: a 32-bit lane holds
//! inputs `2 i` and `2 i + 1` of one column, and runs are padded to an even length. Elsewhere bf16
//! panels look like those of f32 and are widened to f32, a cacheable part at a time, as they are used.
//! So do panels of 8-bit integers, which are widened to whatever the tiles multiply.

mod read;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::aligned::Aligned;
use super::elementwise::Convert;
use super::isa::Isa;
use super::simd::{Element, Kernel, Packing, Precision, Simd};

pub(super) use self::read::Widen;

/// Inputs that share a factor in panels of integers.
pub(super) const BLOCK: usize = 32;
/// Fewest inputs of a run, and outputs, that are kept as integers.
const LEAST_FOR_INTEGERS: usize = 32;

/// A number that weights come as.
pub trait Weight: Copy + Send + Sync {
    /// Exact, value by value.
    ///
    /// # Panics
    /// If lengths differ.
    fn widen(from: &[Self], to: &mut [f32]);
}

impl Weight for f32 {
    fn widen(from: &[Self], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Weight for bf16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
}

impl Weight for f16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
}

/// A weight matrix packed for one [`Isa`].
#[derive(Debug)]
pub struct PackedMatrix {
    pub(super) isa: Isa,
    /// Outputs of the product, before a GEGLU halves them.
    pub(super) n: usize,
    /// Runs of inputs.
    pub(super) taps: usize,
    /// Inputs in a run as the caller counts them.
    pub(super) run: usize,
    /// Inputs in a run as packed.
    pub(super) run_packed: usize,
    /// Columns in a panel.
    pub(super) width: usize,
    /// Rows of the tile that this is packed for.
    pub(super) tile_rows: usize,
    pub(super) paired: bool,
    pub(super) data: PanelData,
}

/// The panels, one after another.
#[derive(Debug)]
pub(super) enum PanelData {
    F32(Aligned<f32>),
    /// Pairs of inputs in a lane, for the dot product.
    Pairs(Aligned<bf16>),
    /// In the order of `F32`, to be widened.
    Narrow(Aligned<bf16>),
    /// In the order of `F32`, to be multiplied with the factor of each [`BLOCK`] inputs: for each tap and
    /// block a row of the panel's width.
    Int8 {
        values: Aligned<i8>,
        factors: Aligned<bf16>,
    },
}

impl PackedMatrix {
    /// Packs the weight of a linear layer.
    ///
    /// `weight` (n, k), row-major: one row per output, as PyTorch stores it.
    ///
    /// # Panics
    /// If `weight` has not `n * k` values.
    pub fn linear<W: Weight>(
        isa: Isa,
        packing: impl Into<Packing>,
        weight: &[W],
        n: usize,
        k: usize,
    ) -> Self {
        assert_eq!(
            weight.len(),
            n * k,
            "a linear weight of {n} outputs and {k} inputs"
        );
        let layout = Layout {
            n,
            taps: 1,
            run: k,
            paired: false,
        };
        Self::pack(isa, packing.into(), layout, |column, to| {
            W::widen(&weight[column * k..][..k], to);
        })
    }

    /// Packs the projection of a GEGLU layer: the first half of its outputs are the values, the
    /// second half their gates, and a product with it yields `n / 2` columns
    /// `value * activation(gate)`.
    ///
    /// `weight` (n, k), row-major.
    ///
    /// # Panics
    /// If `weight` has not `n * k` values or `n` is odd.
    pub fn gated<W: Weight>(
        isa: Isa,
        packing: impl Into<Packing>,
        weight: &[W],
        n: usize,
        k: usize,
    ) -> Self {
        assert_eq!(
            weight.len(),
            n * k,
            "a gated weight of {n} outputs and {k} inputs"
        );
        assert!(
            n.is_multiple_of(2),
            "{n} outputs are not pairs of value and gate"
        );
        let layout = Layout {
            n,
            taps: 1,
            run: k,
            paired: true,
        };
        Self::pack(isa, packing.into(), layout, |column, to| {
            W::widen(&weight[column * k..][..k], to);
        })
    }

    /// Packs a convolution's window of `taps` places.
    ///
    /// `weight` (n, channels, taps), row-major: PyTorch's (out, in, height, width).
    ///
    /// # Panics
    /// If `weight` has not `n * channels * taps` values.
    pub(super) fn window<W: Weight>(
        isa: Isa,
        packing: impl Into<Packing>,
        weight: &[W],
        (n, channels, taps): (usize, usize, usize),
    ) -> Self {
        assert_eq!(
            weight.len(),
            n * channels * taps,
            "a window of {channels} channels to {n}"
        );
        let layout = Layout {
            n,
            taps,
            run: channels,
            paired: false,
        };
        Self::pack(isa, packing.into(), layout, |column, to| {
            let mut stored = vec![0.0; channels * taps];
            W::widen(
                &weight[column * channels * taps..][..channels * taps],
                &mut stored,
            );
            for (channel, places) in stored.chunks_exact(taps).enumerate() {
                for (tap, &value) in places.iter().enumerate() {
                    to[tap * channels + channel] = value;
                }
            }
        })
    }

    /// Packs the weights that `column` writes for each output: (taps, run), row-major.
    pub(super) fn pack(
        isa: Isa,
        packing: Packing,
        layout: Layout,
        column: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let Layout {
            n,
            taps,
            run,
            paired,
        } = layout;
        let (tile_rows, width) = isa.run(TileShape);
        let small = run < LEAST_FOR_INTEGERS || n < LEAST_FOR_INTEGERS;
        let packing = match packing {
            Packing::Int8 if small => Packing::Bf16,
            packing => packing,
        };
        let pairs = packing.activations() == Precision::Bf16 && isa.has_bf16_dot();
        let mut packed = Self {
            isa,
            n,
            taps,
            run,
            run_packed: if pairs { run.next_multiple_of(2) } else { run },
            width,
            tile_rows,
            paired,
            data: PanelData::F32(Aligned::zeros(0)),
        };
        packed.data = match (packing, pairs) {
            (Packing::F32, _) => PanelData::F32(packed.filled::<f32>(1, &column)),
            (Packing::Bf16, true) => PanelData::Pairs(packed.filled::<bf16>(2, &column)),
            (Packing::Bf16, false) => PanelData::Narrow(packed.filled::<bf16>(1, &column)),
            (Packing::Int8, _) => packed.integers(&column),
        };
        packed
    }

    /// Panels of integers.
    fn integers(&self, column: &(impl Fn(usize, &mut [f32]) + Sync)) -> PanelData {
        let factors_len = self.taps * self.blocks() * self.width;
        let mut values = Aligned::<i8>::zeros(self.panels() * self.panel_len());
        let mut factors = Aligned::<bf16>::zeros(self.panels() * factors_len);
        let panels = values.as_mut_slice().par_chunks_mut(self.panel_len());
        let panels = panels.zip(factors.as_mut_slice().par_chunks_mut(factors_len));
        let room = || vec![0.0; self.taps * self.run];
        panels
            .enumerate()
            .for_each_init(room, |wide, (panel, (values, factors))| {
                for lane in 0..self.width {
                    let Some(source) = self.source_column(panel, lane) else {
                        continue;
                    };
                    column(source, wide);
                    for (tap, run) in wide.chunks_exact(self.run).enumerate() {
                        for (block, numbers) in run.chunks(BLOCK).enumerate() {
                            let row = tap * self.run_packed + block * BLOCK;
                            let values = values[row * self.width + lane..].iter_mut();
                            factors[(tap * self.blocks() + block) * self.width + lane] =
                                integers(numbers, values.step_by(self.width));
                        }
                    }
                }
            });
        PanelData::Int8 { values, factors }
    }

    /// Blocks of a run that have a factor of their own.
    fn blocks(&self) -> usize {
        self.run_packed.div_ceil(BLOCK)
    }

    /// The panels, with `group` inputs side by side in each column. A column is read where it lies,
    /// as a whole, converted, and only then spread over its lane.
    fn filled<T: Element>(
        &self,
        group: usize,
        column: &(impl Fn(usize, &mut [f32]) + Sync),
    ) -> Aligned<T> {
        let mut data = Aligned::<T>::zeros(self.panels() * self.panel_len());
        let panels = data.as_mut_slice().par_chunks_mut(self.panel_len().max(1));
        let room = || {
            let len = self.taps * self.run;
            (vec![0.0; len], vec![T::default(); len])
        };
        panels
            .enumerate()
            .for_each_init(room, |(wide, values), (panel, out)| {
                for lane in 0..self.width {
                    let Some(source) = self.source_column(panel, lane) else {
                        continue;
                    };
                    column(source, wide);
                    self.isa.run(Convert {
                        from: &*wide,
                        to: &mut values[..],
                    });
                    let runs = values.chunks_exact(self.run.max(1));
                    let taps = out.chunks_exact_mut((self.run_packed * self.width).max(1));
                    for (tap, run) in taps.zip(runs) {
                        spread(run, &mut tap[group * lane..], group, self.width);
                    }
                }
            });
        data
    }

    /// The precision that activations beside these weights are kept in.
    pub fn precision(&self) -> Precision {
        match self.data {
            PanelData::F32(_) => Precision::F32,
            PanelData::Pairs(_) | PanelData::Narrow(_) | PanelData::Int8 { .. } => Precision::Bf16,
        }
    }

    /// The precision of the tiles that multiply with these weights.
    pub(super) fn tiles(&self) -> Precision {
        match self.data {
            PanelData::Int8 { .. } if self.isa.has_bf16_dot() => Precision::Bf16,
            PanelData::Pairs(_) => Precision::Bf16,
            PanelData::F32(_) | PanelData::Narrow(_) | PanelData::Int8 { .. } => Precision::F32,
        }
    }

    /// The instruction set that the weights are packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Inputs: the columns of a matrix that can be multiplied with this one.
    pub fn inputs(&self) -> usize {
        self.taps * self.run
    }

    /// Columns of a product: half the weight's outputs for a gated weight.
    pub fn outputs(&self) -> usize {
        if self.paired { self.n / 2 } else { self.n }
    }

    /// Bytes that the packed weights take.
    pub fn size_bytes(&self) -> usize {
        match &self.data {
            PanelData::F32(data) => size_of_val(data.as_slice()),
            PanelData::Pairs(data) | PanelData::Narrow(data) => size_of_val(data.as_slice()),
            PanelData::Int8 { values, factors } => {
                size_of_val(values.as_slice()) + size_of_val(factors.as_slice())
            }
        }
    }

    /// Columns of the result that one panel yields.
    pub(super) fn panel_outputs(&self) -> usize {
        if self.paired {
            self.width / 2
        } else {
            self.width
        }
    }

    pub(super) fn panels(&self) -> usize {
        self.outputs().div_ceil(self.panel_outputs())
    }

    /// Values in a panel.
    pub(super) fn panel_len(&self) -> usize {
        self.taps * self.run_packed * self.width
    }

    /// The weight's output that a panel's lane holds. A gated panel's first register holds values,
    /// its second their gates.
    fn source_column(&self, panel: usize, lane: usize) -> Option<usize> {
        let column = if self.paired {
            let half = self.width / 2;
            let pair = panel * half + lane % half;
            if pair >= self.n / 2 {
                return None;
            }
            pair + lane / half * (self.n / 2)
        } else {
            panel * self.width + lane
        };
        (column < self.n).then_some(column)
    }
}

/// Rounds numbers to whole multiples of a factor, at most 127 of it, and gives the factor.
fn integers<'a>(numbers: &[f32], to: impl Iterator<Item = &'a mut i8>) -> bf16 {
    let greatest = numbers.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let mut factor = bf16::from_f32(greatest / 127.0);
    if factor.to_f32() * 127.0 < greatest {
        // Rounded down: the next one, so that nothing is cut off.
        factor = bf16::from_bits(factor.to_bits() + 1);
    }
    if factor.to_f32() >= f32::MIN_POSITIVE {
        let inverse = 1.0 / factor.to_f32();
        for (to, x) in to.zip(numbers) {
            *to = (x * inverse).round_ties_even() as i8;
        }
    }
    factor
}

/// Writes groups of one column's values `group * width` apart.
fn spread<T: Element>(run: &[T], out: &mut [T], group: usize, width: usize) {
    let rows = out.chunks_mut(group * width);
    if group == 2 {
        let (pairs, last) = run.as_chunks::<2>();
        let last = last.iter().map(|&value| [value, T::default()]);
        for (row, pair) in rows.zip(pairs.iter().copied().chain(last)) {
            [row[0], row[1]] = pair;
        }
    } else {
        rows.zip(run).for_each(|(row, &value)| row[0] = value);
    }
}

/// The shape of a weight to be packed.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) n: usize,
    pub(super) taps: usize,
    pub(super) run: usize,
    pub(super) paired: bool,
}

/// Asks an instruction set for the rows and columns of its tiles.
struct TileShape;

impl Kernel for TileShape {
    type Output = (usize, usize);
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> (usize, usize) {
        (S::TILE_ROWS, 2 * S::LANES)
    }
}
