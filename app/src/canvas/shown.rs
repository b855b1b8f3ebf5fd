//! What the canvas shows: the document, a staged result over it, a preview, or nothing.

use pentimento_engine::event::Preview;

use crate::studio::Studio;
use crate::studio::edit::Canvas;
use crate::studio::staging::{Compare, StagedResult};

/// What is on show, and whether the mask can be painted.
pub(super) struct Shown<'a> {
    /// `[width, height]` of what is on show, in its own pixels.
    pub(super) size_px: [u32; 2],
    /// The document, if it is seen.
    pub(super) document: Option<&'a Canvas>,
    /// A result, if it is seen.
    pub(super) staged: Option<&'a StagedResult>,
    /// Where the line between before (left) and after lies, 0 to 1.
    pub(super) split_at: Option<f32>,
    /// A preview over it, or alone.
    pub(super) preview: Option<&'a Preview>,
}

impl<'a> Shown<'a> {
    /// What the studio has to show; `None` when the canvas is empty.
    pub(super) fn of(studio: &'a Studio) -> Option<Self> {
        let document = studio.document.canvas();
        let preview = studio.preview.as_ref();
        if let Some(preview) = preview {
            // A new picture is made beside what is open; a repaint belongs onto it.
            let [x, y, width, height] = preview.bounds_px;
            let reach = [x.saturating_add(width), y.saturating_add(height)];
            let onto = document.filter(|canvas| {
                starts_from_canvas(studio, preview)
                    && reach[0] <= canvas.size_px()[0]
                    && reach[1] <= canvas.size_px()[1]
            });
            return Some(Self {
                size_px: onto.map_or(reach, Canvas::size_px).map(|side| side.max(1)),
                document: onto,
                staged: None,
                split_at: None,
                preview: Some(preview),
            });
        }
        let Some(staged) = studio.staging.current() else {
            return document.map(Self::document_alone);
        };
        let comparable = document.filter(|canvas| canvas.size_px() == staged.pixels.size_px());
        match (studio.staging.compare(), document, comparable) {
            (Compare::Before, Some(canvas), _) => Some(Self::document_alone(canvas)),
            (Compare::Split, _, Some(canvas)) => Some(Self {
                size_px: canvas.size_px(),
                document: Some(canvas),
                staged: Some(staged),
                split_at: Some(studio.staging.split_at()),
                preview: None,
            }),
            _ => Some(Self {
                size_px: staged.pixels.size_px(),
                document: None,
                staged: Some(staged),
                split_at: None,
                preview: None,
            }),
        }
    }

    fn document_alone(canvas: &'a Canvas) -> Self {
        Self {
            size_px: canvas.size_px(),
            document: Some(canvas),
            staged: None,
            split_at: None,
            preview: None,
        }
    }

    /// Whether the mask is seen and can be painted.
    pub(super) fn is_paintable(&self) -> bool {
        self.document.is_some() && self.staged.is_none()
    }
}

/// Whether the job behind a preview started from the picture on the canvas.
fn starts_from_canvas(studio: &Studio, preview: &Preview) -> bool {
    studio
        .jobs
        .get(preview.job)
        .is_some_and(|job| job.recipe.start.is_some())
}
