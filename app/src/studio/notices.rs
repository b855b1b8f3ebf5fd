//! What the studio has to tell: toasts with a headline, a hint, details and perhaps a way out.

use pentimento_engine::error::EngineError;

use crate::command::Command;
use crate::text::{t, t_args};

/// How serious a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something was done.
    Info,
    /// Something the user should know.
    Warning,
    /// Something failed.
    Error,
}

/// One notice.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Number, unique in this run.
    pub id: u64,
    /// How serious it is.
    pub level: Level,
    /// What happened, in a few words.
    pub headline: String,
    /// What to do next; may be empty.
    pub hint: String,
    /// The technical words; may be empty.
    pub details: String,
    /// A button: its label and what it sends.
    pub action: Option<(&'static str, Command)>,
    /// Seconds it stays; `None`: until dismissed.
    pub stays_secs: Option<f64>,
    /// When it was first shown, by the interface's clock; set by [`Notices::tick`].
    pub since_secs: Option<f64>,
}

/// All notices on show, oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    /// On show.
    pub shown: Vec<Notice>,
    next_id: u64,
}

/// Most notices on show at once; the oldest leaves.
const LIMIT: usize = 5;
/// How long a plain notice stays, in seconds.
const STAY_SECS: f64 = 4.0;
/// How long a notice with a button stays, in seconds.
const STAY_WITH_ACTION_SECS: f64 = 8.0;

impl Notices {
    /// Something was done.
    pub fn info(&mut self, headline: impl Into<String>) {
        self.push(Level::Info, headline.into(), String::new(), String::new());
    }

    /// Something was done, and can be taken back.
    pub fn with_action(
        &mut self,
        headline: impl Into<String>,
        label: &'static str,
        command: Command,
    ) {
        let notice = self.push(Level::Info, headline.into(), String::new(), String::new());
        notice.action = Some((label, command));
        notice.stays_secs = Some(STAY_WITH_ACTION_SECS);
    }

    /// Something the user should know.
    pub fn warning(&mut self, headline: impl Into<String>, hint: impl Into<String>) {
        let notice = self.push(Level::Warning, headline.into(), hint.into(), String::new());
        notice.stays_secs = Some(STAY_WITH_ACTION_SECS);
    }

    /// Something failed outside the engine.
    pub fn failure(
        &mut self,
        headline: impl Into<String>,
        hint: impl Into<String>,
        details: impl Into<String>,
    ) {
        let notice = self.push(Level::Error, headline.into(), hint.into(), details.into());
        notice.stays_secs = None;
    }

    /// An engine error.
    pub fn error(&mut self, error: &EngineError) {
        let wording = Wording::of(error);
        self.failure(wording.headline, wording.hint, wording.details);
    }

    /// Takes one away.
    pub fn dismiss(&mut self, id: u64) {
        self.shown.retain(|notice| notice.id != id);
    }

    /// Lets old ones go. Returns the seconds until the next one leaves.
    pub fn tick(&mut self, now_secs: f64) -> Option<f64> {
        let mut next: Option<f64> = None;
        self.shown.retain_mut(|notice| {
            let since = *notice.since_secs.get_or_insert(now_secs);
            let Some(stays) = notice.stays_secs else {
                return true;
            };
            let left = since + stays - now_secs;
            if left > 0.0 {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
            left > 0.0
        });
        next
    }

    fn push(
        &mut self,
        level: Level,
        headline: String,
        hint: String,
        details: String,
    ) -> &mut Notice {
        // The same words twice are one notice, told anew.
        self.shown
            .retain(|notice| notice.headline != headline || notice.details != details);
        if self.shown.len() >= LIMIT {
            self.shown.remove(0);
        }
        self.next_id += 1;
        self.shown.push(Notice {
            id: self.next_id,
            level,
            headline,
            hint,
            details,
            action: None,
            stays_secs: Some(STAY_SECS),
            since_secs: None,
        });
        let at = self.shown.len() - 1;
        &mut self.shown[at]
    }
}

/// An engine error in words: the only place that words the codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// What happened.
    pub headline: String,
    /// What to do next.
    pub hint: String,
    /// The facts: file, place, reason.
    pub details: String,
}

