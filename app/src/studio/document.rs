//! The document: the opened picture with its mask, the stroke being drawn, and the undo history.
//! Every change goes through [`Document::apply`]; finished changes are handed to the session's
//! journal with [`Document::take_journal`].

use std::sync::Arc;

use pentimento_engine::raster::{Mask, Picture};

use super::edit::{Canvas, Change, Edit, EditKind, Patch, PatchContent, TileChange};
use super::flood::paint_area;
use super::geometry::ImagePoint;
use super::history::History;
use super::mask;
use super::region::fill_outline;
use super::stroke::{Brush, Stroke};
use super::tiles::Plane;

/// What can be done to the document.
#[derive(Clone, Debug)]
pub enum DocumentCommand {
    /// Starts a stroke. `joined` draws a straight line from the last stroke's end first.
    BeginStroke {
        /// The brush.
        brush: Brush,
        /// Where, in image pixels.
        at: ImagePoint,
        /// Whether a line from the last stroke's end comes first.
        joined: bool,
    },
    /// Draws the running stroke on to a point.
    StrokeTo(ImagePoint),
    /// Ends the running stroke: one undo step.
    EndStroke,
    /// Takes the running stroke back.
    AbortStroke,
    /// Masks or unmasks the inside of an outline.
    FillOutline {
        /// `Rectangle` or `Lasso`.
        kind: EditKind,
        /// The corners in image pixels.
        outline: Vec<ImagePoint>,
        /// Takes the mask away.
        erase: bool,
    },
    /// Masks or unmasks an area that was found in this picture; ignored when another one is open.
    FillArea {
        /// Where the area was found.
        picture: Plane<4>,
        /// 255 inside.
        area: Plane<1>,
        /// Takes the mask away.
        erase: bool,
    },
    /// Swaps masked and unmasked.
    InvertMask,
    /// Unmasks everything.
    ClearMask,
    /// Masks everything.
    SelectAll,
    /// Replaces the mask; one of another size is ignored.
    LoadMask(Plane<1>),
    /// Replaces picture, mask and title.
    Open {
        /// `Open`, `Paste` or `Accept`.
        kind: EditKind,
        /// The new document.
        canvas: Box<Canvas>,
    },
    /// Replaces the picture. Of the same size, the mask stays unless `clear_mask`.
    Accept {
        /// The new picture.
        picture: Plane<4>,
        /// Its name.
        title: String,
        /// Whether the mask is emptied in the same step.
        clear_mask: bool,
    },
    /// Closes the document.
    Close,
    /// Takes the last change back; aborts the stroke if one is being drawn.
    Undo,
    /// Does the change that was taken back last again.
    Redo,
}

/// What happened to the document, for the session's journal.
#[derive(Clone, Debug)]
pub enum JournalEntry {
    /// A change was made.
    Edit(Patch),
    /// The last change was taken back.
    Undo,
    /// The change taken back last was done again.
    Redo,
}

/// The opened picture, its mask and their history.
#[derive(Clone, Debug, Default)]
pub struct Document {
    canvas: Option<Canvas>,
    history: History,
    stroke: Option<Stroke>,
    last_point: Option<ImagePoint>,
    journal: Vec<JournalEntry>,
}

impl Document {
    /// An empty document whose history holds on to at most `budget_bytes` of pixels.
    pub fn with_history_budget(budget_bytes: usize) -> Self {
        Self {
            history: History::with_budget(budget_bytes),
            ..Self::default()
        }
    }

    /// A document without history: the base of a recovered session.
    pub fn from_canvas(canvas: Option<Canvas>) -> Self {
        Self {
            canvas,
            ..Self::default()
        }
    }

    /// Picture and mask, if one is open.
    pub fn canvas(&self) -> Option<&Canvas> {
        self.canvas.as_ref()
    }

    /// Undo and redo.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether a stroke is being drawn.
    pub fn is_drawing(&self) -> bool {
        self.stroke.is_some()
    }

    /// Where the last stroke ended (or the running one is), in image pixels.
    pub fn last_point(&self) -> Option<ImagePoint> {
        self.stroke
            .as_ref()
            .map(Stroke::last_point)
            .or(self.last_point)
    }

    /// Whether anything is masked.
    pub fn has_mask(&self) -> bool {
        self.canvas
            .as_ref()
            .is_some_and(|canvas| !mask::is_empty(&canvas.mask))
    }

