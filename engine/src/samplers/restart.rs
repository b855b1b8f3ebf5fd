//! `restart`: Heun's method that goes back up once or twice (Xu et al. 2023, “Restart Sampling for
//! Improving Generative Processes”, algorithm 2), with the steps that A1111's sampler of that name takes.

use super::heun::corrected;
use super::{SamplerSpec, Trajectory, Uses, Walk, draw, move_towards};
use crate::denoiser::{Denoiser, Level, Observer};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;
use crate::schedules::{LevelTable, ReferenceClass, Step, karras_sigmas, level_of_sigma};

pub(super) const SPEC: SamplerSpec = SamplerSpec {
    id: "restart",
    label: "Restart",
    hint: "From 20 steps on adds noise once more and mends what came out wrong; two calls a step.",
    class: ReferenceClass::KDiffusion,
    uses: Uses {
        fresh_noise: true,
        ..Uses::NOTHING
    },
    walk: Walk::Own(with_restarts),
    sample,
};

/// sigma / alpha at which a run turns back, and up to which it goes.
const TURNS_AT: f64 = 0.1;
const GOES_BACK_TO: f64 = 2.0;

fn sample(
    denoiser: &mut dyn Denoiser,
    mut latents: Latents,
    trajectory: &Trajectory,
    noise: &mut dyn NoiseSource,
    observer: &mut dyn Observer,
) -> Result<Latents> {
    for (index, step) in trajectory.steps().iter().enumerate() {
        let x0 = denoiser.denoise(&latents, &step.from)?;
        let guess = move_towards(&latents, &x0, step)?;
        let (moved, x0) = if step.to.sigma == 0.0 {
            (guess, x0)
        } else {
            let guess = observer.on_level(guess, &step.to)?;
            let x0_there = denoiser.denoise(&guess, &step.to)?;
            let moved = corrected(step, &latents, &x0, &guess, &x0_there)?;
            (moved, x0_there)
        };
        let next = trajectory.level_after(index);
        let moved = lifted(moved, &step.to, &next, trajectory.knobs.s_noise, noise)?;
        latents = trajectory.arrive(index, moved, &x0, observer)?;
    }
    Ok(latents)
}

/// Latents at level `from` with noise up to the next step's level `to`, where that is noisier.
fn lifted(
    latents: Latents,
    from: &Level,
    to: &Level,
    s_noise: f64,
    noise: &mut dyn NoiseSource,
) -> Result<Latents> {
    let (low, high) = (from.sigma_ve(), to.sigma_ve());
    if high <= low {
        return Ok(latents);
    }
    let fresh = draw(noise, &latents)?;
    let deviation = s_noise * (high * high - low * low).sqrt();
    Latents::combine(&[
        (to.alpha / from.alpha, &latents),
        (to.alpha * deviation, &fresh),
    ])
}

/// As many steps as were scheduled: fewer down a Karras schedule between the scheduled ends, and the
/// rest from [`GOES_BACK_TO`] down to [`TURNS_AT`] again, once from 20 steps on, twice from 36.
fn with_restarts(scheduled: Vec<Step>, levels: &LevelTable) -> Vec<Step> {
    let count = scheduled.len();
    let (again, times) = match count {
        0..20 => return scheduled,
        20..36 => (9, 1),
        _ => (count / 4, 2),
    };
    let top = scheduled[0].from.sigma_ve();
    let bottom = scheduled[count - 1].from.sigma_ve();
    let mut sigmas = karras_sigmas(count - again * times, bottom, top);
    sigmas.push(0.0);
    let nearest = |wanted: f64| {
        let distance = |at: &usize| (sigmas[*at] - wanted).abs();
        (0..sigmas.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let (turn, back) = match (nearest(TURNS_AT), nearest(GOES_BACK_TO)) {
        (Some(turn), Some(back)) if back < turn => (turn, back),
        // A run that never was above the turning point has nowhere to go back to.
        _ => return scheduled,
    };
    let detour = karras_sigmas(again + 1, sigmas[turn], sigmas[back]);
    let level = |sigma: f64| match sigma {
        0.0 => Level::CLEAN,
        sigma => level_of_sigma(sigma as f32, levels.at_sigma_ve(sigma).timestep),
    };
    let walk = |sigmas: &[f64]| -> Vec<Step> {
        let pairs = sigmas.windows(2);
        pairs
            .map(|pair| Step {
                from: level(pair[0]),
                to: level(pair[1]),
            })
            .collect()
    };
    let mut steps = walk(&sigmas[..=turn]);
    for _ in 0..times {
        steps.extend(walk(&detour));
    }
    steps.extend(walk(&sigmas[turn..]));
    steps
}
