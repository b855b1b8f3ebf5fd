//! Each kernel by itself, on the shapes of Stable Diffusion 1.5 at 512 x 512 with guidance: time, speed and share of
//! what the processor can do from registers alone.

use std::time::Instant;

use half::bf16;
use pentimento_engine::kernels::cpu::attention::{Heads, attention};
use pentimento_engine::kernels::cpu::conv::{Conv2d, Pictures, Window};
use pentimento_engine::kernels::cpu::epilogue::Epilogue;
use pentimento_engine::kernels::cpu::gemm::matmul;
use pentimento_engine::kernels::cpu::norm::{GroupNorm, layer_norm};
use pentimento_engine::kernels::cpu::pack::PackedMatrix;
use pentimento_engine::kernels::cpu::peak::peak_flops;
use pentimento_engine::kernels::cpu::shared::{Rows, RowsMut};
use pentimento_engine::kernels::cpu::{Activation, Element, Isa, trusted_isa};

use crate::statistics::median;

/// Rows, inputs, outputs; whether gated.
const LINEAR: [(usize, usize, usize, bool); 9] = [
    (8192, 320, 320, false),
    (8192, 320, 2560, true),
    (8192, 1280, 320, false),
    (2048, 640, 640, false),
    (2048, 640, 5120, true),
    (2048, 2560, 640, false),
    (512, 1280, 1280, false),
    (512, 1280, 10240, true),
    (512, 5120, 1280, false),
];

/// Pictures, side, channels in and out; window.
const CONVOLUTIONS: [(usize, usize, usize, usize, Win); 14] = [
    (2, 64, 320, 320, Win::Same),
    (2, 64, 960, 320, Win::Same),
    (2, 32, 640, 640, Win::Same),
    (2, 16, 1280, 1280, Win::Same),
    (2, 16, 2560, 1280, Win::Same),
    (2, 8, 1280, 1280, Win::Same),
    (2, 64, 320, 320, Win::Halving),
    (2, 32, 640, 640, Win::Doubling),
    (2, 64, 960, 320, Win::Point),
    (1, 128, 512, 512, Win::Same),
    (1, 256, 256, 256, Win::Same),
    (1, 256, 256, 256, Win::Doubling),
    (1, 512, 128, 128, Win::Same),
    (1, 512, 128, 3, Win::Same),
];

#[derive(Clone, Copy)]
enum Win {
    Same,
    Point,
    Halving,
    Doubling,
}

impl Win {
    fn window(self) -> (&'static str, Window) {
        match self {
            Self::Same => ("3x3", Window::same(3)),
            Self::Point => ("1x1", Window::same(1)),
            Self::Halving => ("3x3 stride 2", Window::halving()),
            Self::Doubling => ("doubling 3x3", Window::doubling()),
        }
    }
}

/// Batch, queries, keys, heads, values of a head.
const ATTENTION: [(usize, usize, usize, usize, usize); 8] = [
    (2, 4096, 4096, 8, 40),
    (2, 1024, 1024, 8, 80),
    (2, 256, 256, 8, 160),
    (2, 64, 64, 8, 160),
    (2, 4096, 77, 8, 40),
    (2, 1024, 77, 8, 80),
    (1, 4096, 4096, 1, 512),
    (2, 4096, 4096, 10, 64),
];

struct Table {
    isa: Isa,
    peak: f64,
}

impl Table {
    /// Times `work` of `flops` operations and prints a line.
    fn row(&self, name: &str, flops: f64, mut work: impl FnMut()) {
        work();
        let rounds = 7;
        let times: Vec<f64> = (0..rounds)
            .map(|_| {
                let began = Instant::now();
                work();
                began.elapsed().as_secs_f64()
            })
            .collect();
        let secs = median(&times);
        let speed = flops / secs;
        println!(
            "| {name} | {:.2} | {:.0} | {:.0} |",
            secs * 1e3,
            speed / 1e9,
            100.0 * speed / self.peak
        );
    }
}

