//! The canvas under a scripted pointer: strokes, tools, zoom, undo, results.

use egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, Vec2, vec2};
use egui_kittest::kittest::Queryable as _;
use pentimento::studio::Studio;
use pentimento::studio::canvas_command::CanvasCommand;
use pentimento::studio::draft::StartMode;
use pentimento::studio::edit::Canvas;
use pentimento::studio::staging::Compare;
use pentimento_engine::event::JobId;
use pentimento_engine::raster::encode_png;
use support::fake_engine::gradient;

use crate::harness::{TestStudio, recipe};

/// Side of the picture that most tests open.
const SIDE: u32 = 256;

/// A studio with a picture on the canvas.
fn with_canvas() -> TestStudio {
    let mut studio = TestStudio::new();
    studio.window.state_mut().send(CanvasCommand::Open {
        picture: gradient(SIDE, SIDE, 40),
        name: "test".to_owned(),
    });
    studio.window.step();
    studio.run();
    studio
}

impl TestStudio {
    fn state(&self) -> &Studio {
        self.window.state().studio()
    }

    fn canvas(&self) -> &Canvas {
        self.state().document.canvas().expect("a picture is open")
    }

    fn mask_at(&self, x: u32, y: u32) -> u8 {
        self.canvas().mask.pixel(x, y)[0]
    }

    fn canvas_rect(&self) -> Rect {
        self.window
            .get_by_role_and_label(egui::Role::Canvas, "Canvas")
            .rect()
    }

    /// The screen point of a picture point while the picture is fitted.
    fn on_screen(&self, x: f32, y: f32) -> Pos2 {
        let rect = self.canvas_rect();
        let zoom = ((rect.width() - 48.0) / SIDE as f32)
            .min((rect.height() - 48.0) / SIDE as f32)
            .min(4.0);
        let middle = SIDE as f32 / 2.0;
        rect.center() + vec2(x - middle, y - middle) * zoom
    }

    fn button(&self, pos: Pos2, pressed: bool, modifiers: Modifiers) {
        self.window.event(Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers,
        });
    }

    /// Drags through picture points; `in_one_frame` delivers every event at once.
    fn drag(&mut self, points: &[(f32, f32)], modifiers: Modifiers, in_one_frame: bool) {
        let points: Vec<Pos2> = points.iter().map(|(x, y)| self.on_screen(*x, *y)).collect();
        self.window.event(Event::PointerMoved(points[0]));
        self.window.step();
        self.button(points[0], true, modifiers);
        for point in &points[1..] {
            if !in_one_frame {
                self.window.step();
            }
            self.window.event(Event::PointerMoved(*point));
        }
        if !in_one_frame {
            self.window.step();
        }
        let last = points[points.len() - 1];
        self.button(last, false, modifiers);
        self.run();
    }

    fn key(&mut self, key: Key) {
        self.window.key_press(key);
        self.run();
    }

    fn ctrl(&mut self, key: Key) {
        self.window.key_press_modifiers(Modifiers::COMMAND, key);
        self.run();
    }
}

#[test]
fn a_stroke_paints_the_mask_also_when_it_falls_into_one_frame() {
    for in_one_frame in [false, true] {
        let mut studio = with_canvas();
        let path = [(40.0, 40.0), (128.0, 128.0), (210.0, 60.0)];
        studio.drag(&path, Modifiers::NONE, in_one_frame);
        for (x, y) in [(40, 40), (84, 84), (128, 128), (169, 94), (210, 60)] {
            assert_eq!(studio.mask_at(x, y), 255, "{x} {y} {in_one_frame}");
        }
        assert_eq!(studio.mask_at(128, 220), 0);
        assert_eq!(studio.mask_at(20, 128), 0);
        assert_eq!(
            studio.state().draft.start.mode,
            StartMode::Repaint,
            "painting means to repaint"
        );
    }
}

#[test]
fn undo_and_redo_by_key_go_stroke_by_stroke() {
    let mut studio = with_canvas();
    studio.drag(&[(60.0, 60.0), (90.0, 60.0)], Modifiers::NONE, false);
    studio.drag(&[(60.0, 190.0), (90.0, 190.0)], Modifiers::NONE, false);
    let both = studio.canvas().mask.clone();
    studio.ctrl(Key::Z);
    assert_eq!((studio.mask_at(75, 60), studio.mask_at(75, 190)), (255, 0));
    studio.ctrl(Key::Z);
    assert!(!studio.state().has_mask());
    studio
        .window
        .key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    studio.run();
    studio.ctrl(Key::Y);
    assert!(studio.canvas().mask == both);
}

