//! Guidance and prediction types: from the network's raw outputs to predicted x0. Pure functions,
//! called by the pipeline's denoiser: first [`Guidance::combine`], then [`predicted_x0`].

use candle_core::{DType, Tensor};

use crate::denoiser::Level;
use crate::error::Result;
use crate::latent::Latents;
use crate::schedules::Prediction;

/// Classifier-free guidance (Ho and Salimans 2022) with rescale (Lin et al. 2023, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// Guidance scale; 1 or below switches guidance off.
    pub scale: f64,
    /// Rescale phi, 0 (off) to 1.
    pub rescale: f64,
}

impl Guidance {
    /// Whether the network has to be asked without the prompt, too.
    pub fn is_on(&self) -> bool {
        self.scale > 1.0
    }

    /// The guided output: `without + scale * (with - without)`, then brought `rescale` of the way to
    /// the standard deviation of `with_prompt`. Both outputs have the network's own prediction type
    /// and one shape.
    ///
    /// # Errors
    /// `Compute` when the shapes differ or the device fails.
    pub fn combine(&self, with_prompt: &Latents, without: &Latents) -> Result<Latents> {
        let away = (with_prompt.tensor() - without.tensor())?;
        let guided = Latents::new((without.tensor() + (away * self.scale)?)?);
        self.rescaled(guided, with_prompt)
    }

    /// The guided output of a network that is shown a picture: away from its output without the
    /// prompt, and `image_scale` away from that without prompt and picture (Brooks et al. 2023,
    /// equation 3).
    ///
    /// # Errors
    /// `Compute` when the shapes differ or the device fails.
    pub fn combine_seen(
        &self,
        with_prompt: &Latents,
        without: &Latents,
        blind: &Latents,
        image_scale: f64,
    ) -> Result<Latents> {
        let guided = Latents::combine(&[
            (self.scale, with_prompt),
            (image_scale - self.scale, without),
            (1.0 - image_scale, blind),
        ])?;
        self.rescaled(guided, with_prompt)
    }

    /// `guided`, brought `rescale` of the way to the standard deviation of `with_prompt`.
    fn rescaled(&self, guided: Latents, with_prompt: &Latents) -> Result<Latents> {
        if self.rescale <= 0.0 {
            return Ok(guided);
        }
        let (target, actual) = (
            standard_deviation(with_prompt)?,
            standard_deviation(&guided)?,
        );
        let scale = ((target / &actual)? * self.rescale)? + (1.0 - self.rescale);
        // A constant output has nothing to rescale: its deviation is what its mean was rounded by.
        let largest = guided.tensor().abs()?.flatten_all()?.max(0)?;
        let rounding = (largest * 1e-6)?.to_dtype(actual.dtype())?;
        let one = actual.affine(0.0, 1.0)?;
        let scale = actual.le(&rounding)?.where_cond(&one, &scale?)?;
        let scale = scale.to_dtype(DType::F32)?;
        Ok(Latents::new(guided.tensor().broadcast_mul(&scale)?))
    }
}

/// What one prompt that says all of `parts` would have given: `without + sum of weight * (part -
/// without)`, the conjunction of composable diffusion (Liu et al. 2022, equation 11).
///
/// # Errors
/// `Compute` when the shapes differ or the device fails.
pub fn compose(parts: &[(f64, &Latents)], without: &Latents) -> Result<Latents> {
    if let [(1.0, one)] = parts {
        return Ok((*one).clone());
    }
    let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
    let mut terms = vec![(1.0 - total, without)];
    terms.extend_from_slice(parts);
    Latents::combine(&terms)
}

/// Unbiased standard deviation over all values, a tensor of no dimensions: it stays on the device, which would
/// otherwise wait for the host in the midst of a step.
fn standard_deviation(latents: &Latents) -> Result<Tensor> {
    let values = latents.tensor();
    // Apple's cards have no f64.
    let wide = if values.device().is_metal() {
        DType::F32
    } else {
        DType::F64
    };
    let values = values.to_dtype(wide)?;
    let away = values.broadcast_sub(&values.mean_all()?)?;
    let divisor = (latents.len() as f64 - 1.0).max(1.0);
    Ok((away.sqr()?.sum_all()? / divisor)?.sqrt()?)
}

