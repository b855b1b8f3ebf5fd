//! Results of a run, staged over the canvas until the artist accepts one or discards them.

use std::path::PathBuf;

use pentimento_engine::event::JobId;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::Record;
use serde::{Deserialize, Serialize};

use super::document::{DocumentCommand, plane_of_picture};
use super::io_task::{Ask, Saved};
use super::tiles::Plane;
use super::tool_settings::ToolSettings;

/// Results kept at most; the oldest is let go first. They lie in the gallery all the same.
const MAX_RESULTS: usize = 64;

/// One finished picture.
#[derive(Clone, Debug)]
pub struct StagedResult {
    /// The job that made it.
    pub job: JobId,
    /// Number in the job's batch, from 0.
    pub picture: u32,
    /// Its file in the gallery; empty where it could not be saved.
    pub path: PathBuf,
    /// The pixels.
    pub pixels: Plane<4>,
    /// What made it, where it could not be saved.
    pub unsaved: Option<Box<Record>>,
}

impl StagedResult {
    /// The dialog that saves it with its recipe, if it is nowhere else.
    pub fn to_save(&self) -> Option<Ask> {
        let record = self.unsaved.as_ref()?;
        Some(Ask::Save {
            pixels: Saved::Recorded(self.pixels.clone(), record.clone()),
            name: record.recipe.prompt.clone(),
        })
    }

    /// Its file's name without the extension.
    pub fn title(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

/// How a staged result is shown against the canvas's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// The result alone.
    #[default]
    After,
    /// The picture as it was.
    Before,
    /// Before to the left of a line, after to its right.
    Split,
}

/// What can be done to staged results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StagingCommand {
    /// Look at the next result, from the last to the first.
    Next,
    /// Look at the previous result.
    Previous,
    /// Look at this result, from 0.
    Show(usize),
    /// Make the shown result the document's picture and let the others go.
    Accept,
    /// Let all results go.
    Discard,
    /// Show before instead of after, or the other way round.
    Flip,
    /// Choose how to compare.
    Compare(Compare),
    /// Move the split line, 0 (left edge) to 1.
    SplitAt(f32),
}

/// Which results are staged, to find them again in the gallery at the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StagedFiles {
    /// Their files, in order.
    pub paths: Vec<PathBuf>,
    /// Which of them is shown, from 0.
    pub shown: usize,
}

/// Files of the results that have one.
fn saved(results: &[StagedResult]) -> impl Iterator<Item = &PathBuf> {
    let saved = results.iter().filter(|result| result.unsaved.is_none());
    saved.map(|result| &result.path)
}

impl StagedFiles {
    /// What is staged.
    pub fn of(staging: &Staging) -> Self {
        let before = staging.results.iter().take(staging.current);
        Self {
            paths: saved(&staging.results).cloned().collect(),
            shown: before.filter(|result| result.unsaved.is_none()).count(),
        }
    }

    /// Whether exactly these are staged.
    pub fn are_of(&self, staging: &Staging) -> bool {
        self.paths.iter().eq(saved(&staging.results)) && self.shown == Self::of(staging).shown
    }
}

/// The staged results.
#[derive(Clone, Debug)]
pub struct Staging {
    results: Vec<StagedResult>,
    current: usize,
    compare: Compare,
    split_at: f32,
}

impl Default for Staging {
    fn default() -> Self {
        Self {
            results: Vec::new(),
            current: 0,
            compare: Compare::After,
            split_at: 0.5,
        }
    }
}

impl Staging {
    /// All results, in the order they came.
    pub fn results(&self) -> &[StagedResult] {
        &self.results
    }

    /// Which of them is shown, from 0.
    pub fn current_index(&self) -> usize {
        self.current
    }