impl Wording {
    /// Words an error.
    pub fn of(error: &EngineError) -> Self {
        let (headline, hint, details) = match error {
            EngineError::InvalidRequest { field, why } => (
                t_args("error-invalid", [("field", field_name(field).into())]),
                sentence(why),
                String::new(),
            ),
            EngineError::ModelNotFound { wanted, known } => (
                t_args("error-model-not-found", [("wanted", wanted.into())]),
                t("error-model-not-found-hint").to_owned(),
                known.join(", "),
            ),
            EngineError::UnsupportedModel {
                path,
                found,
                remedy,
            } => (
                t("error-unsupported-model").to_owned(),
                sentence(remedy),
                format!("{found}\n{}", path.display()),
            ),
            EngineError::BadFile {
                path,
                problem,
                remedy,
            } => (
                t("error-bad-file").to_owned(),
                sentence(remedy),
                format!("{problem}\n{}", path.display()),
            ),
            EngineError::Io {
                path,
                action,
                reason,
                remedy,
            } => (
                t_args("error-io", [("action", action.into())]),
                sentence(remedy),
                format!("{reason}\n{}", path.display()),
            ),
            EngineError::Cancelled => (
                t("error-cancelled").to_owned(),
                String::new(),
                String::new(),
            ),
            EngineError::QueueFull { limit } => (
                t("error-queue-full").to_owned(),
                t_args("error-queue-full-hint", [("limit", (*limit).into())]),
                String::new(),
            ),
            EngineError::Compute { op, reason } => (
                t("error-compute").to_owned(),
                t("error-compute-hint").to_owned(),
                format!("{op}: {reason}"),
            ),
            EngineError::Internal { stage, report } => (
                t("error-internal").to_owned(),
                t("error-internal-hint").to_owned(),
                format!("{stage}: {report}"),
            ),
            // A code that a newer engine added: its own words are better than none.
            other => (
                t("error-unknown").to_owned(),
                String::new(),
                other.to_string(),
            ),
        };
        Self {
            headline,
            hint,
            details,
        }
    }
}

/// The control's name for a recipe field.
fn field_name(field: &str) -> String {
    let key = match field {
        "prompt" => "prompt",
        "negative_prompt" => "negative-prompt",
        "model" => "model",
        "width_px" | "height_px" | "size" => "size",
        "steps" => "steps",
        "guidance" => "guidance",
        "guidance_rescale" => "guidance-rescale",
        "image_guidance" => "image-guidance",
        "sampler" => "sampler",
        "schedule" => "schedule",
        "knobs.eta" => "eta",
        "knobs.s_churn" => "s-churn",
        "knobs.s_tmin" => "s-tmin",
        "knobs.s_tmax" => "s-tmax",
        "knobs.s_noise" => "s-noise",
        "knobs.rho" => "rho",
        "knobs.sigmas" => "sigmas",
        "network.clip_skip" => "clip-skip",
        "network.vae" => "vae",
        "network.parts_from" => "parts",
        "network.decoder" => "decoder",
        "network.tiles" => "decode-tiles",
        "network.guidance_interval.from" => "guide-from",
        "network.guidance_interval.until" => "guide-until",
        "network.reuse.deep_every" => "deep-every",
        "network.reuse.deep_branch" => "deep-branch",
        "network.reuse.negative_every" => "negative-every",
        "network.easy_cache.threshold" => "easy-cache",
        "network.easy_cache.from" => "easy-cache-from",
        "network.easy_cache.until" => "easy-cache-until",
        "seed" => "seed",
        "count" => "count",
        "mask" | "start.inpaint.mask" => "mask",
        "start" => "start",
        "strength" | "start.strength" => "strength",
        "precision" => "precision",
        "noise_source" => "noise",
        "refiner" | "refiner.model" => "refiner",
        "refiner.switch_at" => "refiner-switch",
        _ => return field.to_owned(),
    };
    t(key).to_owned()
}

/// First letter upper case, a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let mut sentence: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => return String::new(),
    };
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}
