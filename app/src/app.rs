//! The `eframe::App`: `logic` drains what the engine, the gallery and the files say and applies
//! commands, `ui` lays out panels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui::{Context, Event, Ui, ViewportCommand};
use pentimento_engine::client::EngineClient;

use crate::canvas::CanvasView;
use crate::command::CommandSender;
use crate::engine_link::EngineLink;
use crate::gallery_link::GalleryLink;
use crate::io::IoLink;
use crate::io::session::SessionLink;
use crate::keeper::{Keeper, Kept};
use crate::panels::{self, PanelCx};
use crate::studio::io_task::IoTask;
use crate::studio::{Effect, Focus, Overlay, Places, Studio};
use crate::textures::Textures;
use crate::{keys, layout, theme};

/// Where the window keeps its things.
#[derive(Clone, Debug, Default)]
pub struct StudioOptions {
    /// Folder of settings, draft and session; `None` keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// Root of the gallery; `None` shows none.
    pub library_dir: Option<PathBuf>,
    /// Root of the gallery where the settings name none.
    pub default_library_dir: Option<PathBuf>,
    /// The folder that is always searched for models.
    pub models_dir: Option<PathBuf>,
}

/// The window's content.
pub struct StudioApp {
    studio: Studio,
    engine: EngineLink,
    gallery: Option<GalleryLink>,
    io: Option<IoLink>,
    keeper: Option<Keeper>,
    session: Option<SessionLink>,
    commands: CommandSender,
    textures: Textures,
    canvas_view: CanvasView,
    overlay_shown: Option<Overlay>,
    waker: crate::io::Waker,
}

impl StudioApp {
    /// Builds the studio on an engine.
    pub fn new(ctx: &Context, client: Box<dyn EngineClient>, options: StudioOptions) -> Self {
        theme::install(ctx);
        // Keys of the table scale the interface; egui's own would fight with the canvas's.
        ctx.options_mut(|egui_options| egui_options.zoom_with_keyboard = false);
        let waker_ctx = ctx.clone();
        let waker: crate::io::Waker = Arc::new(move || waker_ctx.request_repaint());
        let kept = options.data_dir.as_deref().map(Kept::load);
        // Without its thread the studio works on and keeps nothing.
        let keeper = options
            .data_dir
            .as_deref()
            .zip(kept.clone())
            .and_then(|(folder, kept)| Keeper::start(folder, kept).ok());
        let kept = kept.unwrap_or_default();
        let studio = Studio {
            settings: kept.settings,
            draft: kept.draft.repaired(),
            tools: kept.tools,
            places: Places {
                library_dir: options.library_dir.clone(),
                default_library_dir: options.default_library_dir,
                models_dir: options.models_dir,
                next_library_dir: None,
            },
            ..Studio::default()
        };
        theme::follow(ctx, studio.settings.theme, studio.settings.scale_percent);
        let gallery = options
            .library_dir
            .and_then(|root| GalleryLink::start(root, Arc::clone(&waker)).ok());
        let session = options
            .data_dir
            .as_deref()
            .and_then(|folder| SessionLink::start(folder.join("session"), Arc::clone(&waker)).ok());
        let mut app = Self {
            studio,
            session,
            engine: EngineLink::new(client),
            gallery,
            io: IoLink::start(Arc::clone(&waker)).ok(),
            keeper,
            commands: CommandSender::default(),
            textures: Textures::default(),
            canvas_view: CanvasView::default(),
            overlay_shown: None,
            waker,
        };
        let mut effects = app.engine.greet(&mut app.studio);
        effects.push(Effect::Gallery(app.studio.gallery.search()));
        if !kept.staged.paths.is_empty() {
            app.studio.staged_before = kept.staged.clone();
            effects.push(Effect::Io(IoTask::OpenStaged(kept.staged)));
        }
        app.run_effects(ctx, effects);
        app
    }

    /// The state, for tests.
    pub fn studio(&self) -> &Studio {
        &self.studio
    }

    /// Sends a command as a panel would, for tests.
    pub fn send(&mut self, command: impl Into<crate::command::Command>) {
        self.commands.send(command);
    }

    /// Returns whether there were any.
    fn apply_commands(&mut self, ctx: &Context) -> bool {
        let commands = self.commands.drain();
        let any = !commands.is_empty();
        for command in commands {
            let effects = self.studio.apply(command);
            self.run_effects(ctx, effects);
        }
        any
    }

