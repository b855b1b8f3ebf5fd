//! Karras's churn: before a step, noise that lifts the latents to a level above (Karras et al. 2022,
//! algorithm 2, lines 4 to 6), as k-diffusion.

use super::{Step, Trajectory, draw};
use crate::error::Result;
use crate::latent::Latents;
use crate::noise::NoiseSource;

/// The latents and the step as they are after churn: its beginning is lifted, its end stays. Draws
/// nothing where churn is off, and for each step where it is on, as the reference does.
pub(super) fn churned(
    trajectory: &Trajectory,
    step: &Step,
    latents: Latents,
    noise: &mut dyn NoiseSource,
) -> Result<(Latents, Step)> {
    let knobs = &trajectory.knobs;
    if knobs.s_churn == 0.0 {
        return Ok((latents, *step));
    }
    let fresh = draw(noise, &latents)?;
    let sigma = step.from.sigma_ve();
    let inside = knobs.s_tmin <= sigma && knobs.s_tmax.is_none_or(|most| sigma <= most);
    if !inside {
        return Ok((latents, *step));
    }
    let lift = (knobs.s_churn / trajectory.len() as f64).min(2.0_f64.sqrt() - 1.0);
    let lifted = sigma * (1.0 + lift);
    let from = trajectory.levels.at_sigma_ve(lifted);
    let deviation = knobs.s_noise * (lifted * lifted - sigma * sigma).sqrt();
    let latents = Latents::combine(&[
        (from.alpha / step.from.alpha, &latents),
        (from.alpha * deviation, &fresh),
    ])?;
    Ok((latents, Step { from, to: step.to }))
}
