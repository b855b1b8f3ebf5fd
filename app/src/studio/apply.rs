//! [`Studio::apply`]: the only place where commands change the state; one method a topic.

use std::path::PathBuf;

use pentimento_engine::client::{Request, SaveTo};

use super::canvas_command::{CanvasCommand, FileCommand, ViewCommand};
use super::document::DocumentCommand;
use super::draft::{DraftEdit, StartMode, draw_seed};
use super::gallery::{GalleryRequest, PictureId};
use super::io_task::{Ask, IoTask, Prepare};
use super::settings::{Settings, ThemeChoice};
use super::staging::{StagedResult, StagingCommand};
use super::{Effect, Focus, Overlay, Studio};
use crate::command::{Action, Command, GalleryCommand};
use crate::paths::typed_path;
use crate::text::t;

impl Studio {
    /// Applies one command.
    pub fn apply(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Action(action) => self.apply_action(action),
            Command::Draft(edit) => self.apply_draft(edit),
            Command::Canvas(command) => self.apply_canvas(command),
            Command::Gallery(command) => self.apply_gallery(command),
            Command::CancelJob(job) => {
                self.jobs.change(job, |job| job.cancelling = true);
                vec![Effect::CancelJob(job)]
            }
            Command::ResumeUnfinished(key) => self.resume_unfinished(&key),
            Command::ForgetUnfinished(key) => {
                self.unfinished.retain(|job| job.key != key);
                vec![Effect::ForgetUnfinished(key)]
            }
            Command::UseRecipe(found) => self.recall_found(&found),
            Command::TypedPath(text) => {
                self.overlay = None;
                let task = self
                    .asked
                    .take()
                    .map(|ask| ask.with_typed_path(typed_path(&text)));
                task.map(Effect::Io).into_iter().collect()
            }
            Command::RestoreDraft(draft) => {
                let former = std::mem::replace(&mut self.draft, *draft);
                let other = former.model != self.draft.model && self.model().is_some();
                let model = self.draft.model.clone();
                other.then_some(Effect::WarmUp(model)).into_iter().collect()
            }
            Command::Settings(settings) => self.apply_settings(settings.repaired()),
            Command::AddModelFolder(folder) => self.add_model_folder(folder),
            Command::RemoveModelFolder(folder) => {
                self.settings.model_folders.retain(|known| *known != folder);
                vec![Effect::SetModelFolders(self.model_folders())]
            }
            Command::AskLibraryFolder => vec![ask(Ask::LibraryFolder)],
            Command::ShowInFolder(path) => vec![Effect::Io(IoTask::ShowInFolder(path))],
            Command::CopyText(text) => {
                self.notices.info(t("notice-text-copied"));
                vec![Effect::CopyText(text)]
            }
            Command::DismissNotice(id) => {
                self.notices.dismiss(id);
                Vec::new()
            }
            Command::SaveUnsaved => {
                self.overlay = None;
                let save = self.staging.first_unsaved().and_then(StagedResult::to_save);
                save.map(ask).into_iter().collect()
            }
            Command::LeaveUnsaved => {
                self.leaves_unsaved = true;
                vec![Effect::Quit]
            }
            Command::CloseOverlay => {
                self.overlay = None;
                Vec::new()
            }
        }
    }

    fn apply_action(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Generate => return self.generate(),
            Action::Cancel => {
                let job = self.jobs.active.iter().find(|job| !job.cancelling);
                if let Some(id) = job.map(|job| job.id) {
                    return self.apply(Command::CancelJob(id));
                }
            }
            Action::CancelAll => {
                let ids: Vec<_> = self.jobs.active.iter().map(|job| job.id).collect();
                // Last first, so that no waiting job starts in between.
                return ids
                    .into_iter()
                    .rev()
                    .flat_map(|id| self.apply(Command::CancelJob(id)))
                    .collect();
            }
            Action::DiceSeed => {
                self.draft.seed.locked = false;
                self.draft.seed.value = draw_seed();
            }
            Action::LockSeed => self.draft.seed.locked = !self.draft.seed.locked,
            Action::UseLastSeed => {
                if let Some(last) = self.draft.seed.last {
                    self.draft.seed.value = last;
                    self.draft.seed.locked = true;
                }
            }
            Action::SwapSize => self.draft.size_px.reverse(),
            Action::ModelDefaults => self.draft.take_defaults(&self.catalog),
            Action::AddModel => return vec![ask(Ask::ModelFolder)],
            Action::OpenModelsFolder => return show(self.models_folder()),
            Action::RefreshModels => {
                self.notices.info(t("notice-refreshing-models"));
                return vec![Effect::SetModelFolders(self.model_folders())];
            }
            Action::OpenLibraryFolder => return show(self.places.library_dir.as_deref()),
            Action::Quit => return vec![Effect::Quit],
            other => {
                return match canvas_command(other) {
                    Some(command) => self.apply_canvas(command),
                    None => self.apply_view_action(other),
                };
            }
        }
        Vec::new()
    }

    /// Actions that change what is shown, and nothing of the work.
    fn apply_view_action(&mut self, action: Action) -> Vec<Effect> {
        let open = &mut self.settings.open;
        match action {
            Action::ToggleControls => open.controls = !open.controls,
            Action::ToggleGallery => open.gallery = !open.gallery,
            Action::FocusPrompt => {
                open.controls = true;
                self.overlay = None;
                return vec![Effect::Focus(Focus::Prompt)];
            }
            Action::FocusSearch => {
                open.gallery = true;
                self.overlay = None;
                return vec![Effect::Focus(Focus::Search)];
            }
            Action::ScaleUp => self.settings.step_scale(1),
            Action::ScaleDown => self.settings.step_scale(-1),
            Action::ScaleReset => self.settings.scale_percent = 100,
            Action::ThemeDark => self.settings.theme = ThemeChoice::Dark,
            Action::ThemeLight => self.settings.theme = ThemeChoice::Light,
            Action::ThemeSystem => self.settings.theme = ThemeChoice::System,
            Action::OpenPalette => self.overlay = Some(Overlay::Palette),
            Action::OpenSettings => self.overlay = Some(Overlay::Settings),
            Action::OpenHelp => self.overlay = Some(Overlay::Help),
            Action::OpenAbout => self.overlay = Some(Overlay::About),
            _ => {}
        }
        Vec::new()
    }

    fn apply_draft(&mut self, edit: DraftEdit) -> Vec<Effect> {
        match edit {
            DraftEdit::Recall(recipe) => self.recall(*recipe),
            DraftEdit::Model(id) => {
                let warm_up = Effect::WarmUp(id.clone());
                self.draft.apply(DraftEdit::Model(id), &self.catalog);
                vec![warm_up]
            }
            edit => {
                let chooses_start = matches!(edit, DraftEdit::Start(_));
                self.draft.apply(edit, &self.catalog);
                if chooses_start {
                    self.accept_before_start();
                }
                Vec::new()
            }
        }
    }

    /// Makes a job of the draft.
    fn generate(&mut self) -> Vec<Effect> {
        if self.model().is_none() {
            self.notices
                .warning(t("notice-no-model"), t("notice-no-model-hint"));
            return Vec::new();
        }
        self.accept_before_start();
        let seed = self.draft.seed.next(draw_seed());
        let request = Request {
            recipe: self.draft.recipe(seed, &self.catalog),
            count: self.draft.count.max(1),
            save_to: SaveTo::Library,
            blobs: Vec::new(),
            resumes: None,
        };
        let mode = self.start_mode();
        let canvas = match mode {
            StartMode::New => None,
            StartMode::Variation | StartMode::Repaint => self.document.canvas(),
        };
        let Some(canvas) = canvas else {
            return vec![Effect::Submit(Box::new(request))];
        };
        let repaint = mode == StartMode::Repaint;
        if repaint && !self.has_mask() {
            self.notices
                .warning(t("notice-no-mask"), t("notice-no-mask-hint"));
            return Vec::new();
        }
        vec![Effect::Io(IoTask::Prepare(Box::new(Prepare {
            request,
            picture: canvas.picture.clone(),
            mask: repaint.then(|| canvas.mask.clone()),
            start: self.draft.start.clone(),
        })))]
    }

    /// A job that starts from the canvas needs a picture there: while only a result is staged, that
    /// is the one that is meant.
    fn accept_before_start(&mut self) {
        let starts = self.draft.start.mode != StartMode::New;
        if starts && self.document.canvas().is_none() && !self.staging.is_empty() {
            self.apply_canvas(StagingCommand::Accept.into());
        }
    }

    fn resume_unfinished(&mut self, key: &str) -> Vec<Effect> {
        let Some(at) = self.unfinished.iter().position(|job| job.key == key) else {
            return Vec::new();
        };
        let job = self.unfinished.remove(at);
        vec![Effect::Submit(Box::new(job.request))]
    }

    fn apply_settings(&mut self, settings: Settings) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.settings, settings);
        let now = &self.settings;
        let mut effects = Vec::new();
        if now.model_folders != before.model_folders {
            effects.push(Effect::SetModelFolders(self.model_folders()));
        }
        if now.previews != before.previews {
            effects.push(Effect::SetPreviews(now.previews));
        }
        if now.threads != before.threads {
            effects.push(Effect::SetThreads(now.threads));
        }
        if now.library_dir != before.library_dir {
            let chosen = now.library_dir.clone();
            self.places.next_library_dir =
                chosen.or_else(|| self.places.default_library_dir.clone());
        }
        effects
    }

    /// Moves on to the gallery that was chosen in the settings, once no job refers to pictures of the
    /// present one. Call once a frame.
    pub fn library_effects(&mut self) -> Vec<Effect> {
        if self.jobs.is_busy() {
            return Vec::new();
        }
        let Some(folder) = self.places.next_library_dir.take() else {
            return Vec::new();
        };
        if self.places.library_dir.as_ref() == Some(&folder) {
            return Vec::new();
        }
        self.places.library_dir = Some(folder.clone());
        self.gallery.forget();
        vec![
            Effect::UseLibrary(folder),
            Effect::Gallery(self.gallery.search()),
        ]
    }

    fn add_model_folder(&mut self, folder: PathBuf) -> Vec<Effect> {
        if !self.model_folders().contains(&folder) {
            self.settings.model_folders.push(folder);
        }
        vec![Effect::SetModelFolders(self.model_folders())]
    }

    fn apply_gallery(&mut self, command: GalleryCommand) -> Vec<Effect> {
        let gallery = &mut self.gallery;
        let request = match command {
            GalleryCommand::Search(text) => {
                gallery.query.text = text;
                gallery.search()
            }
            GalleryCommand::StarredOnly(only) => {
                gallery.query.starred_only = only;
                gallery.search()
            }
            GalleryCommand::More => match gallery.more() {
                Some(request) => request,
                None => return Vec::new(),
            },
            GalleryCommand::Select(id) => return self.select(id),
            GalleryCommand::View(id) => {
                self.overlay = Some(Overlay::Viewer);
                return self.select(id);
            }
            GalleryCommand::Step(by) => match gallery.neighbour(by).map(|entry| entry.path.clone())
            {
                Some(id) => return self.select(id),
                None => return Vec::new(),
            },
            GalleryCommand::Star(id, starred) => {
                if let Some(entry) = gallery.entries.iter_mut().find(|entry| entry.path == id) {
                    entry.starred = starred;
                }
                GalleryRequest::Star(id, starred)
            }
            GalleryCommand::Delete(id) => return self.delete(id),
            GalleryCommand::Restore(id) => {
                let restore = Effect::Gallery(GalleryRequest::Restore(id));
                return vec![restore, Effect::Gallery(gallery.search())];
            }
            GalleryCommand::UseRecipe(id) => {
                if let Some((known, record)) = &gallery.record
                    && *known == id
                {
                    let record = record.clone();
                    return self.recall_found(&record);
                }
                gallery.recipe_wanted = Some(id.clone());
                GalleryRequest::Record(id)
            }
            GalleryCommand::Open(id, purpose) => GalleryRequest::Open(id, purpose),
            GalleryCommand::SaveCopy(path) => return vec![ask(Ask::CopyFile(path))],
        };
        vec![Effect::Gallery(request)]
    }

    /// Selects a picture and asks for its record.
    fn select(&mut self, id: PictureId) -> Vec<Effect> {
        self.gallery.selected = Some(id.clone());
        let known = self.gallery.selected_record().is_some();
        if known {
            return Vec::new();
        }
        vec![Effect::Gallery(GalleryRequest::Record(id))]
    }

    /// Takes a picture out of the list at once; the notice brings it back.
    fn delete(&mut self, id: PictureId) -> Vec<Effect> {
        self.gallery.remove(&id);
        self.notices.with_action(
            t("notice-deleted"),
            t("undo"),
            GalleryCommand::Restore(id.clone()).into(),
        );
        let mut effects = vec![Effect::Gallery(GalleryRequest::Delete(id))];
        match self.gallery.selected.clone() {
            Some(next) if self.overlay == Some(Overlay::Viewer) => {
                effects.extend(self.select(next));
            }
            None if self.overlay == Some(Overlay::Viewer) => self.overlay = None,
            _ => {}
        }
        effects
    }
}

