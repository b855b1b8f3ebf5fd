//! How long the prompts are for the chosen model: counted by the engine, a moment after typing.

use pentimento_engine::event::TokenCount;

/// Seconds without typing before the engine is asked.
pub const SETTLE_SECS: f64 = 0.15;

/// What was asked, and what came back.
#[derive(Debug, Default)]
pub struct Tokens {
    /// Count of the prompt, once known.
    pub prompt: Option<TokenCount>,
    /// Count of the negative prompt, once known.
    pub negative: Option<TokenCount>,
    asked: Asked,
    changed_secs: Option<f64>,
    query: u64,
}

/// Model and texts of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    model: String,
    texts: [String; 2],
}

impl Tokens {
    /// Call each frame: returns the query to send once the texts have settled, and otherwise the
    /// seconds to wait.
    pub fn tick(
        &mut self,
        now_secs: f64,
        model: &str,
        prompt: &str,
        negative: &str,
    ) -> Result<Option<(u64, Vec<String>)>, f64> {
        let same = self.asked.model == model
            && self.asked.texts[0] == prompt
            && self.asked.texts[1] == negative;
        if same || model.is_empty() {
            self.changed_secs = None;
            return Ok(None);
        }
        let left = *self.changed_secs.get_or_insert(now_secs) + SETTLE_SECS - now_secs;
        if left > 0.0 {
            return Err(left);
        }
        self.changed_secs = None;
        self.query += 1;
        self.asked = Asked {
            model: model.to_owned(),
            texts: [prompt.to_owned(), negative.to_owned()],
        };
        Ok(Some((self.query, self.asked.texts.to_vec())))
    }

    /// An answer came; one to an earlier query is dropped.
    pub fn counted(&mut self, query: u64, counts: &[TokenCount]) {
        if query == self.query {
            self.prompt = counts.first().copied();
            self.negative = counts.get(1).copied();
        }
    }

    /// The catalogue changed: count again.
    pub fn forget(&mut self) {
        self.asked = Asked::default();
    }
}
