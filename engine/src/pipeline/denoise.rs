//! What the samplers talk to: the network with guidance as a denoiser, and the observer that blends,
//! previews, reports and cancels.

use std::cell::Cell;
use std::time::Instant;

use candle_core::Tensor;

use super::prompts::Prompts;
use super::start::Blend;
use super::{Listener, Relief};
use crate::cancel::CancelToken;
use crate::denoiser::{Denoiser, Level, Observer, StepInfo};
use crate::error::{EngineError, Result};
use crate::families::model::{Conditioning, Model, NetworkInput};
use crate::guidance::{Guidance, compose, predicted_x0};
use crate::latent::Latents;
use crate::preview::Previewer;

/// Conditionings of one network call: a prompt may have any number of parts.
const MOST_TOGETHER: usize = 4;

/// The network behind guidance, as a predictor of x0.
pub(super) struct GuidedDenoiser<'a> {
    pub(super) model: &'a dyn Model,
    /// Further input channels of inpainting models.
    pub(super) extra: Option<&'a Tensor>,
    pub(super) prompts: &'a Prompts,
    /// Who takes over at low noise.
    pub(super) refiner: Option<Relief<'a>>,
    /// Width and height of the picture the model makes, without padding.
    pub(super) size_px: [u32; 2],
    /// Steps done, set by the observer: prompts may change with it.
    pub(super) step: &'a Cell<usize>,
    pub(super) guidance: Guidance,
    /// How closely a picture that the network is shown is kept to.
    pub(super) image_guidance: f64,
    pub(super) cancel: &'a CancelToken,
}

impl Denoiser for GuidedDenoiser<'_> {
    fn denoise(&mut self, latents: &Latents, level: &Level) -> Result<Latents> {
        self.cancel.check()?;
        let relief = self
            .refiner
            .filter(|refiner| level.timestep < refiner.cutoff);
        let (model, prompts) = match relief {
            Some(refiner) => (refiner.model, refiner.prompts),
            None => (self.model, self.prompts),
        };
        let facts = model.facts();
        // Models distilled to take the scale as an input need no second half.
        let guidance = facts
            .guidance_channels
            .is_some()
            .then_some(self.guidance.scale);
        let now = prompts.at(self.step.get());
        // Prompts joined by weights are told apart from no prompt, even where guidance is off.
        let mut both = guidance.is_none() && (self.guidance.is_on() || !now.is_single());
        // As the reference: a model that is shown a picture is guided by both or not at all.
        both &= !facts.edits || self.image_guidance >= 1.0;
        let mut conditions: Vec<&Conditioning> = Vec::with_capacity(now.parts.len() + 1);
        conditions.extend(both.then_some(now.negative));
        conditions.extend(now.parts.iter().map(|(_, condition)| *condition));
        let timestep = level.timestep;
        let mut outputs = Vec::with_capacity(conditions.len());
        for conditions in conditions.chunks(MOST_TOGETHER) {
            let input = NetworkInput {
                latents,
                extra: self.extra.filter(|_| facts.inpainting || facts.edits),
                timestep,
                size_px: self.size_px,
                conditions,
                guidance,
            };
            outputs.extend(model.predict(&input, self.cancel)?);
        }
        let weights = now.parts.iter().map(|(weight, _)| *weight);
        let output = match outputs.as_slice() {
            [without, parts @ ..] if both => {
                let parts: Vec<_> = weights.zip(parts).collect();
                let with_prompt = compose(&parts, without)?;
                if facts.edits && self.guidance.is_on() {
                    let blind = self.blind(model, now.negative, latents, timestep)?;
                    self.guidance.combine_seen(
                        &with_prompt,
                        without,
                        &blind,
                        self.image_guidance,
                    )?
                } else if self.guidance.is_on() {
                    self.guidance.combine(&with_prompt, without)?
                } else {
                    with_prompt
                }
            }
            [one] => one.clone(),
            parts => weighted_mean(weights.zip(parts).collect())?,
        };
        predicted_x0(facts.noise.prediction(), &output, latents, level)
    }
}

impl GuidedDenoiser<'_> {
    /// What a network that is shown a picture says without it and without the prompt.
    fn blind(
        &self,
        model: &dyn Model,
        negative: &Conditioning,
        latents: &Latents,
        timestep: f64,
    ) -> Result<Latents> {
        let nothing = self.extra.map(Tensor::zeros_like).transpose()?;
        let input = NetworkInput {
            latents,
            extra: nothing.as_ref(),
            timestep,
            size_px: self.size_px,
            conditions: &[negative],
            guidance: None,
        };
        let outputs = model.predict(&input, self.cancel)?;
        outputs
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Compute {
                op: "guidance".to_owned(),
                reason: "the network gave no output".to_owned(),
            })
    }
}

/// Distilled models know no output without prompt to pull away from: their parts are averaged.
fn weighted_mean(mut parts: Vec<(f64, &Latents)>) -> Result<Latents> {
    let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
    let count = parts.len() as f64;
    for (weight, _) in &mut parts {
        // Weights that cancel out say nothing: all count alike.
        *weight = if total.abs() > 1e-3 {
            *weight / total
        } else {
            1.0 / count
        };
    }
    Latents::combine(&parts)
}

/// Watches one picture's run.
pub(super) struct RunObserver<'a> {
    /// The known area of inpainting with an ordinary model.
    pub(super) blend: Option<&'a Blend>,
    pub(super) previewer: Option<Previewer<'a>>,
    /// Where the model's picture will lie, `[x, y, width, height]`.
    pub(super) bounds: [u32; 4],
    pub(super) began: Instant,
    /// Steps done, for the denoiser.
    pub(super) step: &'a Cell<usize>,
    pub(super) cancel: &'a CancelToken,
    pub(super) listener: &'a mut dyn Listener,
}

impl Observer for RunObserver<'_> {
    fn on_level(&mut self, latents: Latents, level: &Level) -> Result<Latents> {
        match self.blend {
            Some(blend) => blend.keep_known(&latents, level),
            None => Ok(latents),
        }
    }

    fn on_step(&mut self, info: &StepInfo<'_>) -> Result<()> {
        self.cancel.check()?;
        self.step.set(info.step);
        // The last step's picture comes whole a moment later.
        if let Some(previewer) = &mut self.previewer
            && info.step < info.steps
        {
            let (picture, decoded) = previewer.draw(info.x0, self.cancel)?;
            self.listener
                .on_preview(info.step, self.bounds, picture, decoded);
        }
        self.listener
            .on_step(info.step, info.steps, self.began.elapsed());
        Ok(())
    }
}
