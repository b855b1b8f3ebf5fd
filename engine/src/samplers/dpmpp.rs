//! What DPM-Solver++'s multistep samplers share: the multistep memory and the choice of order.

use super::{Trajectory, lambda};
use crate::latent::Latents;
use crate::schedules::Step;

/// One step in terms of lambda = ln(alpha / sigma).
pub(super) struct Stride {
    /// `lambda' - lambda`, infinite to the clean end.
    pub(super) h: f64,
    /// `exp(-h)`, free of infinities.
    pub(super) decay: f64,
}

impl Stride {
    pub(super) fn of(step: &Step) -> Self {
        Self {
            h: lambda(&step.to) - lambda(&step.from),
            decay: (step.from.alpha * step.to.sigma) / (step.to.alpha * step.from.sigma),
        }
    }
}

/// The step before, for second-order updates.
#[derive(Default)]
pub(super) struct Memory(Option<(f64, Latents)>);

impl Memory {
    /// Remembers a step's x0.
    pub(super) fn keep(&mut self, step: &Step, x0: Latents) {
        self.0 = Some((lambda(&step.from), x0));
    }

    /// The step before's x0 and `1 / r0 = h / h0`, where step `index` is of second order.
    pub(super) fn second_order(
        &self,
        trajectory: &Trajectory,
        index: usize,
        stride: &Stride,
    ) -> Option<(&Latents, f64)> {
        let (before, x0) = self.0.as_ref()?;
        let step = trajectory.steps().get(index)?;
        let options = &trajectory.dpm;
        let first_order_at_end = options.euler_at_final
            || (options.lower_order_final && trajectory.planned < 15)
            || step.to.sigma == 0.0;
        if options.order < 2 || (trajectory.is_last(index) && first_order_at_end) {
            return None;
        }
        let h_before = lambda(&step.from) - before;
        // A step that stays on its level gives no slope, and needs none.
        (h_before != 0.0 && stride.h != 0.0).then(|| (x0, stride.h / h_before))
    }
}