#[test]
fn keys_choose_tools_and_sizes_but_not_while_typing() {
    let mut studio = with_canvas();
    for (key, tool) in [
        (Key::E, "eraser"),
        (Key::R, "rectangle"),
        (Key::L, "lasso"),
        (Key::G, "fill"),
        (Key::H, "pan"),
        (Key::U, "rectangle"),
        (Key::B, "brush"),
    ] {
        studio.key(key);
        assert_eq!(studio.state().tools.tool, tool);
    }
    let before = studio.state().tools.brush_size_px;
    studio.key(Key::CloseBracket);
    assert!(studio.state().tools.brush_size_px > before);
    studio.key(Key::OpenBracket);
    studio.key(Key::OpenBracket);
    assert!(studio.state().tools.brush_size_px < before);
    studio.ctrl(Key::P);
    studio.key(Key::E);
    assert_eq!(studio.state().tools.tool, "brush", "the prompt has the key");
}

#[test]
fn every_tool_has_a_button_with_its_name() {
    let mut studio = with_canvas();
    for (label, id) in [
        ("Eraser (E)", "eraser"),
        ("Rectangle (R)", "rectangle"),
        ("Lasso (L)", "lasso"),
        ("Fill (G)", "fill"),
        ("Hand (H)", "pan"),
        ("Brush (B)", "brush"),
    ] {
        studio.window.get_by_label(label).click();
        studio.run();
        assert_eq!(studio.state().tools.tool, id);
    }
}

#[test]
fn rectangle_eraser_and_alt_add_and_take_away() {
    let mut studio = with_canvas();
    studio.key(Key::R);
    studio.drag(&[(50.5, 60.5), (150.5, 160.5)], Modifiers::NONE, false);
    assert_eq!(studio.mask_at(50, 60), 255);
    assert_eq!(studio.mask_at(150, 160), 255);
    assert_eq!(studio.mask_at(49, 60), 0);
    assert_eq!(studio.mask_at(151, 161), 0);
    studio.drag(&[(100.5, 100.5), (120.5, 120.5)], Modifiers::ALT, false);
    assert_eq!(studio.mask_at(110, 110), 0, "Alt takes away");
    assert_eq!(studio.mask_at(60, 70), 255);
    studio.key(Key::E);
    studio.drag(&[(60.0, 70.0), (61.0, 70.0)], Modifiers::NONE, false);
    assert_eq!(studio.mask_at(60, 70), 0);
}

#[test]
fn lasso_and_fill_mask_areas() {
    let mut studio = with_canvas();
    studio.key(Key::L);
    let outline = [(40.0, 40.0), (200.0, 40.0), (200.0, 200.0), (40.0, 200.0)];
    studio.drag(&outline, Modifiers::NONE, true);
    assert_eq!(studio.mask_at(120, 120), 255);
    assert_eq!(studio.mask_at(20, 20), 0);
    studio
        .window
        .state_mut()
        .send(pentimento::action::Action::ClearMask);
    studio.window.step();
    studio.run();
    assert!(!studio.state().has_mask());
    studio.key(Key::G);
    studio.drag(&[(128.0, 128.0), (128.0, 128.0)], Modifiers::NONE, false);
    studio.wait_for("the fill", |app| app.studio().has_mask());
    assert_eq!(studio.mask_at(128, 128), 255);
    let area = studio.canvas().mask.to_bytes();
    let painted = area.iter().filter(|&&value| value == 255).count();
    assert!(painted < area.len(), "a gradient is not all alike");
}

#[test]
fn shift_draws_a_straight_line_from_the_last_stroke() {
    let mut studio = with_canvas();
    studio.drag(&[(40.0, 200.0), (41.0, 200.0)], Modifiers::NONE, false);
    studio.drag(&[(200.0, 200.0), (201.0, 200.0)], Modifiers::SHIFT, false);
    assert_eq!(studio.mask_at(120, 200), 255);
}

#[test]
fn escape_takes_the_running_stroke_back() {
    let mut studio = with_canvas();
    let at = studio.on_screen(128.0, 128.0);
    studio.window.event(Event::PointerMoved(at));
    studio.window.step();
    studio.button(at, true, Modifiers::NONE);
    studio.window.step();
    studio.window.step();
    assert!(studio.state().document.is_drawing());
    studio.window.key_press(Key::Escape);
    studio.window.step();
    studio.window.step();
    assert!(!studio.state().document.is_drawing());
    studio.button(at, false, Modifiers::NONE);
    studio.run();
    assert!(!studio.state().has_mask());
}

