//! How the studio carries out canvas commands: each to the part of the state it concerns.

use pentimento_engine::recipe::{Dialect, FoundRecord};

use super::canvas_command::{CanvasCommand, FileCommand, ViewCommand};
use super::document::{DocumentCommand, plane_of_picture};
use super::draft::StartMode;
use super::edit::{Canvas, EditKind};
use super::io_task::{Ask, Chosen, IoReply, IoTask, Saved};
use super::session::SessionReply;
use super::staging::{Compare, StagedFiles, StagedResult};
use super::tiles::Plane;
use super::{Effect, Overlay, Studio};
use crate::command::Command;
use crate::text::{t, t_args};

/// The newest wish of a menu or key for the view. The view compares `serial` to see a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewRequest {
    /// Counts wishes.
    pub serial: u64,
    /// The newest.
    pub command: Option<ViewCommand>,
}

impl Studio {
    /// Carries a canvas command out.
    pub(super) fn apply_canvas(&mut self, command: CanvasCommand) -> Vec<Effect> {
        match command {
            CanvasCommand::Open { picture, name } => {
                // The loader refuses larger pictures with a reason; nothing else makes them.
                if let Some(pixels) = plane_of_picture(&picture) {
                    self.open_canvas(EditKind::Open, Canvas::new(name, pixels));
                }
                Vec::new()
            }
            CanvasCommand::Document(command) => {
                self.paint(command);
                Vec::new()
            }
            CanvasCommand::Flood(flood) => self
                .document
                .canvas()
                .map(|canvas| {
                    let picture = canvas.picture.clone();
                    Effect::Io(IoTask::Flood { picture, flood })
                })
                .into_iter()
                .collect(),
            CanvasCommand::Staging(command) => {
                if let Some(edit) = self.staging.apply(command, &self.tools) {
                    self.document.apply(edit);
                }
                Vec::new()
            }
            CanvasCommand::SelectTool(id) => {
                self.document.apply(DocumentCommand::EndStroke);
                id.clone_into(&mut self.tools.tool);
                Vec::new()
            }
            CanvasCommand::SetTools(tools) => {
                self.tools = tools.clamped();
                Vec::new()
            }
            CanvasCommand::View(command) => {
                self.view_request = ViewRequest {
                    serial: self.view_request.serial + 1,
                    command: Some(command),
                };
                Vec::new()
            }
            CanvasCommand::File(command) => self.apply_file(command),
        }
    }

    /// Changes the document, and what the next job does with it.
    fn paint(&mut self, command: DocumentCommand) {
        let paints = changes_mask(&command);
        self.apply_document(command);
        if paints {
            self.follow_mask();
        }
        if !self.document.is_drawing() {
            // Fills that were found while a stroke was being drawn.
            for fill in std::mem::take(&mut self.found_fills) {
                self.paint(fill);
            }
        }
    }

    /// Painting means to repaint what is painted; without a mask there is nothing to repaint.
    fn follow_mask(&mut self) {
        let mode = &mut self.draft.start.mode;
        if self.document.has_mask() {
            *mode = StartMode::Repaint;
        } else if *mode == StartMode::Repaint {
            *mode = StartMode::Variation;
        }
    }

    /// Takes what the session's thread says.
    pub fn on_session(&mut self, reply: SessionReply) {
        match reply {
            SessionReply::Restored(document) => self.document.adopt(*document),
            SessionReply::InUse => self
                .notices
                .warning(t("notice-session-in-use"), t("notice-session-in-use-hint")),
            SessionReply::Unreadable(path) => self.notices.failure(
                t("notice-session-unreadable"),
                t("notice-session-unreadable-hint"),
                path.display().to_string(),
            ),
            SessionReply::Failed(error) => self.notices.error(&error),
        }
    }

    fn apply_document(&mut self, command: DocumentCommand) {
        // Another picture: what was staged belongs to the one before.
        if matches!(
            command,
            DocumentCommand::Open { .. } | DocumentCommand::Close
        ) {
            self.staging.keep_unsaved();
            self.apply_canvas(ViewCommand::Fit.into());
        }
        self.document.apply(command);
    }

    fn apply_file(&self, command: FileCommand) -> Vec<Effect> {
        let canvas = self.document.canvas();
        let task = match (command, canvas) {
            (FileCommand::OpenDialog, _) => Some(IoTask::Ask(Ask::Picture)),
            (FileCommand::OpenPicture(path), _) => Some(IoTask::Open(path)),
            (FileCommand::PastePicture, _) => Some(IoTask::Paste),
            (FileCommand::ShowInFolder(path), _) => Some(IoTask::ShowInFolder(path)),
            (FileCommand::LoadMaskDialog, Some(canvas)) => Some(IoTask::Ask(Ask::Mask {
                size_px: canvas.size_px(),
            })),
            (FileCommand::SaveMaskDialog, Some(canvas)) => Some(IoTask::Ask(Ask::Save {
                pixels: Saved::Mask(canvas.mask.clone()),
                name: format!("{}-mask", canvas.title),
            })),
            (FileCommand::SaveCopyDialog, _) => self.copy_to_save().map(IoTask::Ask),
            (FileCommand::CopyPicture, _) => {
                self.shown_picture().map(|(pixels, _)| IoTask::Copy(pixels))
            }
            (FileCommand::LoadMaskDialog | FileCommand::SaveMaskDialog, None) => None,
        };
        task.map(Effect::Io).into_iter().collect()
    }

    /// The result that the canvas shows.
    fn shown_result(&self) -> Option<&StagedResult> {
        let shows_before =
            self.staging.compare() == Compare::Before && self.document.canvas().is_some();
        self.staging.current().filter(|_| !shows_before)
    }