    /// Carries a command out. Commands that make no sense now (a stroke without a picture, undo
    /// with nothing to undo) do nothing.
    pub fn apply(&mut self, command: DocumentCommand) {
        // A change in the middle of a stroke ends the stroke first.
        let goes_on = matches!(
            command,
            DocumentCommand::StrokeTo(_)
                | DocumentCommand::EndStroke
                | DocumentCommand::AbortStroke
        );
        if self.stroke.is_some() && matches!(command, DocumentCommand::Undo) {
            self.abort_stroke();
            return;
        }
        if !goes_on {
            self.end_stroke();
        }
        match command {
            DocumentCommand::BeginStroke { brush, at, joined } => {
                self.begin_stroke(brush, at, joined);
            }
            DocumentCommand::StrokeTo(point) => {
                if let (Some(stroke), Some(canvas)) = (&mut self.stroke, &mut self.canvas) {
                    stroke.line_to(point, &mut canvas.mask);
                }
            }
            DocumentCommand::EndStroke => self.end_stroke(),
            DocumentCommand::AbortStroke => self.abort_stroke(),
            DocumentCommand::FillOutline {
                kind,
                outline,
                erase,
            } => self.change_mask(kind, |canvas| {
                fill_outline(&mut canvas.mask, &outline, erase)
            }),
            DocumentCommand::FillArea {
                picture,
                area,
                erase,
            } => self.change_mask(EditKind::Fill, |canvas| {
                if canvas.picture.is_same(&picture) {
                    paint_area(&mut canvas.mask, &area, erase)
                } else {
                    Vec::new()
                }
            }),
            DocumentCommand::InvertMask => {
                self.change_mask(EditKind::InvertMask, |canvas| {
                    mask::invert(&mut canvas.mask)
                });
            }
            DocumentCommand::ClearMask => {
                self.change_mask(EditKind::ClearMask, |canvas| {
                    mask::fill(&mut canvas.mask, 0)
                });
            }
            DocumentCommand::SelectAll => self.change_mask(EditKind::SelectAll, |canvas| {
                mask::fill(&mut canvas.mask, 255)
            }),
            DocumentCommand::LoadMask(loaded) => self.change_mask(EditKind::LoadMask, |canvas| {
                mask::replace(&mut canvas.mask, &loaded)
            }),
            DocumentCommand::Open { kind, canvas } => self.replace_all(kind, Some(canvas)),
            DocumentCommand::Accept {
                picture,
                title,
                clear_mask,
            } => self.accept(picture, title, clear_mask),
            DocumentCommand::Close => self.replace_all(EditKind::Close, None),
            DocumentCommand::Undo => {
                if self.history.undo(&mut self.canvas) {
                    self.journal.push(JournalEntry::Undo);
                }
            }
            DocumentCommand::Redo => {
                if self.history.redo(&mut self.canvas) {
                    self.journal.push(JournalEntry::Redo);
                }
            }
        }
    }

    /// What happened since the last call, oldest first.
    pub fn take_journal(&mut self) -> Vec<JournalEntry> {
        std::mem::take(&mut self.journal)
    }

    /// Does again what a journal recorded, without recording it.
    pub fn replay(&mut self, entry: JournalEntry) {
        match entry {
            JournalEntry::Edit(patch) => {
                let edit = patch.onto(self.canvas.as_ref());
                if !edit.is_empty() {
                    edit.apply(&mut self.canvas);
                    self.history.push(edit);
                }
            }
            JournalEntry::Undo => {
                self.history.undo(&mut self.canvas);
            }
            JournalEntry::Redo => {
                self.history.redo(&mut self.canvas);
            }
        }
    }

    /// Puts a recovered document below what was done since the program started: the recovered
    /// state is where undo ends up. Nothing is lost when the user opened a picture before the
    /// recovery was through.
    pub fn adopt(&mut self, recovered: Self) {
        self.end_stroke();
        let patches: Vec<Patch> = self
            .history
            .done()
            .chain(self.history.undone())
            .map(Edit::patch)
            .collect();
        let undone = self.history.undone().count();
        let journal = self.take_journal();
        *self = recovered;
        self.journal = journal;
        for patch in patches {
            self.replay(JournalEntry::Edit(patch));
        }
        for _ in 0..undone {
            self.history.undo(&mut self.canvas);
        }
    }

