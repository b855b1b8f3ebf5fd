//! What the samplers talk to: the network with guidance as a denoiser, and the observer that blends,
//! previews, reports and cancels.

use std::time::Instant;

use candle_core::Tensor;

use super::Listener;
use super::start::Blend;
use crate::cancel::CancelToken;
use crate::denoiser::{Denoiser, Level, Observer, StepInfo};
use crate::error::Result;
use crate::families::model::{Conditioning, Model, NetworkInput};
use crate::guidance::{Guidance, predicted_x0};
use crate::latent::Latents;
use crate::preview::Previewer;

/// The network behind guidance, as a predictor of x0.
pub(super) struct GuidedDenoiser<'a> {
    pub(super) model: &'a dyn Model,
    /// Further input channels of inpainting models.
    pub(super) extra: Option<&'a Tensor>,
    pub(super) prompt: &'a Conditioning,
    pub(super) negative: &'a Conditioning,
    pub(super) guidance: Guidance,
    pub(super) cancel: &'a CancelToken,
}

impl Denoiser for GuidedDenoiser<'_> {
    fn denoise(&mut self, latents: &Latents, level: &Level) -> Result<Latents> {
        self.cancel.check()?;
        let facts = self.model.facts();
        // Models distilled to take the scale as an input need no second half.
        let guidance = facts
            .guidance_channels
            .is_some()
            .then_some(self.guidance.scale);
        let both = guidance.is_none() && self.guidance.is_on();
        let conditions: &[&Conditioning] = if both {
            &[self.negative, self.prompt]
        } else {
            &[self.prompt]
        };
        let timestep = level.timestep;
        let input = NetworkInput {
            latents,
            extra: self.extra,
            timestep,
            conditions,
            guidance,
        };
        let outputs = self.model.predict(&input, self.cancel)?;
        let output = match outputs.as_slice() {
            [without, with_prompt] => &self.guidance.combine(with_prompt, without)?,
            [with_prompt, ..] => with_prompt,
            [] => latents, // a model answers every condition, and there is always one
        };
        predicted_x0(facts.noise.prediction(), output, latents, level)
    }
}

/// Watches one picture's run.
pub(super) struct RunObserver<'a> {
    /// The known area of inpainting with an ordinary model.
    pub(super) blend: Option<&'a Blend>,
    pub(super) previewer: Option<Previewer<'a>>,
    /// Where the model's picture will lie, `[x, y, width, height]`.
    pub(super) bounds: [u32; 4],
    pub(super) began: Instant,
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
