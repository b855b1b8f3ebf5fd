//! What pictures took, for forecasts.

use std::time::Duration;

use super::Worker;
use crate::forecast::{self, Machine, Observed};
use crate::pipeline::Rendered;
use crate::recipe::{Precision, Recipe};

impl Worker {
    /// Remembers what a picture took, for forecasts.
    pub(super) fn learn(
        &self,
        recipe: &Recipe,
        rendered: &Rendered,
        elapsed: Duration,
        load_secs: f64,
    ) {
        let Some(loaded) = &self.loaded else { return };
        let sampling_secs = rendered.sampling_time.as_secs_f64();
        let [reused, calls] = rendered.reused_calls.map(f64::from);
        let made = (calls - reused).max(1.0) / calls.max(1.0);
        let units = forecast::work_of_all_calls(recipe, loaded.found.info.edits) * made;
        let seen = Observed {
            secs_per_unit: sampling_secs / units,
            rest_secs: (elapsed.as_secs_f64() - sampling_secs).max(0.0),
            load_secs,
            peak_bytes: forecast::peak_bytes(),
        };
        let machine = self.machine();
        let mut history = self.shared.history();
        let kind = (&machine, self.residency);
        history.learn(recipe, &loaded.found.info, kind, seen);
    }

    /// What it computes with, for recipes whose precision is resolved.
    pub(super) fn machine(&self) -> Machine {
        Machine {
            device: format!("{} {}", self.backend.name(), self.backend.level()),
            threads: self.tuning.threads,
            automatic: Precision::Auto,
            memory_bytes: self.tuning.memory_bytes,
        }
    }
}
