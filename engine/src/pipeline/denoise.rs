//! What the samplers talk to: the network with guidance as a denoiser, and the observer that blends,
//! previews, reports and cancels.

use std::cell::Cell;
use std::time::Instant;

use candle_core::Tensor;

use super::easy_cache::{EasyCache, passed};
use super::prompts::{Now, Prompts};
use super::start::Blend;
use super::{Listener, Relief};
use crate::cancel::CancelToken;
use crate::denoiser::{Denoiser, Level, Observer, StepInfo};
use crate::error::{EngineError, Result};
use crate::families::model::{Conditioning, Model, ModelPart, NetworkInput};
use crate::families::replay::Replays;
use crate::families::reuse::{DeepFeatures, DeepReuse};
use crate::guidance::{Guidance, compose, predicted_x0};
use crate::latent::Latents;
use crate::pace::{Moment, Pace};
use crate::preview::{Draft, Previewer};
use crate::recipe::NetworkOptions;
use crate::residency::Residency;

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
    /// Steps of the run.
    pub(super) steps: usize,
    pub(super) guidance: Guidance,
    pub(super) options: &'a NetworkOptions,
    pub(super) residency: Residency,
    /// Deep features of the step that computed all.
    pub(super) deep: DeepFeatures,
    /// Calls that the device recorded.
    pub(super) replays: Option<Replays>,
    /// What stands for calls that are left out.
    pub(super) easy: EasyCache<'a>,
    /// What the negative prompt made of the output when it was asked last.
    pub(super) pull: Option<Pull<'a>>,
    /// How closely a picture that the network is shown is kept to.
    pub(super) image_guidance: f64,
    pub(super) cancel: &'a CancelToken,
}

/// The negative prompt's output less that of the prompt's first part, and which prompts these were.
pub(super) struct Pull<'a> {
    negative: &'a Conditioning,
    part: &'a Conditioning,
    difference: Latents,
}

impl<'a> GuidedDenoiser<'a> {
    /// A network's raw outputs, one for each conditioning.
    fn ask(
        &mut self,
        model: &dyn Model,
        latents: &Latents,
        level: &Level,
        conditions: &[&'a Conditioning],
        guidance: Option<f64>,
    ) -> Result<Vec<Latents>> {
        let facts = model.facts();
        let passed = passed(level.timestep, facts.noise.train_steps());
        if let Some(outputs) = self.easy.recall(latents, passed, conditions)? {
            return Ok(outputs);
        }
        let all = conditions;
        let mut outputs = Vec::with_capacity(conditions.len());
        for conditions in conditions.chunks(MOST_TOGETHER) {
            let input = NetworkInput {
                latents,
                extra: self.extra.filter(|_| facts.inpainting || facts.edits),
                timestep: level.timestep,
                size_px: self.size_px,
                conditions,
                guidance,
                deep: self.deep_reuse(),
                replays: self.replays.as_ref(),
            };
            outputs.extend(model.predict(&input, self.cancel)?);
        }
        self.easy.keep(latents, passed, all, &outputs)?;
        Ok(outputs)
    }

    fn deep_reuse(&self) -> Option<DeepReuse<'_>> {
        let reuse = &self.options.reuse;
        (reuse.deep_every > 1).then_some(DeepReuse {
            branch: reuse.deep_branch as usize,
            features: &self.deep,
        })
    }

    /// What the negative prompt is known to make of the output, in steps that need not ask again.
    fn known_pull(&self, done: usize, now: &Now<'a>) -> Option<&Latents> {
        let every = self.options.reuse.negative_every.max(1) as usize;
        let (_, part) = now.parts.first()?;
        let same = |pull: &&Pull<'_>| {
            std::ptr::eq(pull.negative, now.negative) && std::ptr::eq(pull.part, *part)
        };
        let pull = self.pull.as_ref().filter(same)?;
        (!done.is_multiple_of(every)).then_some(&pull.difference)
    }

    /// Keeps what the negative prompt made of the output, where a later step may use it.
    fn keep_pull(&mut self, now: &Now<'a>, without: &Latents, first: &Latents) -> Result<()> {
        if self.options.reuse.negative_every > 1
            && let Some((_, part)) = now.parts.first()
        {
            self.pull = Some(Pull {
                negative: now.negative,
                part,
                difference: Latents::combine(&[(1.0, without), (-1.0, first)])?,
            });
        }
        Ok(())
    }

    /// The raw outputs without a prompt and for each of its parts; without only where `both`.
    fn outputs(
        &mut self,
        model: &dyn Model,
        latents: &Latents,
        level: &Level,
        now: &Now<'a>,
        (both, guidance): (bool, Option<f64>),
    ) -> Result<(Option<Latents>, Vec<Latents>)> {
        let done = self.step.get();
        let parts: Vec<&'a Conditioning> = now.parts.iter().map(|(_, part)| *part).collect();
        if !both {
            return Ok((None, self.ask(model, latents, level, &parts, guidance)?));
        }
        if let Some(pull) = self.known_pull(done, now).cloned() {
            let outputs = self.ask(model, latents, level, &parts, guidance)?;
            let without = outputs
                .first()
                .map(|first| Latents::combine(&[(1.0, first), (1.0, &pull)]));
            return Ok((without.transpose()?, outputs));
        }
        let conditions: Vec<&'a Conditioning> =
            std::iter::once(now.negative).chain(parts).collect();
        let mut outputs = self
            .ask(model, latents, level, &conditions, guidance)?
            .into_iter();
        let without = outputs.next();
        let outputs: Vec<Latents> = outputs.collect();
        if let (Some(without), Some(first)) = (&without, outputs.first()) {
            self.keep_pull(now, without, first)?;
        }
        Ok((without, outputs))
    }
}