/// x0 as predicted by a network `output` of that prediction type for `latents` at `level`.
///
/// At alpha = 0 (zero terminal SNR) a predicted noise says nothing about x0: the answer is then the
/// mean of all pictures in latent space, 0, where the plain formula would divide by 0.
///
/// # Errors
/// `Compute` when the shapes differ or the device fails.
pub fn predicted_x0(
    prediction: Prediction,
    output: &Latents,
    latents: &Latents,
    level: &Level,
) -> Result<Latents> {
    let (alpha, sigma) = (level.alpha, level.sigma);
    match prediction {
        Prediction::Sample => Ok(output.clone()),
        Prediction::Velocity => Latents::combine(&[(alpha, latents), (-sigma, output)]),
        Prediction::Epsilon if alpha == 0.0 => output.scaled(0.0),
        Prediction::Epsilon => {
            Latents::combine(&[(1.0 / alpha, latents), (-sigma / alpha, output)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn latents(values: &[f32]) -> Latents {
        Latents::from_values(values.to_vec(), [1, 1, 1, values.len()], &Device::Cpu).expect("small")
    }

    #[test]
    fn guidance_extrapolates_and_rescale_restores_the_spread() {
        let (with_prompt, without) = (latents(&[1.0, 2.0, 4.0]), latents(&[0.0, 2.0, 1.0]));
        let plain = Guidance {
            scale: 3.0,
            rescale: 0.0,
        };
        let guided = plain.combine(&with_prompt, &without).expect("combine");
        assert_eq!(guided.to_values().expect("values"), [3.0, 2.0, 10.0]);
        let full = Guidance {
            rescale: 1.0,
            ..plain
        };
        let rescaled = full.combine(&with_prompt, &without).expect("combine");
        let deviation = |latents: &Latents| {
            let deviation = standard_deviation(latents).expect("values");
            deviation.to_scalar::<f64>().expect("one number")
        };
        let (got, want) = (deviation(&rescaled), deviation(&with_prompt));
        assert!((got - want).abs() < 1e-6, "{got} {want}");
        let half = Guidance {
            rescale: 0.5,
            ..plain
        };
        let mixed = half.combine(&with_prompt, &without).expect("combine");
        let mixed = mixed.to_values().expect("values");
        let rescaled = rescaled.to_values().expect("values");
        assert!((mixed[2] - (10.0 + rescaled[2]) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn a_constant_output_is_not_rescaled() {
        let guidance = Guidance {
            scale: 2.0,
            rescale: 0.7,
        };
        // Of most counts of equal values the mean is not exact, and their deviation not 0.
        for count in 1..200 {
            let (with_prompt, without) = (latents(&vec![3.3; count]), latents(&vec![1.1; count]));
            let got = guidance.combine(&with_prompt, &without).expect("combine");
            for value in got.to_values().expect("values") {
                assert!((value - 5.5).abs() < 1e-5, "{count}: {value}");
            }
        }
    }

    /// The same inputs through `rescale_noise_cfg` of diffusers 0.42.1.
    #[test]
    fn rescale_gives_the_numbers_of_the_reference() {
        let (with_prompt, without) = (latents(&[1.0, 2.0, 4.0]), latents(&[0.0, 2.0, 1.0]));
        for (rescale, want) in [
            (0.5, [2.025_657_4, 1.350_438_4, 6.752_191_5]),
            (0.7, [1.635_920_4, 1.090_613_6, 5.453_068]),
            (1.0, [1.051_314_8, 0.700_876_6, 3.504_384_4]),
        ] {
            let scale = 3.0;
            let got = Guidance { scale, rescale }
                .combine(&with_prompt, &without)
                .expect("combine")
                .to_values()
                .expect("values");
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-5, "{rescale}: {got} {want}");
            }
        }
    }

    #[test]
    fn guidance_at_one_or_below_is_off() {
        for (scale, on) in [(0.0, false), (1.0, false), (1.01, true)] {
            assert_eq!(
                Guidance {
                    scale,
                    rescale: 0.0
                }
                .is_on(),
                on
            );
        }
    }

    #[test]
    fn parts_pull_away_from_no_prompt_by_their_weights() {
        let (a, b, without) = (latents(&[1.0]), latents(&[5.0]), latents(&[2.0]));
        let composed = |parts: &[(f64, &Latents)]| {
            let both = compose(parts, &without).expect("compose");
            both.to_values().expect("values")[0]
        };
        assert_eq!(composed(&[(1.0, &a)]), 1.0);
        assert_eq!(composed(&[(1.0, &a), (1.0, &b)]), 2.0 - 1.0 + 3.0);
        assert_eq!(composed(&[(2.0, &a), (-0.5, &b)]), 2.0 - 2.0 - 1.5);
    }

    #[test]
    fn every_prediction_type_gives_back_x0() {
        let (x0, noise) = (latents(&[0.5, -1.0, 2.0]), latents(&[0.1, 0.7, -1.3]));
        let level = Level {
            timestep: 500.0,
            alpha: 0.6,
            sigma: 0.8,
        };
        let noisy = level.noised(&x0, &noise).expect("noised");
        let velocity = Latents::combine(&[(0.6, &noise), (-0.8, &x0)]).expect("combine");
        for (prediction, output) in [
            (Prediction::Epsilon, &noise),
            (Prediction::Velocity, &velocity),
            (Prediction::Sample, &x0),
        ] {
            let got = predicted_x0(prediction, output, &noisy, &level).expect("x0");
            for (got, want) in got.to_values().expect("got").iter().zip([0.5, -1.0, 2.0]) {
                assert!((got - want).abs() < 1e-6, "{prediction:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn pure_noise_gives_finite_x0_for_every_prediction_type() {
        let level = Level {
            timestep: 999.0,
            alpha: 0.0,
            sigma: 1.0,
        };
        let (noisy, output) = (latents(&[1.0, -2.0]), latents(&[0.25, 3.0]));
        for (prediction, want) in [
            (Prediction::Epsilon, [0.0, 0.0]),
            (Prediction::Velocity, [-0.25, -3.0]),
            (Prediction::Sample, [0.25, 3.0]),
        ] {
            let got = predicted_x0(prediction, &output, &noisy, &level).expect("x0");
            assert_eq!(got.to_values().expect("values"), want, "{prediction:?}");
        }
    }
}
