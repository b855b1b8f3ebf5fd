//! The slow twin of each kernel: plain loops in f64.

use super::super::cpu::Activation;
use super::super::cpu::reference::activation as apply;

/// The shape of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Channels first.
    Map {
        /// Pictures.
        pictures: usize,
        /// Channels.
        channels: usize,
        /// Pixels of a picture.
        pixels: usize,
    },
    /// Channels last.
    Tokens {
        /// Pictures.
        pictures: usize,
        /// Tokens of a picture.
        tokens: usize,
        /// Channels.
        channels: usize,
    },
}

impl Shape {
    /// Of all pictures together.
    pub const fn values(self) -> usize {
        match self {
            Self::Map {
                pictures,
                channels,
                pixels: places,
            }
            | Self::Tokens {
                pictures,
                tokens: places,
                channels,
            } => pictures * channels * places,
        }
    }

    /// Of a picture.
    pub const fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } | Self::Tokens { channels, .. } => channels,
        }
    }

    /// The picture and the channel of a value.
    const fn place(self, at: usize) -> (usize, usize) {
        match self {
            Self::Map {
                channels, pixels, ..
            } => (at / pixels / channels, at / pixels % channels),
            Self::Tokens {
                tokens, channels, ..
            } => (at / channels / tokens, at % channels),
        }
    }
}

/// Mean of `values` and the reciprocal of their deviation.
fn statistics(values: &[f32], epsilon: f64) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let squares = values.iter().map(|&x| (f64::from(x) - mean).powi(2));
    (mean, 1.0 / (squares.sum::<f64>() / count + epsilon).sqrt())
}

/// Of maps of so many channels and pixels, in groups of `group` channels.
pub fn group_norm(
    x: &[f32],
    (channels, pixels, group): (usize, usize, usize),
    [weight, bias]: [&[f32]; 2],
    epsilon: f64,
    activation: Activation,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len());
    for (run, values) in x.chunks(group * pixels).enumerate() {
        let (mean, scale) = statistics(values, epsilon);
        out.extend(values.iter().enumerate().map(|(at, &x)| {
            let channel = (run * group + at / pixels) % channels;
            let y = (f64::from(x) - mean) * scale * f64::from(weight[channel]);
            apply(activation, y + f64::from(bias[channel]))
        }));
    }
    out
}

/// Of rows as long as `weight` and `bias`.
pub fn layer_norm(x: &[f32], [weight, bias]: [&[f32]; 2], epsilon: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks(weight.len()) {
        let (mean, scale) = statistics(row, epsilon);
        let scaled = row
            .iter()
            .zip(weight.iter().zip(bias))
            .map(|(&x, (&w, &b))| (f64::from(x) - mean) * scale * f64::from(w) + f64::from(b));
        out.extend(scaled);
    }
    out
}

/// Of rows of `half` values and `half` gates.
pub fn geglu(x: &[f32], half: usize, bias: Option<&[f32]>) -> Vec<f64> {
    let at =
        |row: &[f32], i: usize| f64::from(row[i]) + bias.map_or(0.0, |bias| f64::from(bias[i]));
    let mut out = Vec::with_capacity(x.len() / 2);
    for row in x.chunks(2 * half) {
        let gated = (0..half).map(|i| at(row, i) * apply(Activation::Gelu, at(row, half + i)));
        out.extend(gated);
    }
    out
}

/// What comes after a product, on plain numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish<'a> {
    /// Of each channel.
    pub bias: Option<&'a [f32]>,
    /// Of each picture and channel.
    pub vector: Option<&'a [f32]>,
    /// A pointwise function.
    pub activation: Activation,
    /// Of each value.
    pub residual: Option<&'a [f32]>,
}

/// Bias, vector, function, residual.
pub fn finish(x: &[f32], shape: Shape, with: Finish<'_>) -> Vec<f64> {
    let part = |part: Option<&[f32]>, at: usize| part.map_or(0.0, |part| f64::from(part[at]));
    let one = |(at, &x): (usize, &f32)| {
        let (picture, channel) = shape.place(at);
        let vector = part(with.vector, picture * shape.channels() + channel);
        let y = f64::from(x) + part(with.bias, channel) + vector;
        apply(with.activation, y) + part(with.residual, at)
    };
    x.iter().enumerate().map(one).collect()
}

/// Nearest neighbour, of so many pictures of a height and width with channels last, to another height and width.
pub fn enlarge(
    x: &[f32],
    (pictures, [height, width], channels): (usize, [usize; 2], usize),
    [to_height, to_width]: [usize; 2],
) -> Vec<f64> {
    let mut out = Vec::with_capacity(pictures * to_height * to_width * channels);
    for picture in x.chunks(height * width * channels).take(pictures) {
        for line in 0..to_height {
            for column in 0..to_width {
                let pixel = line * height / to_height * width + column * width / to_width;
                let values = &picture[pixel * channels..(pixel + 1) * channels];
                out.extend(values.iter().map(|&value| f64::from(value)));
            }
        }
    }
    out
}

/// (outer, rows, columns) as (outer, columns, rows): a map's channels first as last, or back.
pub fn transposed<T: Copy>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(x.len());
    for outer in x.chunks(rows * columns) {
        let column = |column| (0..rows).map(move |row| outer[row * columns + column]);
        out.extend((0..columns).flat_map(column));
    }
    out
}
