//! Latents to RGB by a linear map: one pixel per latent pixel.

use candle_core::{Device, Tensor};

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::families::model::Autoencoder;
use crate::latent::Latents;
use crate::nn::Act;
use crate::raster::Picture;

/// Of the latent space of Stable Diffusion 1 and 2 (and TAESD's, which is the same): RGB in -1 to 1
/// per latent channel. Figures as published in ComfyUI's `latent_formats.py`, class `SD15`.
const STABLE_DIFFUSION: [[f32; 3]; 4] = [
    [0.3512, 0.2297, 0.3227],
    [0.3250, 0.4974, 0.2350],
    [-0.2829, 0.1762, 0.2721],
    [-0.2120, -0.2616, -0.7177],
];

/// Side of the chart that unknown latent spaces are fitted on, in latent pixels.
const CHART: usize = 8;

/// The map: RGB = weights x latents + offset, in -1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMap {
    /// One row of RGB per latent channel.
    weights: Vec<[f32; 3]>,
    offset: [f32; 3],
}

impl LinearMap {
    /// Of one channel: black at -1, white at 1.
    #[cfg(test)]
    pub(crate) fn of_one_channel() -> Self {
        Self {
            weights: vec![[1.0; 3]],
            offset: [0.0; 3],
        }
    }

    /// The published map for four channels; otherwise one fitted to what the autoencoder makes of a
    /// chart of smooth colours.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn for_autoencoder(
        autoencoder: &dyn Autoencoder,
        device: &Device,
        cancel: &CancelToken,
    ) -> Result<Self> {
        if autoencoder.latent_channels() == STABLE_DIFFUSION.len() {
            return Ok(Self {
                weights: STABLE_DIFFUSION.to_vec(),
                offset: [0.0; 3],
            });
        }
        Self::fit(autoencoder, device, cancel)
    }

    /// The values of x0 (1, C, h, w) as a picture of w x h pixels.
    ///
    /// # Errors
    /// `Compute` when there are none, or not as many as the shape says.
    pub fn draw(
        &self,
        values: &[f32],
        [_, channels, height, width]: [usize; 4],
    ) -> Result<Picture> {
        if values.len() != channels * height * width {
            return Err(EngineError::Compute {
                op: "preview".to_owned(),
                reason: "latents of another shape".to_owned(),
            });
        }
        let area = height * width;
        let mut rgba = Vec::with_capacity(4 * area);
        for pixel in 0..area {
            for (colour, offset) in self.offset.iter().enumerate() {
                let sum: f32 = (0..channels)
                    .map(|channel| values[channel * area + pixel] * self.weights[channel][colour])
                    .sum();
                rgba.push((((sum + offset) * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8);
            }
            rgba.push(255);
        }
        Picture::new(width as u32, height as u32, rgba).ok_or_else(|| EngineError::Compute {
            op: "preview".to_owned(),
            reason: "empty latents".to_owned(),
        })
    }

    /// Least squares with a little ridge, over the chart's latent pixels.
    fn fit(autoencoder: &dyn Autoencoder, device: &Device, cancel: &CancelToken) -> Result<Self> {
        let colours = chart();
        let picture = chart_picture(&colours, autoencoder.factor(), device)?;
        let mean = autoencoder.encode(&picture, cancel)?.mean;
        let scaled = Latents::new((mean * autoencoder.scaling_factor())?);
        let [_, channels, ..] = scaled.shape();
        let values = scaled.to_values()?;
        let area = CHART * CHART;
        let size = channels + 1;
        let mut normal = vec![0.0; size * size];
        let mut target = vec![[0.0; 3]; size];
        for (pixel, colour) in colours.iter().enumerate() {
            let latents = (0..channels).map(|c| f64::from(values[c * area + pixel]));
            let row: Vec<f64> = latents.chain([1.0]).collect();
            for i in 0..size {
                for j in 0..size {
                    normal[i * size + j] += row[i] * row[j];
                }
                for (sum, value) in target[i].iter_mut().zip(colour) {
                    *sum += row[i] * f64::from(*value);
                }
            }
        }
        for i in 0..size {
            normal[i * size + i] += 1e-2;
        }
        solve(&mut normal, &mut target, size);
        let to_f32 = |row: &[f64; 3]| row.map(|value| value as f32);
        let weights = target[..channels].iter().map(to_f32).collect();
        Ok(Self {
            weights,
            offset: to_f32(&target[channels]),
        })
    }
}

/// Smooth colours that cover the cube, -1 to 1.
fn chart() -> Vec<[f32; 3]> {
    (0..CHART * CHART)
        .map(|index| {
            let (x, y) = ((index % CHART) as f32, (index / CHART) as f32);
            [0.9, 1.7, 2.3].map(|rate: f32| (rate * x + (3.1 - rate) * y + rate).sin())
        })
        .collect()
}

/// The chart with `factor` x `factor` pixels a colour, (1, 3, H, W).
fn chart_picture(colours: &[[f32; 3]], factor: usize, device: &Device) -> Result<Act> {
    let side = CHART * factor;
    let value = |index: usize| {
        let (colour, y, x) = (index / (side * side), index / side % side, index % side);
        colours[(y / factor) * CHART + x / factor][colour]
    };
    let picture: Vec<f32> = (0..3 * side * side).map(value).collect();
    Ok(Act::from_tensor(Tensor::from_vec(
        picture,
        (1, 3, side, side),
        device,
    )?))
}

/// Gaussian elimination of a symmetric positive definite system, in place.
fn solve(matrix: &mut [f64], right: &mut [[f64; 3]], size: usize) {
    for pivot in 0..size {
        let diagonal = matrix[pivot * size + pivot];
        let known = right[pivot];
        for row in pivot + 1..size {
            let share = matrix[row * size + pivot] / diagonal;
            for column in pivot..size {
                matrix[row * size + column] -= share * matrix[pivot * size + column];
            }
            right[row]
                .iter_mut()
                .zip(known)
                .for_each(|(value, known)| *value -= share * known);
        }
    }
    for pivot in (0..size).rev() {
        let mut rest = right[pivot];
        for column in pivot + 1..size {
            let factor = matrix[pivot * size + column];
            rest.iter_mut()
                .zip(right[column])
                .for_each(|(rest, known)| *rest -= factor * known);
        }
        right[pivot] = rest.map(|rest| rest / matrix[pivot * size + pivot]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elimination_solves() {
        let mut matrix = vec![4.0, 1.0, 1.0, 3.0];
        let mut right = vec![[1.0, 6.0, 0.0], [2.0, 7.0, 0.0]];
        solve(&mut matrix, &mut right, 2);
        for (got, want) in right
            .iter()
            .flatten()
            .zip([1.0 / 11.0, 1.0, 0.0, 7.0 / 11.0, 2.0, 0.0])
        {
            assert!((got - want).abs() < 1e-12, "{right:?}");
        }
    }
}
