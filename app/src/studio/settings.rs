//! What the user set for the program itself; kept between starts.

use std::path::PathBuf;

use pentimento_engine::preview::PreviewMode;
use serde::{Deserialize, Deserializer, Serialize};

/// The window's colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// Dark surfaces.
    #[default]
    Dark,
    /// Light surfaces.
    Light,
    /// As the system says.
    System,
}

/// Interface scales on offer, in percent.
pub const SCALES_PERCENT: [u32; 7] = [75, 90, 100, 110, 125, 150, 200];

/// The program's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Colours.
    pub theme: ThemeChoice,
    /// Interface scale in percent of the system's own, one of [`SCALES_PERCENT`].
    pub scale_percent: u32,
    /// How pictures are shown as they form; in files from before there was a choice, whether.
    #[serde(deserialize_with = "preview_mode")]
    pub previews: PreviewMode,
    /// Compute threads; `None`: one a core.
    pub threads: Option<usize>,
    /// The gallery's folder; `None`: the one the program was started with.
    pub library_dir: Option<PathBuf>,
    /// Folders searched for models beside the default one.
    pub model_folders: Vec<PathBuf>,
    /// What is unfolded.
    pub open: Open,
}

/// Which parts of the window are unfolded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Open {
    /// The controls on the left.
    pub controls: bool,
    /// The gallery on the right.
    pub gallery: bool,
    /// The rarely used controls.
    pub advanced: bool,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            controls: true,
            gallery: true,
            advanced: false,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::Dark,
            scale_percent: 100,
            previews: PreviewMode::default(),
            threads: None,
            library_dir: None,
            model_folders: Vec::new(),
            open: Open::default(),
        }
    }
}

fn preview_mode<'de, D: Deserializer<'de>>(from: D) -> Result<PreviewMode, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Whether(bool),
        How(PreviewMode),
    }
    Ok(match Written::deserialize(from)? {
        Written::Whether(true) => PreviewMode::default(),
        Written::Whether(false) => PreviewMode::Off,
        Written::How(mode) => mode,
    })
}

impl Settings {
    /// Values from a hand-edited file brought back into their ranges.
    pub fn repaired(mut self) -> Self {
        let nearest = SCALES_PERCENT
            .into_iter()
            .min_by_key(|scale| scale.abs_diff(self.scale_percent));
        self.scale_percent = nearest.unwrap_or(100);
        self.threads = self.threads.map(|threads| threads.clamp(1, 1024));
        self
    }

    /// The next scale up (`1`) or down (`-1`).
    pub fn step_scale(&mut self, by: isize) {
        let at = SCALES_PERCENT
            .iter()
            .position(|&scale| scale == self.scale_percent)
            .unwrap_or(2);
        let next = at.saturating_add_signed(by).min(SCALES_PERCENT.len() - 1);
        self.scale_percent = SCALES_PERCENT[next];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_read_from_before_there_was_a_choice() {
        let previews = |text: &str| {
            let settings: Settings = serde_json::from_str(text).expect("settings");
            settings.previews
        };
        assert_eq!(previews(r#"{"previews": false}"#), PreviewMode::Off);
        assert_eq!(previews(r#"{"previews": true}"#), PreviewMode::Tiny);
        assert_eq!(previews(r#"{"previews": "linear"}"#), PreviewMode::Linear);
        assert_eq!(previews("{}"), PreviewMode::Tiny);
    }
}
