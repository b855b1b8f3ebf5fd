//! From a typed prompt to a picture in the gallery to a repainted region, with keyboard and pointer only, as an
//! artist would; then the same recipe without the window.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use pentimento::studio::document::mask_of_plane;
use pentimento::text::t;
use pentimento::{StudioApp, StudioOptions};
use pentimento_engine::raster::{Picture, load_picture};
use pentimento_engine::recipe::{Record, read_record_file};
use support::running::{Options, Running, request};

const PROMPT: &str = "a red apple, 3d";

/// The window on a real engine.
struct Studio {
    window: Harness<'static, StudioApp>,
    folder: tempfile::TempDir,
    /// Most steps a preview was shown for.
    preview_step: u32,
}

impl Studio {
    fn open() -> Self {
        let running = Running::with(Options {
            previews: true,
            model_folders: Vec::new(),
            ..Options::default()
        });
        let (engine, folder) = running.into_parts();
        let options = StudioOptions {
            data_dir: Some(folder.path().join("data")),
            library_dir: Some(folder.path().join("library")),
            models_dir: Some(folder.path().join("models")),
            ..StudioOptions::default()
        };
        let window = Harness::builder()
            .with_size([1280.0, 900.0])
            .with_max_steps(60)
            .build_eframe(move |cc| {
                let app = StudioApp::new(&cc.egui_ctx, Box::new(engine), options);
                cc.egui_ctx.all_styles_mut(|style| {
                    style.animation_time = 0.0;
                    style.visuals.text_cursor.blink = false;
                });
                app
            });
        Self {
            window,
            folder,
            preview_step: 0,
        }
    }

    fn wait_for(&mut self, what: &str, done: impl Fn(&StudioApp) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !done(self.window.state()) {
            let notices = &self.window.state().studio().notices;
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; {notices:?}"
            );
            std::thread::sleep(Duration::from_millis(2));
            self.window.step();
            let preview = self.window.state().studio().preview.as_ref();
            self.preview_step = self
                .preview_step
                .max(preview.map_or(0, |preview| preview.step));
        }
        self.window.run_ok();
    }

    fn wait_for_pictures(&mut self, count: usize) -> Vec<PathBuf> {
        self.wait_for("the picture in the gallery", |app| {
            app.studio().gallery.entries.len() == count && !app.studio().jobs.is_busy()
        });
        // The newest comes first.
        self.window
            .state()
            .studio()
            .gallery
            .entries
            .iter()
            .map(|entry| entry.path.clone())
            .collect()
    }

    fn generate(&mut self) {
        self.window
            .key_press_modifiers(Modifiers::COMMAND, Key::Enter);
        self.window.run_ok();
    }
}

fn record_of(path: &Path) -> Record {
    read_record_file(path)
        .unwrap()
        .expect("the file carries its recipe")
        .record
}

/// How many colours differ by much: a drawn picture, not a plain area.
fn is_drawn(picture: &Picture) -> bool {
    let (mut low, mut high) = (255, 0);
    for pixel in picture.rgba.as_chunks::<4>().0 {
        low = low.min(pixel[1]);
        high = high.max(pixel[1]);
    }
    high - low > 100
}

#[test]
fn from_a_prompt_to_a_repainted_region() {
    let mut studio = Studio::open();
    studio.wait_for("the built-in model", |app| app.studio().can_generate());

    // Type a prompt, press Ctrl+Enter, watch the picture form.
    let prompt = || egui::Role::MultilineTextInput;
    studio
        .window
        .get_by_role_and_label(prompt(), t("prompt"))
        .focus();
    studio.window.run_ok();
    studio
        .window
        .get_by_role_and_label(prompt(), t("prompt"))
        .type_text(PROMPT);
    studio.window.run_ok();
    studio.generate();
    let first = studio.wait_for_pictures(1).remove(0);
    assert!(
        studio.preview_step > 1,
        "no preview was shown while the picture formed"
    );
    let record = record_of(&first);
    assert_eq!(record.recipe.prompt, PROMPT);
    assert!(record.recipe.model.sha256.is_some());
    let before = load_picture(&first).unwrap();
    assert!(is_drawn(&before), "a picture, not a plain area");

    // The result becomes the picture on the canvas; a rectangle is masked with the pointer.
    studio.window.get_by_label(t("action-accept")).click();
    studio.wait_for("the picture on the canvas", |app| {
        app.studio().has_picture()
    });
    let canvas = studio
        .window
        .get_by_role_and_label(egui::Role::Canvas, t("canvas"))
        .rect();
    studio.window.key_press(Key::R);
    studio.window.run_ok();
    for (at, step) in [
        (Vec2::splat(-60.0), 0),
        (Vec2::ZERO, 1),
        (Vec2::new(70.0, 50.0), 2),
    ] {
        let position = canvas.center() + at;
        match step {
            0 => studio.window.drag_at(position),
            1 => studio.window.hover_at(position),
            _ => {
                studio.window.hover_at(position);
                studio.window.step();
                studio.window.drop_at(position);
            }
        }
        studio.window.step();
    }
    studio.wait_for("the mask", |app| app.studio().has_mask());
    let mask = mask_of_plane(
        &studio
            .window
            .state()
            .studio()
            .document
            .canvas()
            .unwrap()
            .mask,
    );
    let painted = mask.values.iter().filter(|&&value| value > 0).count();
    assert!(
        painted > 20 && painted < mask.values.len() / 2,
        "{painted} pixels are masked"
    );

    // Repaint it.
    studio.window.get_by_label(t("generate-repaint"));
    studio.generate();
    let pictures = studio.wait_for_pictures(2);
    let second = pictures.iter().find(|path| **path != first).unwrap();
    let record = record_of(second);
    assert_eq!(record.outcome.unmasked_pixels_verified, Some(true));
    let start = record
        .recipe
        .start
        .as_ref()
        .expect("it started from the picture");
    assert!(start.inpaint.is_some());
    let after = load_picture(second).unwrap();
    let mut repainted = 0;
    for y in 0..before.height_px {
        for x in 0..before.width_px {
            let same = before.pixel(x, y) == after.pixel(x, y);
            assert!(
                same || mask.value(x, y) > 0,
                "({x}, {y}) was not masked and changed"
            );
            repainted += usize::from(!same);
        }
    }
    assert!(
        repainted > painted / 4,
        "{repainted} of {painted} masked pixels changed"
    );

    // Both recipes give the same pixels again, in another engine without a window.
    let library = studio.folder.path().join("library");
    drop(studio.window);
    let alone = Running::with(Options {
        threads: 1,
        model_folders: Vec::new(),
        ..Options::default()
    });
    copy_blobs(&library, &alone.folder().join("library"));
    for (path, picture) in [(&first, &before), (second, &after)] {
        let again = alone.pictures(request(record_of(path).recipe)).unwrap();
        assert!(again[0] == *picture, "{}", path.display());
    }
}

fn copy_blobs(from: &Path, to: &Path) {
    support::places::copy_folder(&from.join("blobs"), &to.join("blobs"));
}