impl Denoiser for GuidedDenoiser<'_> {
    fn denoise(&mut self, latents: &Latents, level: &Level) -> Result<Latents> {
        self.cancel.check()?;
        let done = self.step.get();
        if done.is_multiple_of(self.options.reuse.deep_every.max(1) as usize) {
            self.deep.clear();
        }
        let relief = self
            .refiner
            .filter(|refiner| level.timestep < refiner.cutoff);
        if self.easy.of_model(relief.is_some())
            && let Some(replays) = &self.replays
        {
            replays.clear();
        }
        let (model, prompts) = match relief {
            Some(refiner) => (refiner.model, refiner.prompts),
            None => (self.model, self.prompts),
        };
        if self.residency == Residency::OneAtATime {
            let first = relief.map(|_| self.model);
            let other = first.or(self.refiner.map(|refiner| refiner.model));
            if let Some(other) = other {
                other.set_aside(ModelPart::Network);
            }
            model.fetch(ModelPart::Network, self.cancel)?;
        }
        let facts = model.facts();
        let inside = self.options.guidance_interval.holds(done, self.steps);
        let guidance = Guidance {
            scale: if inside { self.guidance.scale } else { 1.0 },
            ..self.guidance
        };
        // Models distilled to take the scale as an input need no second half.
        let distilled = facts.guidance_channels.is_some().then_some(guidance.scale);
        let now = prompts.at(done);
        // Prompts joined by weights are told apart from no prompt, even where guidance is off.
        let mut both = distilled.is_none() && (guidance.is_on() || !now.is_single());
        // As the reference: a model that is shown a picture is guided by both or not at all.
        both &= !facts.edits || self.image_guidance >= 1.0;
        let (without, outputs) = self.outputs(model, latents, level, &now, (both, distilled))?;
        let weights = now.parts.iter().map(|(weight, _)| *weight);
        let output = match (&without, outputs.as_slice()) {
            (Some(without), parts) => {
                let parts: Vec<_> = weights.zip(parts).collect();
                let with_prompt = compose(&parts, without)?;
                if facts.edits && guidance.is_on() {
                    let blind = self.blind(model, now.negative, latents, level)?;
                    guidance.combine_seen(&with_prompt, without, &blind, self.image_guidance)?
                } else if guidance.is_on() {
                    guidance.combine(&with_prompt, without)?
                } else {
                    with_prompt
                }
            }
            (None, [one]) => one.clone(),
            (None, parts) => weighted_mean(weights.zip(parts).collect())?,
        };
        predicted_x0(facts.noise.prediction(), &output, latents, level)
    }
}

impl GuidedDenoiser<'_> {
    /// What a network that is shown a picture says without it and without the prompt.
    fn blind(
        &mut self,
        model: &dyn Model,
        negative: &Conditioning,
        latents: &Latents,
        level: &Level,
    ) -> Result<Latents> {
        if let Some(output) = self.easy.recall_blind(latents)? {
            return Ok(output);
        }
        let nothing = self.extra.map(Tensor::zeros_like).transpose()?;
        let input = NetworkInput {
            latents,
            extra: nothing.as_ref(),
            timestep: level.timestep,
            size_px: self.size_px,
            conditions: &[negative],
            guidance: None,
            deep: None,
            replays: None,
        };
        let outputs = model.predict(&input, self.cancel)?;
        let output = outputs
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Compute {
                op: "guidance".to_owned(),
                reason: "the network gave no output".to_owned(),
            })?;
        self.easy.keep_blind(latents, &output)?;
        Ok(output)
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
    pub(super) pace: &'a Pace,
    /// The step that was asked for but not yet told of.
    pub(super) under_way: Option<UnderWay>,
    /// Where the model's picture will lie, `[x, y, width, height]`.
    pub(super) bounds: [u32; 4],
    pub(super) began: Instant,
    /// Steps done, for the denoiser.
    pub(super) step: &'a Cell<usize>,
    pub(super) cancel: &'a CancelToken,
    pub(super) listener: &'a mut dyn Listener,
}