/// The canvas command of an action, for those that are one.
fn canvas_command(action: Action) -> Option<CanvasCommand> {
    Some(match action {
        Action::OpenPicture => FileCommand::OpenDialog.into(),
        Action::PastePicture => FileCommand::PastePicture.into(),
        Action::SaveCanvas => FileCommand::SaveCopyDialog.into(),
        Action::CopyCanvas => FileCommand::CopyPicture.into(),
        Action::LoadMask => FileCommand::LoadMaskDialog.into(),
        Action::SaveMask => FileCommand::SaveMaskDialog.into(),
        Action::ClosePicture => DocumentCommand::Close.into(),
        Action::Undo => DocumentCommand::Undo.into(),
        Action::Redo => DocumentCommand::Redo.into(),
        Action::SelectAll => DocumentCommand::SelectAll.into(),
        Action::InvertMask => DocumentCommand::InvertMask.into(),
        Action::ClearMask => DocumentCommand::ClearMask.into(),
        Action::AcceptResult => StagingCommand::Accept.into(),
        Action::DiscardResults => StagingCommand::Discard.into(),
        Action::FlipResult => StagingCommand::Flip.into(),
        Action::NextResult => StagingCommand::Next.into(),
        Action::PreviousResult => StagingCommand::Previous.into(),
        Action::ZoomIn => ViewCommand::ZoomIn.into(),
        Action::ZoomOut => ViewCommand::ZoomOut.into(),
        Action::ZoomFit => ViewCommand::Fit.into(),
        Action::ZoomActual => ViewCommand::ActualSize.into(),
        _ => return None,
    })
}

fn show(folder: Option<&std::path::Path>) -> Vec<Effect> {
    folder
        .map(|folder| Effect::Io(IoTask::ShowFolder(folder.to_path_buf())))
        .into_iter()
        .collect()
}

fn ask(ask: Ask) -> Effect {
    Effect::Io(IoTask::Ask(ask))
}
