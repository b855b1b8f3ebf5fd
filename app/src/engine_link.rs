//! The wire to the engine: events and previews in, requests out.

use pentimento_engine::client::EngineClient;

use crate::studio::{Effect, Studio};

/// Events taken in one frame, so that a flood cannot hold the interface.
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

    /// Brings everything that waits into the studio. Returns the effects that followed.
    pub fn pump(&self, studio: &mut Studio) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..EVENTS_PER_FRAME {
            let Some(event) = self.client.poll_event() else {
                break;
            };
            effects.extend(studio.on_event(event));
        }
        if let Some(preview) = self.client.take_preview() {
            studio.preview = Some(preview);
        }
        effects
    }

    /// Carries out an effect that concerns the engine.
    pub fn run(&self, effect: Effect) {
        match effect {
            Effect::Submit(request) => {
                let _refused = self.client.submit(*request);
            }
            Effect::CancelJob(job) => self.client.cancel(job),
            // Carried out by the file threads.
            Effect::Io(_) => {}
        }
    }
}
