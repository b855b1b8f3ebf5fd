//! The wire to the engine: events and previews in, requests out.

use std::path::PathBuf;

use pentimento_engine::client::EngineClient;
use pentimento_engine::event::Event;

use crate::studio::{Effect, Studio};

/// Events taken in one frame, so that a flood cannot hold the interface; the rest come in the next.
const EVENTS_PER_FRAME: usize = 256;

/// Holds the engine.
pub struct EngineLink {
    client: Box<dyn EngineClient>,
}

impl EngineLink {
    /// Takes hold of an engine.
    pub fn new(client: Box<dyn EngineClient>) -> Self {
        Self { client }
    }

    /// What the engine knows at the start. Returns the effects that followed.
    pub fn greet(&self, studio: &mut Studio) -> Vec<Effect> {
        studio.unfinished = self.client.unfinished_jobs();
        studio.on_catalog(self.client.catalog())
    }

    /// Brings everything that waits into the studio. Returns the effects that followed, and whether
    /// more events wait.
    pub fn pump(&self, studio: &mut Studio) -> (Vec<Effect>, bool) {
        let mut effects = Vec::new();
        for _ in 0..EVENTS_PER_FRAME {
            let Some(event) = self.client.poll_event() else {
                self.pump_preview(studio);
                return (effects, false);
            };
            if event == Event::CatalogChanged {
                effects.extend(studio.on_catalog(self.client.catalog()));
            }
            effects.extend(studio.on_event(event));
        }
        (effects, true)
    }

    fn pump_preview(&self, studio: &mut Studio) {
        if let Some(preview) = self.client.take_preview() {
            studio.on_preview(preview);
        }
    }

    /// Saves to another gallery from now on.
    pub fn use_library(&self, folder: PathBuf) {
        self.client.set_library_dir(folder);
    }

    /// Carries out an effect that concerns the engine; hands any other back.
    pub fn run(&self, effect: Effect, studio: &mut Studio) -> Option<Effect> {
        match effect {
            Effect::Submit(request) => {
                let answer = self.client.submit((*request).clone());
                studio.on_submitted(*request, answer);
            }
            Effect::CancelJob(job) => self.client.cancel(job),
            Effect::InspectPrompts { query, prompts } => {
                self.client.inspect_prompts(query, *prompts);
            }
            Effect::Forecast(recipe, count) => {
                studio.foretold.known = self.client.forecast(&recipe, count);
            }
            Effect::WarmUp(model) => self.client.warm_up(&model),
            Effect::SetModelFolders(folders) => self.client.set_model_folders(folders),
            Effect::SetPreviews(mode) => self.client.set_previews(mode),
            Effect::SetThreads(threads) => self.client.set_threads(threads),
            Effect::ForgetUnfinished(key) => self.client.forget_unfinished(&key),
            other => return Some(other),
        }
        None
    }
}
