//! Edits as values: what a change replaced and what it put there, so that it can be undone, redone
//! and written to the session's journal by one mechanism.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tiles::{Plane, Tile};

/// The opened picture and its mask; both have the same size.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    /// File name without its extension, or what made the picture: the suggestion for a copy's name.
    pub title: String,
    /// RGBA, straight alpha, 8-bit sRGB.
    pub picture: Plane<4>,
    /// 255 = repaint, 0 = keep.
    pub mask: Plane<1>,
}

impl Canvas {
    /// A picture with an empty mask.
    pub fn new(title: impl Into<String>, picture: Plane<4>) -> Self {
        let mask = Plane::flat(picture.size_px(), [0]);
        Self {
            title: title.into(),
            picture,
            mask,
        }
    }

    /// `[width, height]` in pixels.
    pub fn size_px(&self) -> [u32; 2] {
        self.picture.size_px()
    }
}

/// What an edit was: the words beside “Undo”.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditKind {
    /// A stroke that masks.
    Brush,
    /// A stroke that unmasks.
    Erase,
    /// A rectangle.
    Rectangle,
    /// A freehand outline.
    Lasso,
    /// A flood fill.
    Fill,
    /// The mask was inverted.
    InvertMask,
    /// The mask was emptied.
    ClearMask,
    /// Everything was masked.
    SelectAll,
    /// The mask was replaced by a picture of one.
    LoadMask,
    /// A picture was opened.
    Open,
    /// A picture was pasted.
    Paste,
    /// A result became the picture.
    Accept,
    /// The picture was closed.
    Close,
}

impl EditKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Brush,
        Self::Erase,
        Self::Rectangle,
        Self::Lasso,
        Self::Fill,
        Self::InvertMask,
        Self::ClearMask,
        Self::SelectAll,
        Self::LoadMask,
        Self::Open,
        Self::Paste,
        Self::Accept,
        Self::Close,
    ];

    /// In a menu after “Undo”.
    pub fn label(self) -> &'static str {
        match self {
            Self::Brush => "brush stroke",
            Self::Erase => "eraser stroke",
            Self::Rectangle => "rectangle",
            Self::Lasso => "lasso",
            Self::Fill => "fill",
            Self::InvertMask => "invert mask",
            Self::ClearMask => "clear mask",
            Self::SelectAll => "mask everything",
            Self::LoadMask => "load mask",
            Self::Open => "open picture",
            Self::Paste => "paste picture",
            Self::Accept => "accept result",
            Self::Close => "close picture",
        }
    }
}

/// One tile before and after.
#[derive(Clone, Debug)]
pub struct TileChange<const C: usize> {
    /// The tile's place, row by row.
    pub index: usize,
    /// What it held.
    pub before: Tile<C>,
    /// What it holds.
    pub after: Tile<C>,
}

/// What an edit changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Some tiles of the picture, the mask or both; sizes stay.
    Tiles {
        /// Of the picture.
        picture: Vec<TileChange<4>>,
        /// Of the mask.
        mask: Vec<TileChange<1>>,
    },
    /// Everything: a picture was opened, closed or replaced by one of another size.
    Whole {
        /// What was there.
        before: Option<Box<Canvas>>,
        /// What is there.
        after: Option<Box<Canvas>>,
    },
}

/// A change with its name.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What it was.
    pub kind: EditKind,
    /// What it changed.
    pub change: Change,
}

/// The half of an edit that can be replayed onto the state before it: what the journal keeps.
#[derive(Clone, Debug)]
pub struct Patch {
    /// What it was.
    pub kind: EditKind,
    /// What it puts there.
    pub content: PatchContent,
}

/// What a patch puts there.
#[derive(Clone, Debug)]
pub enum PatchContent {
    /// Tiles by index.
    Tiles {
        /// Of the picture.
        picture: Vec<(usize, Tile<4>)>,
        /// Of the mask.
        mask: Vec<(usize, Tile<1>)>,
    },
    /// Everything.
    Whole(Option<Box<Canvas>>),
}

impl Edit {
    /// Puts the state after the edit in place of the state before it.
    pub fn apply(&self, canvas: &mut Option<Canvas>) {
        match &self.change {
            Change::Tiles { picture, mask } => {
                if let Some(canvas) = canvas {
                    for change in picture {
                        canvas.picture.set_tile(change.index, change.after.clone());
                    }
                    for change in mask {
                        canvas.mask.set_tile(change.index, change.after.clone());
                    }
                }
            }
            Change::Whole { after, .. } => *canvas = after.as_deref().cloned(),
        }
    }