    fn run_effects(&mut self, ctx: &Context, effects: Vec<Effect>) {
        for effect in effects {
            let Some(effect) = self.engine.run(effect, &mut self.studio) else {
                continue;
            };
            match effect {
                Effect::Gallery(request) => {
                    if let Some(gallery) = &mut self.gallery {
                        gallery.run(request);
                    }
                }
                Effect::Io(task) => {
                    if let Some(io) = &self.io {
                        io.run(task);
                    }
                }
                Effect::UseLibrary(folder) => self.use_library(folder),
                Effect::CopyText(text) => ctx.copy_text(text),
                Effect::Focus(focus) => {
                    let id = match focus {
                        Focus::Prompt => panels::prompt_id(),
                        Focus::Search => panels::search_id(),
                    };
                    ctx.memory_mut(|memory| memory.request_focus(id));
                }
                Effect::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
                // The engine's own were carried out above.
                _ => {}
            }
        }
    }

    /// Saves to another gallery from now on, and shows it. The threads of the former one end by
    /// themselves when their channels close.
    fn use_library(&mut self, folder: PathBuf) {
        self.engine.use_library(folder.clone());
        self.textures.forget_files();
        self.gallery = GalleryLink::start(folder, Arc::clone(&self.waker)).ok();
    }

    /// Takes in what the worker threads say.
    fn pump(&mut self, ctx: &Context) {
        let (effects, more) = self.engine.pump(&mut self.studio);
        if more {
            ctx.request_repaint();
        }
        self.run_effects(ctx, effects);
        while let Some(reply) = self.io.as_ref().and_then(IoLink::poll) {
            let effects = self.studio.on_io(reply);
            self.run_effects(ctx, effects);
        }
        while let Some(reply) = self.session.as_ref().and_then(SessionLink::poll) {
            self.studio.on_session(reply);
        }
        while let Some(reply) = self.gallery.as_mut().and_then(GalleryLink::poll) {
            let effects = self.studio.on_gallery(reply);
            self.run_effects(ctx, effects);
        }
        while let Some(decoded) = self.gallery.as_ref().and_then(GalleryLink::poll_decoded) {
            self.textures.decoded(ctx, decoded);
        }
    }

    /// What happens by the clock: notices leave, texts are counted, changes are kept.
    fn tick(&mut self, ctx: &Context) {
        let now_secs = ctx.input(|input| input.time);
        let (effects, waits) = self.studio.tick(now_secs);
        self.run_effects(ctx, effects);
        let library = self.studio.library_effects();
        self.run_effects(ctx, library);
        let feather = self.studio.feather_effect();
        self.run_effects(ctx, feather.into_iter().collect());
        let journal = self.studio.document.take_journal();
        if let Some(session) = &mut self.session {
            session.keep(journal);
        }
        let keeper = self.keeper.as_mut();
        let keeper_waits = keeper.and_then(|keeper| keeper.tick(&self.studio, now_secs));
        for secs in waits.into_iter().chain(keeper_waits) {
            ctx.request_repaint_after(Duration::from_secs_f64(secs.max(0.01)));
        }
    }
}

/// Events after which widgets may look otherwise than they were drawn in the same frame.
fn changes_something(event: &Event) -> bool {
    !matches!(event, Event::PointerMoved(_) | Event::MouseMoved(_))
}

impl eframe::App for StudioApp {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.pump(ctx);
        self.apply_commands(ctx);
        let closes = ctx.input(|input| input.viewport().close_requested());
        if closes && self.studio.asks_before_leaving() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        }
        self.tick(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        keys::handle(&ctx, &self.studio, &mut self.commands);
        self.apply_commands(&ctx);
        let settings = &self.studio.settings;
        theme::follow(&ctx, settings.theme, settings.scale_percent);
        let just_opened = self.studio.overlay != self.overlay_shown;
        self.overlay_shown = self.studio.overlay;
        let mut cx = PanelCx {
            studio: &self.studio,
            commands: &mut self.commands,
            textures: &mut self.textures,
        };
        layout::window_ui(ui, &mut self.canvas_view, &mut cx);
        layout::dialog_ui(&ctx, &mut cx, just_opened);
        layout::corner_ui(&ctx, &mut cx);
        let gallery = self.gallery.as_ref();
        self.textures
            .end_frame(|path, detail| gallery.is_some_and(|gallery| gallery.decode(path, detail)));
        // What this frame changed is seen in the next.
        let acted = ctx.input(|input| input.events.iter().any(changes_something));
        if self.apply_commands(&ctx) || acted {
            ctx.request_repaint();
        }
    }

    fn on_exit(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.finish(&self.studio);
        }
        if let Some(session) = &mut self.session {
            // What the last frame did; the link's end waits until all of it is on the disk.
            session.keep(self.studio.document.take_journal());
        }
        self.session = None;
    }
}
