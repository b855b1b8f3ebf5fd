//! The window from 1280 x 720 at 150 % up to 4K: nothing panics, and what matters stays in sight.

use egui_kittest::kittest::Queryable as _;
use pentimento::command::Action;
use support::fake_engine::FakeEngine;

use crate::harness::TestStudio;

/// In points: 1280 x 720 at 150 %, as it is, full HD, 4K.
const SIZES: [[f32; 2]; 4] = [
    [853.0, 480.0],
    [1280.0, 720.0],
    [1920.0, 1080.0],
    [3840.0, 2160.0],
];

#[test]
fn the_start_button_is_whole_at_every_size() {
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let studio = TestStudio::open(FakeEngine::new(), folder, size);
        let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
        for label in ["Generate", "Settings", "Only starred pictures"] {
            let rect = studio
                .window
                .get_all_by_label(label)
                .last()
                .expect("is there")
                .rect();
            assert!(window.contains_rect(rect), "{label} {rect:?} in {size:?}");
        }
    }
}

#[test]
fn every_dialog_fits_every_size() {
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let mut studio = TestStudio::open(FakeEngine::new(), folder, size);
        let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
        for action in [Action::OpenSettings, Action::OpenHelp, Action::OpenAbout] {
            studio.window.state_mut().send(action);
            studio.run();
            let close = studio.window.get_by_label("Close").rect();
            assert!(
                window.contains_rect(close),
                "{action:?} {close:?} in {size:?}"
            );
        }
    }
}

#[test]
fn scaling_the_interface_keeps_it_usable() {
    let mut studio = TestStudio::new();
    for _ in 0..4 {
        studio.window.state_mut().send(Action::ScaleUp);
        studio.run();
    }
    assert_eq!(studio.window.state().studio().settings.scale_percent, 200);
    assert!((studio.window.ctx.zoom_factor() - 2.0).abs() < 0.01);
    studio.window.state_mut().send(Action::ScaleReset);
    studio.run();
    assert!((studio.window.ctx.zoom_factor() - 1.0).abs() < 0.01);
}