    /// What the canvas shows, and its name: the staged result, else the document's picture.
    fn shown_picture(&self) -> Option<(Plane<4>, String)> {
        match self.shown_result() {
            Some(result) => Some((result.pixels.clone(), result.title())),
            None => {
                let canvas = self.document.canvas()?;
                Some((canvas.picture.clone(), canvas.title.clone()))
            }
        }
    }

    /// The dialog for a copy of what the canvas shows: of a result the file itself, since its recipe
    /// is in there.
    fn copy_to_save(&self) -> Option<Ask> {
        if let Some(result) = self.shown_result() {
            let copy = || Ask::CopyFile(result.path.clone());
            return Some(result.to_save().unwrap_or_else(copy));
        }
        let (pixels, name) = self.shown_picture()?;
        let pixels = Saved::Picture(pixels);
        Some(Ask::Save { pixels, name })
    }

    /// Takes an answer of the file threads.
    pub fn on_io(&mut self, reply: IoReply) -> Vec<Effect> {
        match reply {
            IoReply::Opened {
                path,
                pixels,
                record,
            } => {
                let ours = |found: &FoundRecord| found.dialect == Dialect::Pentimento;
                if let Some(found) = record.as_deref().filter(|found| ours(found)) {
                    return self.reopen(path, pixels, found);
                }
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                self.open_canvas(EditKind::Open, Canvas::new(name, pixels));
                if let Some(record) = record {
                    let headline = match record.dialect {
                        Dialect::Pentimento => t("notice-carries-recipe").to_owned(),
                        other => t_args(
                            "notice-carries-recipe-of",
                            [("program", other.label().into())],
                        ),
                    };
                    self.notices
                        .with_action(headline, t("use-recipe"), Command::UseRecipe(record));
                }
            }
            IoReply::StagedOpened { pictures, shown } => {
                self.staged_before = StagedFiles::default();
                // What came meanwhile is newer.
                if self.staging.is_empty() {
                    self.staging.restore(pictures, shown);
                }
            }
            IoReply::Pasted(pixels) => {
                self.open_canvas(EditKind::Paste, Canvas::new(t("pasted-picture"), pixels));
            }
            IoReply::MaskLoaded(mask) => self.paint(DocumentCommand::LoadMask(mask)),
            IoReply::Flooded {
                picture,
                area,
                erase,
            } => {
                let fill = DocumentCommand::FillArea {
                    picture,
                    area,
                    erase,
                };
                if self.document.is_drawing() {
                    self.found_fills.push(fill);
                } else {
                    self.paint(fill);
                }
            }
            IoReply::Feathered { key, plane } => self.on_feather(key, Some(plane)),
            IoReply::Prepared(request) => return vec![Effect::Submit(request)],
            IoReply::Chose(Chosen::ModelFolder(folder)) => {
                return self.apply(Command::AddModelFolder(folder));
            }
            IoReply::Chose(Chosen::LibraryFolder(folder)) => {
                let mut settings = self.settings.clone();
                settings.library_dir = Some(folder);
                return self.apply(Command::Settings(Box::new(settings)));
            }
            IoReply::NoDialog(ask) => {
                self.asked = Some(ask);
                self.overlay = Some(Overlay::TypePath);
            }
            reply => self.tell(reply),
        }
        Vec::new()
    }

    /// Replies that only need words.
    fn tell(&mut self, reply: IoReply) {
        let notices = &mut self.notices;
        match reply {
            IoReply::SavedRecorded(path, record) => {
                self.staging.saved(&record, path.clone());
                self.tell(IoReply::Saved(path));
            }
            IoReply::Saved(path) => notices.with_action(
                t("notice-copy-saved"),
                t("show-in-folder"),
                Command::ShowInFolder(path),
            ),
            IoReply::Copied => notices.info(t("notice-picture-copied")),
            IoReply::NothingToPaste => {
                notices.warning(
                    t("notice-nothing-to-paste"),
                    t("notice-nothing-to-paste-hint"),
                );
            }
            IoReply::NoClipboard(why) => notices.failure(t("notice-no-clipboard"), "", why),
            IoReply::NoFileManager { path, reason } => notices.failure(
                t("notice-no-file-manager"),
                t("notice-no-file-manager-hint"),
                format!("{}\n{reason}", path.display()),
            ),
            IoReply::Failed(error) => notices.error(&error),
            IoReply::Busy => notices.warning(t("notice-busy"), t("notice-busy-hint")),
            IoReply::Opened { .. }
            | IoReply::StagedOpened { .. }
            | IoReply::Pasted(_)
            | IoReply::MaskLoaded(_)
            | IoReply::Prepared(_)
            | IoReply::Feathered { .. }
            | IoReply::Flooded { .. }
            | IoReply::NoDialog(_)
            | IoReply::Chose(_) => {}
        }
    }

    /// A new document, which the next job starts from.
    pub(super) fn open_canvas(&mut self, kind: EditKind, canvas: Canvas) {
        self.overlay = None;
        self.apply_document(DocumentCommand::Open {
            kind,
            canvas: Box::new(canvas),
        });
        self.draft.start.mode = StartMode::Variation;
    }
}

/// Whether a command ends in another mask: strokes count when they end.
fn changes_mask(command: &DocumentCommand) -> bool {
    matches!(
        command,
        DocumentCommand::EndStroke
            | DocumentCommand::FillOutline { .. }
            | DocumentCommand::FillArea { .. }
            | DocumentCommand::InvertMask
            | DocumentCommand::ClearMask
            | DocumentCommand::SelectAll
            | DocumentCommand::LoadMask(_)
    )
}
