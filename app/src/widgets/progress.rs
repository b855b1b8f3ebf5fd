//! A thin progress bar, and durations in words.

use egui::{Response, Role, Sense, Ui, WidgetInfo, vec2};

use crate::text::t_args;
use crate::theme;

/// A bar of the full width, `share` from 0 to 1; `None`: not known yet, drawn as an empty rail.
pub fn progress_bar_ui(ui: &mut Ui, label: &str, share: Option<f32>, height: f32) -> Response {
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, label);
        info.value = share.map(|share| f64::from(share) * 100.0);
        info
    });
    let palette = theme::palette(ui);
    let radius = height / 2.0;
    ui.painter().rect_filled(rect, radius, palette.line);
    if let Some(share) = share {
        let mut done = rect;
        done.set_width((rect.width() * share).max(height.min(rect.width())));
        ui.painter().rect_filled(done, radius, palette.accent);
    }
    response
}

/// Seconds in words: “8 s”, “2 min 05 s”, “1 h 12 min”.
pub fn duration_text(secs: f64) -> String {
    let whole = secs.max(0.0).round() as u64;
    match whole {
        0..60 => t_args("duration-s", [("s", whole.into())]),
        60..3600 => t_args(
            "duration-min",
            [
                ("min", (whole / 60).into()),
                ("s", format!("{:02}", whole % 60).into()),
            ],
        ),
        _ => t_args(
            "duration-h",
            [
                ("h", (whole / 3600).into()),
                ("min", format!("{:02}", whole / 60 % 60).into()),
            ],
        ),
    }
}

/// A number of bytes in MiB or GiB.
pub fn bytes_text(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = bytes as f64 / MIB;
    if mib >= 1024.0 {
        format!("{:.1} GiB", mib / 1024.0)
    } else {
        format!("{mib:.1} MiB")
    }
}