#[test]
fn the_wheel_zooms_about_the_pointer_and_space_moves_the_view() {
    let mut studio = with_canvas();
    let anchor = studio.on_screen(60.0, 60.0);
    studio.window.event(Event::PointerMoved(anchor));
    studio.window.step();
    for _ in 0..4 {
        studio.window.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: Vec2::new(0.0, 1.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: Modifiers::NONE,
        });
        studio.window.step();
    }
    // The pointer has not moved, nor has the picture below it.
    studio.button(anchor, true, Modifiers::NONE);
    studio.button(anchor, false, Modifiers::NONE);
    studio.run();
    assert_eq!(studio.mask_at(60, 60), 255);
    studio.ctrl(Key::Z);
    let before = studio.canvas().mask.clone();
    studio.window.event(key_event(Key::Space, true));
    studio.window.step();
    studio.button(anchor, true, Modifiers::NONE);
    studio
        .window
        .event(Event::PointerMoved(anchor + vec2(40.0, 30.0)));
    studio.window.step();
    studio.button(anchor + vec2(40.0, 30.0), false, Modifiers::NONE);
    studio.window.event(key_event(Key::Space, false));
    studio.run();
    assert!(studio.canvas().mask == before, "moving paints nothing");
    let moved = anchor + vec2(40.0, 30.0);
    studio.button(moved, true, Modifiers::NONE);
    studio.button(moved, false, Modifiers::NONE);
    studio.run();
    assert_eq!(studio.mask_at(60, 60), 255, "the same place, moved along");
    studio.window.get_by_label("Fit picture to window").click();
    studio.run();
    assert!(studio.canvas_rect().contains(studio.on_screen(0.0, 0.0)));
}

fn key_event(key: Key, pressed: bool) -> Event {
    Event::Key {
        key,
        physical_key: None,
        pressed,
        repeat: false,
        modifiers: Modifiers::NONE,
    }
}

#[test]
fn a_result_is_staged_compared_and_accepted() {
    let mut studio = with_canvas();
    studio.drag(&[(60.0, 60.0), (90.0, 60.0)], Modifiers::NONE, false);
    let mask = studio.canvas().mask.clone();
    let before = studio.canvas().picture.clone();
    stage(&mut studio, 90);
    assert_eq!(studio.state().staging.results().len(), 1);
    assert!(studio.canvas().picture == before, "nothing is changed yet");
    studio.key(Key::Backslash);
    assert_eq!(studio.state().staging.compare(), Compare::Before);
    studio.window.get_by_label("Show both sides").click();
    studio.run();
    assert_eq!(studio.state().staging.compare(), Compare::Split);
    studio.window.get_by_label("Accept result").click();
    studio.run();
    assert!(studio.state().staging.is_empty());
    assert!(studio.canvas().picture != before);
    assert!(studio.canvas().mask == mask, "the mask stays");
    studio.ctrl(Key::Z);
    assert!(studio.canvas().picture == before, "accepting can be undone");
}

#[test]
fn painting_on_the_only_picture_there_is_accepts_it() {
    let mut studio = TestStudio::new();
    stage(&mut studio, 90);
    assert!(studio.state().document.canvas().is_none());
    studio.drag(&[(60.0, 60.0), (90.0, 60.0)], Modifiers::NONE, false);
    assert!(studio.state().staging.is_empty());
    assert!(studio.mask_at(75, 60) > 0);
    assert_eq!(studio.state().draft.start.mode, StartMode::Repaint);
}

/// A file as the windowing system drops it.
#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn a_dropped_file_is_opened_even_over_a_dialog() {
    let mut studio = TestStudio::new();
    studio
        .window
        .state_mut()
        .send(pentimento::action::Action::OpenSettings);
    studio.run();
    let path = studio.folder.path().join("a holiday.jpg.png");
    let picture = gradient(40, 30, 70);
    std::fs::write(&path, encode_png(&picture).unwrap()).unwrap();
    let dropped = std::sync::Arc::new(Dropped(path));
    studio.window.input_mut().dropped_files.push(dropped);
    studio.window.step();
    studio.wait_for("the picture", |app| {
        app.studio().document.canvas().is_some()
    });
    assert_eq!(studio.canvas().picture.to_bytes(), &*picture.rgba);
    assert_eq!(studio.canvas().title, "a holiday.jpg");
    assert_eq!(studio.state().draft.start.mode, StartMode::Variation);
    assert!(studio.state().overlay.is_none());
}

#[test]
fn discarded_results_leave_the_picture_alone() {
    let mut studio = with_canvas();
    let before = studio.canvas().picture.clone();
    stage(&mut studio, 10);
    studio.window.get_by_label("Discard results").click();
    studio.run();
    assert!(studio.state().staging.is_empty());
    assert!(studio.canvas().picture == before);
}

/// A result arrives as from the engine.
fn stage(studio: &mut TestStudio, seed: u8) {
    let path = std::path::PathBuf::from("result.png");
    let image = gradient(SIDE, SIDE, seed);
    studio
        .engine
        .picture(JobId(7), recipe("a result", 1), path, image);
    studio.window.step();
    studio.run();
}

#[test]
fn the_session_is_there_again_with_its_undo_steps() {
    let mut studio = with_canvas();
    studio.drag(&[(60.0, 60.0), (90.0, 60.0)], Modifiers::NONE, false);
    studio.drag(&[(60.0, 190.0), (90.0, 190.0)], Modifiers::NONE, false);
    let canvas = studio.canvas().clone();
    let mut studio = studio.reopened();
    studio.wait_for("the session", |app| {
        app.studio().document.canvas().is_some()
    });
    assert!(*studio.canvas() == canvas);
    studio.ctrl(Key::Z);
    assert_eq!((studio.mask_at(75, 60), studio.mask_at(75, 190)), (255, 0));
}
