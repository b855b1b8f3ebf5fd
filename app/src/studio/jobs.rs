//! Jobs that wait or run, and how far they are.

use pentimento_engine::event::{JobId, Stage};
use pentimento_engine::recipe::{Outcome, Recipe};

/// A job that has not ended.
#[derive(Clone, Debug)]
pub struct Job {
    /// The engine's number.
    pub id: JobId,
    /// The first picture's recipe.
    pub recipe: Recipe,
    /// Pictures it makes.
    pub count: u32,
    /// Pictures that are finished.
    pub done: u32,
    /// What it is doing; `None` while it waits.
    pub running: Option<Running>,
    /// Whether it was asked to stop.
    pub cancelling: bool,
}

/// What a running job is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    /// The stage, once reported.
    pub stage: Option<Stage>,
    /// Picture of the batch, from 0.
    pub picture: u32,
    /// Steps done of this picture.
    pub step: u32,
    /// Steps of this picture; 0 until the first is done.
    pub steps: u32,
    /// Estimated seconds until the whole job ends, once known.
    pub left_secs: Option<f64>,
}

impl Job {
    /// Share of the job that is done, 0 to 1, by steps.
    pub fn share_done(&self) -> f32 {
        let of_picture = match self.running {
            Some(running) if running.steps > 0 && running.picture >= self.done => {
                running.step as f32 / running.steps as f32
            }
            _ => 0.0,
        };
        ((self.done as f32 + of_picture) / self.count.max(1) as f32).clamp(0.0, 1.0)
    }
}

/// All jobs that have not ended, in the order they run.
#[derive(Debug, Default)]
pub struct Jobs {
    /// The running job first, then those that wait.
    pub active: Vec<Job>,
    /// What was observed while the latest picture was made: device and kernels.
    pub last_outcome: Option<Outcome>,
}

impl Jobs {
    /// Whether anything runs or waits.
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty()
    }

    /// The job that runs.
    pub fn running(&self) -> Option<&Job> {
        self.active.iter().find(|job| job.running.is_some())
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.active
            .iter()
            .filter(|job| job.running.is_none())
            .count()
    }

    /// A job by number.
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.active.iter().find(|job| job.id == id)
    }

    /// A job was queued.
    pub fn queued(&mut self, id: JobId, recipe: Recipe, count: u32) {
        self.active.push(Job {
            id,
            recipe,
            count,
            done: 0,
            running: None,
            cancelling: false,
        });
    }

    /// A job left the queue.
    pub fn started(&mut self, id: JobId, recipe: Recipe, count: u32) {
        if self.get(id).is_none() {
            self.queued(id, recipe.clone(), count);
        }
        self.change(id, |job| {
            job.recipe = recipe;
            job.count = count;
            job.running = Some(Running::default());
        });
    }

    /// Changes a job, if it is still there.
    pub fn change(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.active.iter_mut().find(|job| job.id == id) {
            change(job);
        }
    }

    /// Changes what a running job is doing.
    pub fn progress(&mut self, id: JobId, change: impl FnOnce(&mut Running)) {
        self.change(id, |job| {
            change(job.running.get_or_insert_with(Running::default));
        });
    }

    /// A job ended.
    pub fn ended(&mut self, id: JobId) {
        self.active.retain(|job| job.id != id);
    }
}
