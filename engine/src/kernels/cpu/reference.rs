//! The slow twin of each kernel: plain loops in f64, for tests and for reading what a kernel means.

use super::conv::{Pictures, Window};
use super::math::Activation;

/// `x` through `activation`, in f64.
pub fn activation(kind: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match kind {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + u.tanh())
        }
    }
}

/// The error function: its power series near zero, its continued fraction beyond.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..60).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
        1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

/// `a` (m, k) times the transpose of `weight` (n, k), all row-major.
pub fn matmul(a: &[f32], weight: &[f32], (m, n, k): (usize, usize, usize)) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            out[i * n + j] = (0..k)
                .map(|l| f64::from(a[i * k + l]) * f64::from(weight[j * k + l]))
                .sum();
        }
    }
    out
}

/// The convolution of NHWC `input` with `weight` (outputs, channels, kernel height, kernel width).
pub fn conv2d(
    input: &[f32],
    shape: Pictures,
    weight: &[f32],
    (outputs, channels): (usize, usize),
    window: Window,
) -> Vec<f64> {
    let out_shape = window.output(shape);
    let scale = 1 + usize::from(window.upsample);
    let (kh, kw) = window.kernel;
    let mut out = Vec::with_capacity(out_shape.pixels() * outputs);
    for row in 0..out_shape.pixels() {
        let (x, y) = (
            row % out_shape.width,
            row / out_shape.width % out_shape.height,
        );
        let image = row / out_shape.width / out_shape.height;
        for o in 0..outputs {
            let mut sum = 0.0;
            for tap in 0..kh * kw {
                let from_y = (y * window.stride + tap / kw).checked_sub(window.padding[0]);
                let from_x = (x * window.stride + tap % kw).checked_sub(window.padding[1]);
                let (Some(from_y), Some(from_x)) = (from_y, from_x) else {
                    continue;
                };
                if from_y >= shape.height * scale || from_x >= shape.width * scale {
                    continue;
                }
                let line = image * shape.height + from_y / scale;
                let pixel = line * shape.width + from_x / scale;
                for c in 0..channels {
                    let w = weight[(o * channels + c) * kh * kw + tap];
                    sum += f64::from(input[pixel * channels + c]) * f64::from(w);
                }
            }
            out.push(sum);
        }
    }
    out
}

/// Attention of one batch and head: `q` (queries, dim), `k` and `v` (keys, dim), row-major.
pub fn attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dim: usize,
    scale: f32,
    causal: bool,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(q.len());
    for (row, query) in q.chunks(dim).enumerate() {
        let seen = if causal { row + 1 } else { k.len() / dim };
        let score = |key: &[f32]| -> f64 {
            let dot: f64 = query
                .iter()
                .zip(key)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum();
            dot * f64::from(scale)
        };
        let scores: Vec<f64> = k.chunks(dim).take(seen).map(score).collect();
        let top = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
        let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        for d in 0..dim {
            let values = v.chunks(dim).map(|value| f64::from(value[d]));
            out.push(weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / total);
        }
    }
    out
}

/// Group norm of one NHWC picture: `x` (pixels, channels).
pub fn group_norm(
    x: &[f32],
    channels: usize,
    groups: usize,
    eps: f64,
    line: [&[f32]; 2],
) -> Vec<f64> {
    let width = channels / groups;
    let mut out: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
    for group in 0..groups {
        let inside = |i: &usize| i % channels / width == group;
        let values: Vec<f64> = (0..x.len())
            .filter(inside)
            .map(|i| f64::from(x[i]))
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let spread = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
        let scale = 1.0 / (spread / values.len() as f64 + eps).sqrt();
        for i in (0..x.len()).filter(inside) {
            let c = i % channels;
            out[i] = (out[i] - mean) * scale * f64::from(line[0][c]) + f64::from(line[1][c]);
        }
    }
    out
}