    fn begin_stroke(&mut self, brush: Brush, at: ImagePoint, joined: bool) {
        let Some(canvas) = &mut self.canvas else {
            return;
        };
        if !at.is_finite() {
            return;
        }
        let from = self.last_point.filter(|_| joined);
        let mut stroke = Stroke::begin(brush, from.unwrap_or(at), &mut canvas.mask);
        stroke.line_to(at, &mut canvas.mask);
        self.stroke = Some(stroke);
    }

    fn end_stroke(&mut self) {
        let (Some(stroke), Some(canvas)) = (self.stroke.take(), &mut self.canvas) else {
            return;
        };
        let kind = if stroke.brush().erase {
            EditKind::Erase
        } else {
            EditKind::Brush
        };
        self.last_point = Some(stroke.last_point());
        let mask = stroke.finish(&mut canvas.mask);
        self.record(Edit {
            kind,
            change: Change::Tiles {
                picture: Vec::new(),
                mask,
            },
        });
    }

    fn abort_stroke(&mut self) {
        if let (Some(stroke), Some(canvas)) = (self.stroke.take(), &mut self.canvas) {
            stroke.abort(&mut canvas.mask);
        }
    }

    fn change_mask(
        &mut self,
        kind: EditKind,
        change: impl FnOnce(&mut Canvas) -> Vec<TileChange<1>>,
    ) {
        if let Some(canvas) = &mut self.canvas {
            let mask = change(canvas);
            self.record(Edit {
                kind,
                change: Change::Tiles {
                    picture: Vec::new(),
                    mask,
                },
            });
        }
    }

    fn replace_all(&mut self, kind: EditKind, after: Option<Box<Canvas>>) {
        self.last_point = None;
        let patch = Patch {
            kind,
            content: PatchContent::Whole(after),
        };
        let edit = patch.onto(self.canvas.as_ref());
        edit.apply(&mut self.canvas);
        self.record(edit);
    }

    fn accept(&mut self, picture: Plane<4>, title: String, clear_mask: bool) {
        let same_size = self
            .canvas
            .as_mut()
            .filter(|canvas| canvas.size_px() == picture.size_px());
        let Some(canvas) = same_size else {
            let canvas = Box::new(Canvas::new(title, picture));
            self.replace_all(EditKind::Accept, Some(canvas));
            return;
        };
        // Tiles that the run left alone stay shared: an accepted repair costs its own area only.
        let mut changes = Vec::new();
        for (index, after) in picture.tiles().iter().enumerate() {
            if canvas.picture.tile_equals(index, after) {
                continue;
            }
            if let Some(before) = canvas.picture.tile(index).cloned() {
                let after = after.clone();
                canvas.picture.set_tile(index, after.clone());
                changes.push(TileChange {
                    index,
                    before,
                    after,
                });
            }
        }
        let mask = if clear_mask {
            mask::fill(&mut canvas.mask, 0)
        } else {
            Vec::new()
        };
        self.record(Edit {
            kind: EditKind::Accept,
            change: Change::Tiles {
                picture: changes,
                mask,
            },
        });
    }

    /// Puts an edit that was applied already into history and journal.
    fn record(&mut self, edit: Edit) {
        if !edit.is_empty() {
            self.journal.push(JournalEntry::Edit(edit.patch()));
            self.history.push(edit);
        }
    }
}

/// The tiles of an engine's picture; `None` when a side is above [`super::tiles::MAX_SIDE_PX`].
pub fn plane_of_picture(picture: &Picture) -> Option<Plane<4>> {
    Plane::from_bytes([picture.width_px, picture.height_px], &picture.rgba)
}

/// A plane as the engine's picture: copies all pixels, so not for the interface's thread.
pub fn picture_of_plane(plane: &Plane<4>) -> Picture {
    let [width_px, height_px] = plane.size_px();
    Picture {
        width_px,
        height_px,
        rgba: Arc::from(plane.to_bytes()),
    }
}

/// A mask plane as the engine's mask: copies all values, so not for the interface's thread.
pub fn mask_of_plane(plane: &Plane<1>) -> Mask {
    let [width_px, height_px] = plane.size_px();
    Mask {
        width_px,
        height_px,
        values: Arc::from(plane.to_bytes()),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
