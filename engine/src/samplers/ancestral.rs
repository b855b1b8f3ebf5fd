//! What ancestral samplers share: going down too far and coming back up with fresh noise.

use super::{Step, Trajectory};
use crate::denoiser::Level;
use crate::error::Result;
use crate::latent::Latents;

/// Down from `from` to the first number, then up by noise of the second as deviation, all in
/// sigma / alpha: `down² + up² = to²`. `eta` 0 adds no noise, 1 all that the exact SDE would.
pub(super) fn down_and_up(from: f64, to: f64, eta: f64) -> (f64, f64) {
    let share_kept = (to / from).powi(2);
    let share_fresh = (1.0 - share_kept).max(0.0);
    let up = eta * to * share_fresh.sqrt();
    let down = to * (share_kept + (1.0 - eta * eta) * share_fresh).sqrt();
    (down, up)
}

/// A step's end: with x = latents / alpha and s = sigma / alpha, `(down / s) x + (1 - down / s) x0`
/// plus noise of deviation `up`, brought to level `to`.
pub(super) fn land(
    [from, to]: [&Level; 2],
    [down, up]: [f64; 2],
    latents: &Latents,
    x0: &Latents,
    fresh: &Latents,
) -> Result<Latents> {
    Latents::combine(&[
        (to.alpha * down / from.sigma, latents),
        (to.alpha * (1.0 - down / from.sigma_ve()), x0),
        (to.alpha * up, fresh),
    ])
}

/// The level half way, in ln(sigma / alpha), between a step's beginning and `down`.
pub(super) fn half_way(trajectory: &Trajectory, step: &Step, down: f64) -> Level {
    let middle = (step.from.sigma_ve() * down).sqrt();
    trajectory.levels.at_sigma_ve(middle)
}