/// A step that the device may still be at.
pub(super) struct UnderWay {
    step: usize,
    steps: usize,
    preview: Option<Draft>,
    done: Moment,
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
        let is_last = info.step >= info.steps;
        // The last step's picture comes whole a moment later.
        let preview = match &mut self.previewer {
            Some(previewer) if !is_last => Some(previewer.begin(info.x0, self.cancel)?),
            _ => None,
        };
        let now = UnderWay {
            step: info.step,
            steps: info.steps,
            preview,
            done: self.pace.mark()?,
        };
        if let Some(before) = self.under_way.replace(now) {
            self.tell(before)?;
        }
        if (is_last || !self.pace.is_behind())
            && let Some(now) = self.under_way.take()
        {
            self.tell(now)?;
        }
        Ok(())
    }
}

impl RunObserver<'_> {
    /// Reports a step once the device has done it.
    fn tell(&mut self, step: UnderWay) -> Result<()> {
        step.done.wait()?;
        if let (Some(previewer), Some(draft)) = (&mut self.previewer, step.preview) {
            let (picture, decoded) = previewer.draw(draft)?;
            self.listener
                .on_preview(step.step, self.bounds, picture, decoded);
        }
        self.listener
            .on_step(step.step, step.steps, self.began.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use candle_core::Device;

    use super::super::Stage;
    use super::*;
    use crate::preview::{LinearMap, PreviewMeans};
    use crate::raster::Picture;

    /// What was heard so far: `1` for a step, `1: 128` for its preview's red.
    #[derive(Clone, Default)]
    struct Heard(Rc<RefCell<Vec<String>>>);

    impl Listener for Heard {
        fn on_stage(&mut self, _stage: Stage) {}

        fn on_step(&mut self, step: usize, steps: usize, _elapsed: Duration) {
            assert_eq!(steps, 3);
            self.0.borrow_mut().push(step.to_string());
        }

        fn on_preview(&mut self, step: usize, _bounds: [u32; 4], picture: Picture, decoded: bool) {
            assert!(!decoded);
            self.0
                .borrow_mut()
                .push(format!("{step}: {}", picture.rgba[0]));
        }
    }

    /// Three steps with x0 = 0, 0.5 and 1: what is heard when each has been asked for.
    fn heard(pace: &Pace, with_previews: bool) -> Vec<String> {
        let (step, cancel) = (Cell::new(0), CancelToken::default());
        let map = LinearMap::of_one_channel();
        let means = PreviewMeans {
            map: &map,
            decoder: None,
            decode_cost: None,
        };
        let heard = Heard::default();
        let mut listener = heard.clone();
        let mut observer = RunObserver {
            blend: None,
            previewer: with_previews.then(|| Previewer::new(means, [1, 1], pace)),
            pace,
            under_way: None,
            bounds: [0, 0, 1, 1],
            began: Instant::now(),
            step: &step,
            cancel: &cancel,
            listener: &mut listener,
        };
        let after = |done: usize| {
            let value = (done - 1) as f32 * 0.5;
            let x0 = Latents::from_values(vec![value], [1, 1, 1, 1], &Device::Cpu).unwrap();
            let info = StepInfo {
                step: done,
                steps: 3,
                level: &Level::CLEAN,
                x0: &x0,
            };
            observer.on_step(&info).unwrap();
            assert_eq!(step.get(), done, "the denoiser is told at once");
            std::mem::take(&mut *heard.0.borrow_mut()).join(", ")
        };
        (1..=3).map(after).collect()
    }

    /// x0 = 0 is a middle grey, 128; 0.5 is 191. The last step has no preview: the picture itself comes next.
    #[test]
    fn what_a_step_gives_is_told_at_once_or_one_step_later() {
        let at_once = Pace::of(&Device::Cpu);
        assert_eq!(heard(&at_once, true), ["1: 128, 1", "2: 191, 2", "3"]);
        assert_eq!(heard(&at_once, false), ["1", "2", "3"]);
        let behind = Pace::behind();
        assert_eq!(heard(&behind, true), ["", "1: 128, 1", "2: 191, 2, 3"]);
        assert_eq!(heard(&behind, false), ["", "1", "2, 3"]);
    }
}