    /// Puts the state before the edit back.
    pub fn revert(&self, canvas: &mut Option<Canvas>) {
        match &self.change {
            Change::Tiles { picture, mask } => {
                if let Some(canvas) = canvas {
                    for change in picture {
                        canvas.picture.set_tile(change.index, change.before.clone());
                    }
                    for change in mask {
                        canvas.mask.set_tile(change.index, change.before.clone());
                    }
                }
            }
            Change::Whole { before, .. } => *canvas = before.as_deref().cloned(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        match &self.change {
            Change::Tiles { picture, mask } => picture.is_empty() && mask.is_empty(),
            Change::Whole { before, after } => before.is_none() && after.is_none(),
        }
    }

    /// Memory that keeping the edit holds on to, in bytes: the larger of its two sides, since the
    /// other side is shared with the document or with the neighbouring edit.
    pub fn cost_bytes(&self) -> usize {
        fn side<const C: usize>(changes: &[TileChange<C>]) -> (usize, usize) {
            changes.iter().fold((0, 0), |(before, after), change| {
                (
                    before + change.before.byte_len(),
                    after + change.after.byte_len(),
                )
            })
        }
        fn canvas(canvas: Option<&Canvas>) -> usize {
            canvas.map_or(0, |canvas| {
                canvas.picture.byte_len() + canvas.mask.byte_len()
            })
        }
        match &self.change {
            Change::Tiles { picture, mask } => {
                let (picture_before, picture_after) = side(picture);
                let (mask_before, mask_after) = side(mask);
                (picture_before + mask_before).max(picture_after + mask_after)
            }
            Change::Whole { before, after } => {
                canvas(before.as_deref()).max(canvas(after.as_deref()))
            }
        }
    }

    /// The half that can be replayed.
    pub fn patch(&self) -> Patch {
        fn after<const C: usize>(changes: &[TileChange<C>]) -> Vec<(usize, Tile<C>)> {
            changes
                .iter()
                .map(|change| (change.index, change.after.clone()))
                .collect()
        }
        let content = match &self.change {
            Change::Tiles { picture, mask } => PatchContent::Tiles {
                picture: after(picture),
                mask: after(mask),
            },
            Change::Whole { after, .. } => PatchContent::Whole(after.clone()),
        };
        Patch {
            kind: self.kind,
            content,
        }
    }
}

impl Patch {
    /// The edit that this patch makes of `canvas`. Tiles that the canvas has no place for are
    /// left out.
    pub fn onto(self, canvas: Option<&Canvas>) -> Edit {
        fn pairs<const C: usize>(
            plane: &Plane<C>,
            tiles: Vec<(usize, Tile<C>)>,
        ) -> Vec<TileChange<C>> {
            tiles
                .into_iter()
                .filter_map(|(index, after)| {
                    let before = plane.tile(index)?.clone();
                    Some(TileChange {
                        index,
                        before,
                        after,
                    })
                })
                .collect()
        }
        let change = match (self.content, canvas) {
            (PatchContent::Tiles { picture, mask }, Some(canvas)) => Change::Tiles {
                picture: pairs(&canvas.picture, picture),
                mask: pairs(&canvas.mask, mask),
            },
            (PatchContent::Tiles { .. }, None) => Change::Tiles {
                picture: Vec::new(),
                mask: Vec::new(),
            },
            (PatchContent::Whole(after), canvas) => Change::Whole {
                before: canvas.cloned().map(Box::new),
                after,
            },
        };
        Edit {
            kind: self.kind,
            change,
        }
    }
}

/// Remembers the tiles that a running change touches, as they were before the first touch.
#[derive(Clone, Debug, Default)]
pub struct Recorder<const C: usize> {
    before: BTreeMap<usize, Tile<C>>,
}

impl<const C: usize> Recorder<C> {
    /// The tile of this index for writing, remembered.
    pub fn touch<'plane>(
        &mut self,
        plane: &'plane mut Plane<C>,
        index: usize,
    ) -> Option<&'plane mut Tile<C>> {
        let tile = plane.tile_mut(index)?;
        self.before.entry(index).or_insert_with(|| tile.clone());
        Some(tile)
    }

    /// The tiles whose content differs from before; flat ones are stored flat.
    pub fn finish(self, plane: &mut Plane<C>) -> Vec<TileChange<C>> {
        let mut changes = Vec::new();
        for (index, before) in self.before {
            plane.flatten_tile(index);
            if plane.tile_equals(index, &before) {
                plane.set_tile(index, before);
            } else if let Some(after) = plane.tile(index).cloned() {
                changes.push(TileChange {
                    index,
                    before,
                    after,
                });
            }
        }
        changes
    }

    /// Puts everything back.
    pub fn roll_back(self, plane: &mut Plane<C>) {
        for (index, before) in self.before {
            plane.set_tile(index, before);
        }
    }
}
