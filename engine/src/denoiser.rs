//! What a sampler talks to: noise levels, a denoiser that predicts x0, a noise source, an observer.

use crate::error::Result;
use crate::latent::Latents;

/// A noise level: latents are `alpha * x0 + sigma * epsilon`. Variance-preserving models have
/// alpha² + sigma² = 1; zero terminal SNR is alpha = 0, so no infinite sigma ever appears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The network's time input, 0 to 999 for models trained with 1000 steps; may be fractional.
    pub timestep: f64,
    /// Share of the picture, 0 to 1.
    pub alpha: f64,
    /// Share of the noise, 0 to 1.
    pub sigma: f64,
}

impl Level {
    /// The clean end: alpha 1, sigma 0.
    pub const CLEAN: Self = Self {
        timestep: 0.0,
        alpha: 1.0,
        sigma: 0.0,
    };

    /// Clean latents brought to this level: `alpha * x0 + sigma * noise`.
    ///
    /// # Errors
    /// `Compute` when the shapes differ or the device fails.
    pub fn noised(&self, x0: &Latents, noise: &Latents) -> Result<Latents> {
        Latents::combine(&[(self.alpha, x0), (self.sigma, noise)])
    }

    /// k-diffusion's sigma: `sigma / alpha`; infinite at zero terminal SNR.
    pub fn sigma_ve(&self) -> f64 {
        self.sigma / self.alpha
    }

    /// Half the log signal-to-noise ratio, `ln(alpha / sigma)` (Lu et al. 2022).
    pub fn lambda(&self) -> f64 {
        self.alpha.ln() - self.sigma.ln()
    }
}

/// A network with guidance, seen as a predictor of the clean latents.
pub trait Denoiser {
    /// Predicted x0 for `latents` at `level`; same shape.
    ///
    /// # Errors
    /// `Cancelled` when the job was cancelled, else the network's failure.
    fn denoise(&mut self, latents: &Latents, level: &Level) -> Result<Latents>;
}

/// What a sampler reports after each step.
pub struct StepInfo<'a> {
    /// Steps done, from 1.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The level of the next network call, [`Level::CLEAN`] after the last step.
    pub level: &'a Level,
    /// The step's predicted x0.
    pub x0: &'a Latents,
}

/// Watches and amends a run: preview, progress and cancellation, and the latent blend of inpainting.
pub trait Observer {
    /// Called each time the latents reach a new level (also between the two halves of a
    /// second-order step, as the reference pipelines do), before the next network call. `level` is
    /// the level of that next call, [`Level::CLEAN`] after the last step: it is where known areas
    /// belong, so inpainting blends in `level.noised(known, noise)`. Returns the latents to go on
    /// with.
    ///
    /// # Errors
    /// Any error stops the sampler at once.
    fn on_level(&mut self, latents: Latents, level: &Level) -> Result<Latents>;

    /// Called once a step, after [`Self::on_level`].
    ///
    /// # Errors
    /// `Cancelled` to stop.
    fn on_step(&mut self, info: &StepInfo<'_>) -> Result<()>;
}
