//! A run's plan: which steps a sampler takes on a schedule, and how its latents start and end.

use super::{SamplerSpec, Walk};
use crate::denoiser::{Level, Observer, StepInfo};
use crate::error::{EngineError, Result};
use crate::latent::Latents;
use crate::recipe::Knobs;
use crate::schedules::{
    DdpmNoise, DpmOptions, LevelTable, NoiseTable, ReferenceClass, ScheduleSpec, Spacing, Step,
    UniPcOptions, typed_steps,
};

/// The plan of one run. Make it with [`trajectory`], start the latents by it, hand it to
/// `SamplerSpec::sample`.
#[derive(Clone, Debug)]
pub struct Trajectory {
    steps: Vec<Step>,
    /// Steps of the whole schedule, also those that strength left out.
    pub(super) planned: usize,
    noise_scale: f64,
    output_scale: f64,
    pub(super) clip: Option<f64>,
    pub(super) dpm: DpmOptions,
    pub(super) uni_pc: UniPcOptions,
    pub(super) ddpm_noise: DdpmNoise,
    pub(super) timestep_scaling: f64,
    pub(super) knobs: Knobs,
    /// The recipe's, or the sampler's own.
    pub(super) eta: f64,
    /// For levels between the steps.
    pub(super) levels: LevelTable,
    sigma_range: (f64, f64),
}

/// Plans a run of `steps` steps, of which strength keeps the last `int(steps * strength)`. Levels typed
/// by hand (`knobs.sigmas`) take the schedule's place.
///
/// # Errors
/// `InvalidRequest` on `steps` (0, or more than sampler and table allow; the message says how many
/// are accepted) or on `strength` (outside 0 to 1, or too small for a single step), and
/// `UnsupportedModel` when the model's file asks this sampler for something it cannot do.
pub fn trajectory(
    sampler: &SamplerSpec,
    schedule: &ScheduleSpec,
    table: &NoiseTable,
    steps: usize,
    strength: f64,
    knobs: &Knobs,
) -> Result<Trajectory> {
    let spare = usize::from(matches!(sampler.walk, Walk::WithoutPenultimate));
    let most = table.train_steps() - spare;
    if !(1..=most).contains(&steps) {
        return Err(EngineError::invalid(
            "steps",
            format!("{steps} is out of range: this model takes 1 to {most}"),
        ));
    }
    if !(strength > 0.0 && strength <= 1.0) {
        return Err(EngineError::invalid(
            "strength",
            format!("{strength} is out of range: above 0, up to 1"),
        ));
    }
    let kept = (steps as f64 * strength) as usize;
    if kept == 0 {
        let least = 1.0 / steps as f64;
        return Err(EngineError::invalid(
            "strength",
            format!(
                "{strength} of {steps} steps is less than one step: at least {least:.3}, or more steps"
            ),
        ));
    }
    let mut seen = table.seen_by(sampler.class);
    seen.rho = knobs.rho;
    let levels = seen.level_table();
    let all = if knobs.sigmas.is_empty() {
        without_penultimate((schedule.steps)(&seen, steps + spare)?, spare)
    } else {
        typed_steps(&seen, &knobs.sigmas)
    };
    let output_scale = match all.last() {
        Some(step) if sampler.class.variance_exploding() => 1.0 / step.to.alpha,
        _ => 1.0,
    };
    let sigmas = all.iter().map(|step| step.from.sigma_ve());
    let sigma_range = sigmas.fold((f64::INFINITY, 0.0_f64), |(least, most), sigma| {
        (least.min(sigma), most.max(sigma))
    });
    let planned = all.len();
    let noise_scale = noise_scale(sampler.class, seen.spacing(), &all);
    // Schedules that join equal levels give fewer steps than asked: the last ones are kept.
    let skipped = (steps - kept).min(planned.saturating_sub(kept));
    let mut run: Vec<Step> = all.into_iter().skip(skipped).collect();
    if let Walk::Own(steps) = sampler.walk {
        run = steps(run, &levels);
    }
    Ok(Trajectory {
        planned,
        noise_scale,
        output_scale,
        clip: seen.clip,
        dpm: table.dpm_options_for(sampler.class)?,
        uni_pc: table.uni_pc_options(),
        ddpm_noise: table.ddpm_noise_for(sampler.class)?,
        timestep_scaling: table.timestep_scaling(),
        eta: knobs.eta.or(sampler.uses.eta).unwrap_or_default(),
        knobs: knobs.used_by(&sampler.uses),
        levels,
        sigma_range,
        steps: run,
    })
}

/// Steps on a schedule of `spare` steps more, without the last level but the end.
fn without_penultimate(mut steps: Vec<Step>, spare: usize) -> Vec<Step> {
    for _ in 0..spare {
        if let Some(dropped) = steps.pop()
            && let Some(last) = steps.last_mut()
        {
            last.to = dropped.to;
        }
    }
    steps
}

/// diffusers' `init_noise_sigma`, brought from its scale to ours: for the classes that work on
/// `x0 + sigma * epsilon` the largest sigma, or with leading spacing sqrt(sigma² + 1).
fn noise_scale(class: ReferenceClass, spacing: Spacing, steps: &[Step]) -> f64 {
    let Some(first) = steps.first() else {
        return 1.0;
    };
    if !class.variance_exploding() {
        return 1.0;
    }
    let largest = steps
        .iter()
        .map(|step| step.from.sigma_ve())
        .fold(0.0, f64::max);
    match spacing {
        // k-diffusion's samplers start from the largest sigma, whatever the spacing.
        Spacing::Leading if class != ReferenceClass::KDiffusion => {
            (largest * largest + 1.0).sqrt() * first.from.alpha
        }
        _ => largest * first.from.alpha,
    }
}

impl Trajectory {
    /// The steps that are run, noisiest first; at least one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Number of steps that are run.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether no step is run: never, for a trajectory made by [`trajectory`].
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The level the run starts at. Image-to-image starts from [`Level::noised`] latents here.
    pub fn start(&self) -> Level {
        self.steps.first().map_or(Level::CLEAN, |step| step.from)
    }

    /// Text to image starts from standard-normal noise times this: 1, or a little less where the
    /// reference starts so.
    pub fn noise_scale(&self) -> f64 {
        self.noise_scale
    }

    /// The smallest and the largest sigma / alpha that the whole schedule asks at, also before strength:
    /// the range of a Brownian path. The largest is infinite only for classes that use none.
    pub fn sigma_range(&self) -> (f64, f64) {
        self.sigma_range
    }

    /// The level after step `index`: that of the next network call, clean after the last.
    pub(super) fn level_after(&self, index: usize) -> Level {
        self.steps
            .get(index + 1)
            .map_or(Level::CLEAN, |step| step.from)
    }

    /// Ends step `index`: the observer sees (and may amend) the new latents, then hears of the step.
    pub(super) fn arrive(
        &self,
        index: usize,
        latents: Latents,
        x0: &Latents,
        observer: &mut dyn Observer,
    ) -> Result<Latents> {
        let is_last = index + 1 == self.steps.len();
        let latents = if is_last && self.output_scale != 1.0 {
            latents.scaled(self.output_scale)?
        } else {
            latents
        };
        let level = self.level_after(index);
        let latents = observer.on_level(latents, &level)?;
        observer.on_step(&StepInfo {
            step: index + 1,
            steps: self.steps.len(),
            level: &level,
            x0,
        })?;
        Ok(latents)
    }

    /// Whether step `index` is the last of the schedule.
    pub(super) fn is_last(&self, index: usize) -> bool {
        index + 1 == self.steps.len()
    }
}