    /// The one that is shown.
    pub fn current(&self) -> Option<&StagedResult> {
        self.results.get(self.current)
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// How it is compared.
    pub fn compare(&self) -> Compare {
        self.compare
    }

    /// Where the split line lies, 0 (left edge) to 1.
    pub fn split_at(&self) -> f32 {
        self.split_at
    }

    /// Stages a finished picture and shows it. Results of an earlier job go: they lie in the
    /// gallery. A picture of the same job joins the others, and is shown only if the artist was
    /// looking at the newest.
    pub fn push(&mut self, job: JobId, picture: u32, path: PathBuf, image: &Picture) {
        self.stage(job, picture, path, image, None);
    }

    /// As [`Self::push`], for a picture that could not be saved.
    pub fn push_unsaved(&mut self, job: JobId, picture: u32, record: Box<Record>, image: &Picture) {
        self.stage(job, picture, PathBuf::new(), image, Some(record));
    }

    fn stage(
        &mut self,
        job: JobId,
        picture: u32,
        path: PathBuf,
        image: &Picture,
        unsaved: Option<Box<Record>>,
    ) {
        let Some(pixels) = plane_of_picture(image) else {
            return;
        };
        if self.results.last().is_some_and(|last| last.job != job) {
            self.keep_unsaved();
        }
        let follows = self.current + 1 >= self.results.len();
        self.results.push(StagedResult {
            job,
            picture,
            path,
            pixels,
            unsaved,
        });
        let saved = |result: &StagedResult| result.unsaved.is_none();
        if self.results.len() > MAX_RESULTS
            && let Some(oldest) = self.results.iter().position(saved)
        {
            self.results.remove(oldest);
            self.current = self.current.saturating_sub(1);
        }
        if self.results.len() == 1 {
            self.compare = Compare::After;
        }
        if follows {
            self.current = self.results.len() - 1;
        }
    }

    /// Results that are nowhere else.
    pub fn unsaved_count(&self) -> usize {
        let unsaved = self
            .results
            .iter()
            .filter(|result| result.unsaved.is_some());
        unsaved.count()
    }

    /// The first result that is nowhere else.
    pub fn first_unsaved(&self) -> Option<&StagedResult> {
        self.results.iter().find(|result| result.unsaved.is_some())
    }

    /// A result that was nowhere else lies in a file now.
    pub fn saved(&mut self, record: &Record, path: PathBuf) {
        let same = |result: &&mut StagedResult| result.unsaved.as_deref() == Some(record);
        if let Some(result) = self.results.iter_mut().find(same) {
            result.unsaved = None;
            result.path = path;
        }
    }

    /// Lets all results go but those that are nowhere else.
    pub fn keep_unsaved(&mut self) {
        self.results.retain(|result| result.unsaved.is_some());
        self.current = self.results.len().saturating_sub(1);
    }

    /// Stages pictures of an earlier run and shows one of them.
    pub fn restore(&mut self, pictures: Vec<(PathBuf, Plane<4>)>, shown: usize) {
        let results: Vec<StagedResult> = pictures
            .into_iter()
            .zip(0..)
            .map(|((path, pixels), picture)| StagedResult {
                // No job of this run: the engine counts from 1.
                job: JobId(0),
                picture,
                path,
                pixels,
                unsaved: None,
            })
            .collect();
        *self = Self {
            current: shown.min(results.len().saturating_sub(1)),
            results,
            ..Self::default()
        };
    }

    /// Carries a command out; an accepted result comes back as the edit that makes it the
    /// document's picture.
    pub fn apply(
        &mut self,
        command: StagingCommand,
        tools: &ToolSettings,
    ) -> Option<DocumentCommand> {
        let count = self.results.len();
        match command {
            StagingCommand::Next if count > 0 => self.current = (self.current + 1) % count,
            StagingCommand::Previous if count > 0 => {
                self.current = (self.current + count - 1) % count;
            }
            StagingCommand::Next | StagingCommand::Previous => {}
            StagingCommand::Show(index) => {
                if index < count {
                    self.current = index;
                }
            }
            StagingCommand::Accept => return self.accept(tools),
            StagingCommand::Discard => *self = Self::default(),
            StagingCommand::Flip => {
                self.compare = match self.compare {
                    Compare::Before => Compare::After,
                    Compare::After | Compare::Split => Compare::Before,
                };
            }
            StagingCommand::Compare(compare) => self.compare = compare,
            StagingCommand::SplitAt(share) => {
                if share.is_finite() {
                    self.split_at = share.clamp(0.0, 1.0);
                }
            }
        }
        None
    }

    fn accept(&mut self, tools: &ToolSettings) -> Option<DocumentCommand> {
        let result = self.current()?.clone();
        *self = Self::default();
        let title = result.title();
        Some(DocumentCommand::Accept {
            picture: result.pixels,
            title,
            clear_mask: tools.clear_mask_on_accept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(level: u8) -> Picture {
        Picture::new(2, 2, vec![level; 16]).expect("fits")
    }

    fn staged(count: u32) -> Staging {
        let mut staging = Staging::default();
        for index in 0..count {
            let path = PathBuf::from(format!("{index}.png"));
            staging.push(JobId(1), index, path, &picture(index as u8));
        }
        staging
    }

    #[test]
    fn a_batch_is_followed_until_the_artist_looks_back() {
        let mut staging = staged(2);
        assert_eq!(staging.current_index(), 1);
        let tools = ToolSettings::default();
        staging.apply(StagingCommand::Previous, &tools);
        staging.push(JobId(1), 2, PathBuf::from("2.png"), &picture(9));
        assert_eq!(staging.current_index(), 0, "stays where the artist looks");
        staging.apply(StagingCommand::Previous, &tools);
        assert_eq!(staging.current_index(), 2, "wraps around");
        staging.push(JobId(2), 0, PathBuf::from("x.png"), &picture(7));
        assert_eq!(staging.results().len(), 1, "a new job starts anew");
        assert_eq!(staging.current_index(), 0);
    }

    #[test]
    fn accept_returns_the_shown_result_and_empties_the_stage() {
        let mut staging = staged(3);
        let tools = ToolSettings {
            clear_mask_on_accept: true,
            ..ToolSettings::default()
        };
        staging.apply(StagingCommand::Show(1), &tools);
        staging.apply(StagingCommand::Show(17), &tools);
        match staging.apply(StagingCommand::Accept, &tools) {
            Some(DocumentCommand::Accept {
                picture,
                title,
                clear_mask,
            }) => {
                assert_eq!(picture.pixel(0, 0), [1; 4]);
                assert_eq!(title, "1");
                assert!(clear_mask);
            }
            other => panic!("{other:?}"),
        }
        assert!(staging.is_empty());
        assert!(staging.apply(StagingCommand::Accept, &tools).is_none());
        assert!(staging.apply(StagingCommand::Next, &tools).is_none());
    }
}
