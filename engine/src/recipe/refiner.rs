//! The refiner: a second model that takes over once the picture stands and only details are left.

use serde::{Deserialize, Serialize};

use super::ModelRef;

/// A model that takes over from the recipe's own, as A1111's “Refiner”.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refiner {
    /// Which model. Its latents must be of the same kind.
    pub model: ModelRef,
    /// Share of the noise levels that the first model keeps, 0 to 1, counted over the levels it was
    /// trained with: from 1000 of them, 0.8 leaves the last 200.
    pub switch_at: f64,
    /// As [`super::NetworkOptions::parts_from`], for this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_from: Option<ModelRef>,
}

impl Refiner {
    /// Where other programs switch when nothing is said.
    pub const USUAL_SWITCH: f64 = 0.8;

    /// The timestep below which the refiner works, as diffusers rounds it.
    pub fn cutoff(&self, train_steps: usize) -> f64 {
        let all = train_steps as f64;
        (all - self.switch_at * all).round_ties_even()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_counted_over_the_trained_levels() {
        let cutoff = |switch_at| {
            let model = ModelRef::default();
            Refiner {
                model,
                switch_at,
                parts_from: None,
            }
            .cutoff(1000)
        };
        assert_eq!([0.0, 0.8, 1.0].map(cutoff), [1000.0, 200.0, 0.0]);
    }
}
