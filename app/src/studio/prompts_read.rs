//! How the prompts are read for the chosen model: asked of the engine, a moment after typing.

use pentimento_engine::prompt::inspect::{Inspection, PromptQuery};

/// Seconds without typing before the engine is asked.
pub const SETTLE_SECS: f64 = 0.15;

/// What was asked, and what came back.
#[derive(Debug, Default)]
pub struct PromptsRead {
    /// The prompt, once it was read.
    pub prompt: Option<Inspection>,
    /// The negative prompt, once it was read.
    pub negative: Option<Inspection>,
    asked: Option<PromptQuery>,
    changed_secs: Option<f64>,
    query: u64,
}

impl PromptsRead {
    /// Call each frame: returns the query to send once the texts have settled, and otherwise the
    /// seconds to wait. `wanted`: `None` while no model is known.
    pub fn tick(
        &mut self,
        now_secs: f64,
        wanted: Option<PromptQuery>,
    ) -> Result<Option<(u64, Box<PromptQuery>)>, f64> {
        let Some(wanted) = wanted.filter(|wanted| self.asked.as_ref() != Some(wanted)) else {
            self.changed_secs = None;
            return Ok(None);
        };
        let left = *self.changed_secs.get_or_insert(now_secs) + SETTLE_SECS - now_secs;
        if left > 0.0 {
            return Err(left);
        }
        self.changed_secs = None;
        self.query += 1;
        self.asked = Some(wanted.clone());
        Ok(Some((self.query, Box::new(wanted))))
    }

    /// An answer came; one to an earlier query is dropped.
    pub fn inspected(&mut self, query: u64, inspections: [Inspection; 2]) {
        if query == self.query {
            let [prompt, negative] = inspections;
            self.prompt = Some(prompt);
            self.negative = Some(negative);
        }
    }

    /// The catalogue changed: read again.
    pub fn forget(&mut self) {
        self.asked = None;
    }
}
