//! The real window at 1280x720 while the engine makes pictures: the interface thread's own CPU time per frame, and
//! the time between frames.

use std::time::Instant;

use eframe::egui::{Context, Ui, ViewportBuilder, ViewportCommand};
use pentimento::command::Action;
use pentimento::studio::draft::DraftEdit;
use pentimento::{StudioApp, StudioOptions};
use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::{Engine, EngineConfig};
use pentimento_engine::preview::PreviewMode;
use tempfile::TempDir;

use crate::statistics::{median, percentile};

/// Pictures made in each of the two ways of drawing.
const PICTURES: usize = 4;

/// How frames are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Before the first job: not counted.
    Opening,
    /// When something changed, as shipped.
    AsShipped,
    /// All the time, as when somebody keeps painting or scrolling.
    Always,
}

#[derive(Default)]
struct Samples {
    cpu_ms: Vec<f64>,
    interval_ms: Vec<f64>,
}

impl Samples {
    fn row(&self, name: &str) -> String {
        let (cpu, interval) = (&self.cpu_ms, &self.interval_ms);
        format!(
            "| {name} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            cpu.len(),
            median(cpu),
            percentile(cpu, 0.99),
            percentile(cpu, 1.0),
            median(interval),
            percentile(interval, 0.99)
        )
    }
}

/// The studio, with a clock around it.
struct Measured {
    studio: StudioApp,
    pace: Pace,
    submitted: usize,
    last: Option<(f64, Instant)>,
    as_shipped: Samples,
    always: Samples,
    _folder: TempDir,
}

/// CPU time of the calling thread so far in milliseconds.
fn thread_cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .expect("Linux tells a thread's CPU time");
    let nanoseconds: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds / 1e6
}

impl Measured {
    fn take_sample(&mut self) {
        let now = (thread_cpu_ms(), Instant::now());
        if let Some((cpu, at)) = self.last.replace(now) {
            let samples = match self.pace {
                Pace::Opening => return,
                Pace::AsShipped => &mut self.as_shipped,
                Pace::Always => &mut self.always,
            };
            samples.cpu_ms.push(now.0 - cpu);
            samples.interval_ms.push((now.1 - at).as_secs_f64() * 1e3);
        }
    }

    fn drive(&mut self, ctx: &Context) {
        if self.pace == Pace::Always {
            ctx.request_repaint();
        }
        if self.studio.studio().jobs.is_busy() || !self.studio.studio().can_generate() {
            return;
        }
        if self.submitted == 0 {
            self.studio
                .send(DraftEdit::Prompt("a red apple, 3d".to_owned()));
            self.pace = Pace::AsShipped;
        } else if self.submitted == PICTURES {
            self.pace = Pace::Always;
        } else if self.submitted == 2 * PICTURES {
            ctx.send_viewport_cmd(ViewportCommand::Close);
            return;
        }
        self.submitted += 1;
        self.studio.send(Action::Generate);
        ctx.request_repaint();
    }
}

impl eframe::App for Measured {
    fn logic(&mut self, ctx: &Context, frame: &mut eframe::Frame) {
        self.take_sample();
        self.studio.logic(ctx, frame);
        self.drive(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        self.studio.ui(ui, frame);
    }

    fn on_exit(&mut self) {
        println!(
            "Window of 1280 x 720 while the starter model makes pictures, {PICTURES} each way; CPU time of the"
        );
        println!(
            "interface's own thread per frame, and time from frame to frame, in milliseconds.\n"
        );
        println!(
            "| frames | count | CPU median | CPU 99th | CPU most | interval median | interval 99th |"
        );
        println!("|---|---|---|---|---|---|---|");
        println!(
            "{}",
            self.as_shipped.row("as shipped (when something changed)")
        );
        println!("{}", self.always.row("all the time (as when painting)"));
    }
}

/// Opens the window, runs, prints.
pub(crate) fn measure() {
    let native = eframe::NativeOptions {
        viewport: ViewportBuilder::default().with_inner_size([1280.0, 720.0]),
        ..Default::default()
    };
    let opened = eframe::run_native(
        "pentimento-bench",
        native,
        Box::new(|cc| {
            let folder = TempDir::new()?;
            let ctx = cc.egui_ctx.clone();
            let config = EngineConfig {
                library_dir: folder.path().join("library"),
                data_dir: folder.path().join("data"),
                wildcard_folders: Vec::new(),
                model_folders: Vec::new(),
                embedded_models: pentimento::starter::embedded_models().to_vec(),
                threads: Some(2),
                device: "cpu".to_owned(),
                previews: PreviewMode::default(),
                memory_bytes: None,
            };
            let engine: Box<dyn EngineClient> = Box::new(Engine::start(
                config,
                std::sync::Arc::new(move || ctx.request_repaint()),
            )?);
            let options = StudioOptions {
                data_dir: Some(folder.path().join("data")),
                library_dir: Some(folder.path().join("library")),
                models_dir: Some(folder.path().join("models")),
                ..StudioOptions::default()
            };
            Ok(Box::new(Measured {
                studio: StudioApp::new(&cc.egui_ctx, engine, options),
                pace: Pace::Opening,
                submitted: 0,
                last: None,
                as_shipped: Samples::default(),
                always: Samples::default(),
                _folder: folder,
            }))
        }),
    );
    opened.unwrap_or_else(|error| panic!("the window: {error}"));
}
