//! The studio in a harness: a scripted engine, a gallery in a folder of its own, time that steps.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use pentimento::{StudioApp, StudioOptions};
use pentimento_engine::event::JobId;
use pentimento_engine::library::Library;
use pentimento_engine::recipe::Recipe;
use support::fake_engine::{FakeEngine, gradient, record};

/// A studio under test.
pub(crate) struct TestStudio {
    /// The window.
    pub(crate) window: Harness<'static, StudioApp>,
    /// The engine behind it.
    pub(crate) engine: FakeEngine,
    /// Its data and gallery.
    pub(crate) folder: tempfile::TempDir,
}

impl TestStudio {
    /// High enough for all controls: what is scrolled out of sight cannot be clicked.
    const SIZE: [f32; 2] = [1280.0, 1300.0];

    /// A window in which everything is in sight.
    pub(crate) fn new() -> Self {
        Self::open(FakeEngine::new(), tempfile::tempdir().unwrap(), Self::SIZE)
    }

    /// A window of that size on that engine, with what lies in `folder`.
    pub(crate) fn open(engine: FakeEngine, folder: tempfile::TempDir, size: [f32; 2]) -> Self {
        let options = StudioOptions {
            data_dir: Some(folder.path().join("data")),
            library_dir: Some(folder.path().join("library")),
            default_library_dir: Some(folder.path().join("library")),
            models_dir: Some(folder.path().join("models")),
        };
        let client = engine.clone();
        let mut window = Harness::builder()
            .with_size(size)
            .with_max_steps(60)
            .build_eframe(move |cc| {
                let app = StudioApp::new(&cc.egui_ctx, Box::new(client), options);
                cc.egui_ctx.all_styles_mut(|style| {
                    style.animation_time = 0.0;
                    style.visuals.text_cursor.blink = false;
                });
                app
            });
        window.run_ok();
        Self {
            window,
            engine,
            folder,
        }
    }

    /// Closes the window and opens it again on the same folders.
    pub(crate) fn reopened(mut self) -> Self {
        eframe::App::on_exit(self.window.state_mut());
        let size = self.window.ctx.content_rect().size();
        let Self {
            folder,
            engine,
            window,
        } = self;
        drop(window);
        Self::open(engine, folder, size.into())
    }

    /// Steps until `done`, at most for ten seconds: worker threads answer when they can.
    pub(crate) fn wait_for(&mut self, what: &str, done: impl Fn(&StudioApp) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(self.window.state()) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
            self.window.step();
        }
        self.run();
    }

    /// Steps until nothing moves any more.
    pub(crate) fn run(&mut self) {
        self.window.run_ok();
    }

    /// Saves pictures with these prompts into the gallery and has it listed; the last is the newest.
    pub(crate) fn with_pictures(prompts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        save_pictures(&folder.path().join("library"), prompts);
        let mut studio = Self::open(FakeEngine::new(), folder, Self::SIZE);
        let count = prompts.len();
        studio.wait_for("the gallery", move |app| {
            app.studio().gallery.entries.len() == count
        });
        studio
    }

    /// Clicks the button that starts a job; a menu has the same name.
    pub(crate) fn click_generate(&mut self) {
        use egui_kittest::kittest::Queryable as _;
        let buttons = self.window.get_all_by_label("Generate");
        let widest = buttons
            .max_by(|a, b| a.rect().width().total_cmp(&b.rect().width()))
            .expect("the button");
        widest.click();
        self.run();
    }

    /// Submits the draft by the keyboard, and starts the job.
    pub(crate) fn generate(&mut self) -> JobId {
        self.window
            .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
        self.run();
        let job = self.engine.start_last();
        self.run();
        job
    }
}

/// Saves a picture for each prompt.
pub(crate) fn save_pictures(root: &Path, prompts: &[&str]) -> Vec<PathBuf> {
    let library = Library::open(root).unwrap();
    prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| {
            let mut record = record(recipe(prompt, 1000 + index as u64));
            record.outcome.finished_unix_ms = 1_790_000_000_000 + 1000 * index as u64;
            let image = gradient(128, 128, 40 * index as u8);
            library.save_picture(&image, &record).unwrap()
        })
        .collect()
}

/// A recipe in which no control has the value it starts with.
pub(crate) fn recipe(prompt: &str, seed: u64) -> Recipe {
    serde_json::from_value(serde_json::json!({
        "version": {"major": 1, "minor": 1},
        "model": {"id": "large"},
        "prompt": prompt,
        "negative_prompt": "fog",
        "width_px": 640,
        "height_px": 384,
        "seed": seed,
        "steps": 17,
        "guidance": 8.5,
        "guidance_rescale": 0.3,
        "sampler": "euler_a",
        "schedule": "karras",
        "knobs": {"eta": 0.4, "s_noise": 1.1, "rho": 5.0},
        "network": {
            "guidance_interval": {"from": 0.1, "until": 0.9},
            "reuse": {"deep_every": 3, "deep_branch": 1, "negative_every": 2},
            "tiles": {"kind": "tiled", "side_px": 768},
            "easy_cache": {"threshold": 0.25, "from": 0.2, "until": 0.9},
            "clip_skip": 2,
        },
        "noise_source": "philox",
        "precision": "f32",
    }))
    .unwrap()
}