/// Numbers without a pattern, about -1 to 1.
fn numbers<T: Element>(count: usize) -> Vec<T> {
    let mut state = 1_u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            T::from_f32((state >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

/// Prints the tables; `only`: kernels whose line contains it.
pub(crate) fn measure(only: &str) {
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    println!(
        "Instruction set: {}, {} threads. Speed counts a product and its addition as two \
         operations, also those that a 3x3 convolution is spared: it does a quarter of them.",
        trusted_isa().name(),
        pool.current_num_threads()
    );
    pool.install(|| {
        tables::<f32>("f32", only);
        tables::<bf16>("bf16", only);
    });
}

fn tables<T: Element>(name: &str, only: &str) {
    let isa = trusted_isa();
    let peak = peak_flops(isa, T::PRECISION);
    let table = Table { isa, peak };
    println!(
        "\n### {name}: registers alone reach {:.0} GFLOP/s\n",
        peak / 1e9
    );
    println!("| kernel | median ms | GFLOP/s | % of that |\n|---|---|---|---|");
    linear::<T>(&table, only);
    convolutions::<T>(&table, only);
    attentions::<T>(&table, only);
    norms::<T>(&table, only);
}

fn linear<T: Element>(table: &Table, only: &str) {
    for (rows, inputs, outputs, gated) in LINEAR {
        let kind = if gated { "gated linear" } else { "linear" };
        let name = format!("{kind} {rows} x {inputs} x {outputs}");
        if !name.contains(only) {
            continue;
        }
        let (a, weight) = (
            numbers::<T>(rows * inputs),
            numbers::<f32>(inputs * outputs),
        );
        let pack = if gated {
            PackedMatrix::gated::<f32>
        } else {
            PackedMatrix::linear::<f32>
        };
        let packed = pack(table.isa, T::PRECISION, &weight, outputs, inputs);
        let epilogue = if gated {
            Epilogue::default().activation(Activation::Gelu)
        } else {
            Epilogue::default()
        };
        let mut out = vec![T::default(); rows * packed.outputs()];
        let width = packed.outputs();
        table.row(&name, 2.0 * (rows * inputs * outputs) as f64, || {
            let out = RowsMut::new(&mut out, rows, width);
            matmul(Rows::new(&a, rows, inputs), &packed, &epilogue, out);
        });
    }
}

fn convolutions<T: Element>(table: &Table, only: &str) {
    for (images, side, inputs, outputs, window) in CONVOLUTIONS {
        let (kind, window) = window.window();
        let name = format!("{kind} {images} x {side} x {side}, {inputs} to {outputs}");
        if !name.contains(only) {
            continue;
        }
        let shape = Pictures {
            images,
            height: side,
            width: side,
        };
        let taps = window.kernel.0 * window.kernel.1;
        let weight = numbers::<f32>(inputs * outputs * taps);
        let conv = Conv2d::new(table.isa, T::PRECISION, &weight, (outputs, inputs), window);
        let x = numbers::<T>(shape.pixels() * inputs);
        let pixels = window.output(shape).pixels();
        let mut out = vec![T::default(); pixels * outputs];
        table.row(
            &name,
            2.0 * (pixels * taps * inputs * outputs) as f64,
            || {
                let out = RowsMut::new(&mut out, pixels, outputs);
                let x = Rows::new(&x, shape.pixels(), inputs);
                conv.apply(x, shape, &Epilogue::default(), out);
            },
        );
    }
}

fn attentions<T: Element>(table: &Table, only: &str) {
    for (batch, queries, keys, count, dim) in ATTENTION {
        let name = format!("attention {batch} x {queries} x {keys}, {count} heads of {dim}");
        if !name.contains(only) {
            continue;
        }
        let width = count * dim;
        let q = numbers::<T>(batch * queries * width);
        let (k, v) = (
            numbers::<T>(batch * keys * width),
            numbers::<T>(batch * keys * width),
        );
        let mut out = vec![T::default(); batch * queries * width];
        let heads = Heads::new(batch, count, dim);
        table.row(&name, 4.0 * (batch * queries * keys * width) as f64, || {
            attention(
                table.isa,
                Rows::new(&q, batch * queries, width),
                Rows::new(&k, batch * keys, width),
                Rows::new(&v, batch * keys, width),
                heads,
                RowsMut::new(&mut out, batch * queries, width),
            );
        });
    }
}

/// Norms do almost no products: their speed is that of memory, and the share says little.
fn norms<T: Element>(table: &Table, only: &str) {
    let (rows, channels) = (8192, 320);
    let x = numbers::<T>(rows * channels);
    let (weight, bias) = (numbers::<f32>(channels), numbers::<f32>(channels));
    let mut out = vec![T::default(); rows * channels];
    let values = (rows * channels) as f64;
    if "group norm".contains(only) {
        let norm = GroupNorm {
            images: 2,
            groups: 32,
            eps: 1e-5,
            weight: &weight,
            bias: &bias,
            activation: Activation::Silu,
        };
        table.row("group norm and SiLU 8192 x 320", 4.0 * values, || {
            let to = RowsMut::new(&mut out, rows, channels);
            norm.apply(table.isa, Rows::new(&x, rows, channels), to);
        });
    }
    if "layer norm".contains(only) {
        table.row("layer norm 8192 x 320", 4.0 * values, || {
            let to = RowsMut::new(&mut out, rows, channels);
            layer_norm(
                table.isa,
                Rows::new(&x, rows, channels),
                [&weight, &bias],
                1e-5,
                to,
            );
        });
    }
}
