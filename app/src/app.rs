//! The `eframe::App`: `logic` drains events and applies commands, `ui` lays out panels.

use pentimento_engine::client::EngineClient;

use crate::canvas::{self, CanvasView};
use crate::command::CommandSender;
use crate::engine_link::EngineLink;
use crate::io::IoLink;
use crate::studio::{Effect, Studio};
use crate::textures::Textures;

/// Where the window keeps its things.
#[derive(Clone, Debug, Default)]
pub struct StudioOptions {
    /// Folder of settings, draft and session; `None` keeps nothing.
    pub data_dir: Option<std::path::PathBuf>,
    /// Root of the gallery; `None` shows none.
    pub library_dir: Option<std::path::PathBuf>,
}

/// The window's content.
pub struct StudioApp {
    studio: Studio,
    engine: EngineLink,
    commands: CommandSender,
    textures: Textures,
    canvas_view: CanvasView,
    io: Option<IoLink>,
}

impl StudioApp {
    /// Builds the studio on an engine.
    pub fn new(
        ctx: &egui::Context,
        client: Box<dyn EngineClient>,
        _options: StudioOptions,
    ) -> Self {
        let mut studio = Studio::default();
        studio.catalog = client.catalog();
        let waker = ctx.clone();
        let io = IoLink::start(std::sync::Arc::new(move || waker.request_repaint()));
        Self {
            studio,
            engine: EngineLink::new(client),
            commands: CommandSender::default(),
            textures: Textures::default(),
            canvas_view: CanvasView::default(),
            io: io.ok(),
        }
    }

    /// The state, for tests.
    pub fn studio(&self) -> &Studio {
        &self.studio
    }

    fn apply_commands(&mut self) {
        for command in self.commands.drain() {
            let effects = self.studio.apply(command);
            self.run_effects(effects);
        }
    }

    fn run_effects(&self, effects: Vec<Effect>) {
        for effect in effects {
            match (effect, &self.io) {
                (Effect::Io(task), Some(io)) => io.run(task),
                (effect, _) => self.engine.run(effect),
            }
        }
    }

    fn pump_io(&mut self) {
        while let Some(reply) = self.io.as_ref().and_then(IoLink::poll) {
            let effects = self.studio.on_io(reply);
            self.run_effects(effects);
        }
    }
}

impl eframe::App for StudioApp {
    fn logic(&mut self, _ctx: &egui::Context, _frame: &mut eframe::Frame) {
        let effects = self.engine.pump(&mut self.studio);
        self.run_effects(effects);
        self.pump_io();
        self.apply_commands();
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        egui::CentralPanel::default().show(ui, |ui| {
            canvas::canvas_ui(
                ui,
                &mut self.canvas_view,
                &self.studio,
                &mut self.textures,
                &mut self.commands,
            );
        });
        self.apply_commands();
    }
}
