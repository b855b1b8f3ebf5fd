//! A run's progress as events and previews.

use std::time::Duration;

use crate::engine::{Shared, StageProbe};
use crate::event::{Event, JobId, Preview, Stage};
use crate::pipeline::Listener;
use crate::raster::Picture;

/// Turns a run's calls into events.
pub(super) struct JobListener<'a> {
    pub(super) shared: &'a Shared,
    pub(super) probe: &'a StageProbe,
    pub(super) stage: &'a mut Option<Stage>,
    pub(super) job: JobId,
    pub(super) picture: u32,
    /// Pictures of the batch after this one.
    pub(super) left: u32,
    pub(super) decode_cost: Duration,
}

impl Listener for JobListener<'_> {
    fn on_stage(&mut self, stage: Stage) {
        *self.stage = Some(stage);
        (self.probe)(self.job, stage);
        self.shared.emit(Event::StageChanged {
            job: self.job,
            picture: self.picture,
            stage,
        });
    }

    fn on_step(&mut self, step: usize, steps: usize, elapsed: Duration) {
        let per_step = elapsed.as_secs_f64() / step as f64;
        let whole = per_step * steps as f64 + self.decode_cost.as_secs_f64();
        // Rounding may leave the last step a hair below zero.
        let left_secs = (whole - elapsed.as_secs_f64()).max(0.0) + whole * f64::from(self.left);
        self.shared.emit(Event::StepDone {
            job: self.job,
            picture: self.picture,
            step: step as u32,
            steps: steps as u32,
            elapsed_secs: elapsed.as_secs_f64(),
            left_secs,
        });
    }

    fn on_preview(&mut self, step: usize, bounds_px: [u32; 4], image: Picture, decoded: bool) {
        let (job, picture, step) = (self.job, self.picture, step as u32);
        self.shared.previews.put(Preview {
            job,
            picture,
            step,
            bounds_px,
            image,
            decoded,
        });
        self.shared.wake();
    }
}
