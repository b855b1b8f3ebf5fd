//! How the networks are run: CLIP skip, the part of the run that is guided, what steps take over from
//! earlier ones.

use egui::Ui;
use pentimento_engine::recipe::NetworkOptions;

use crate::studio::draft::Sampling;
use crate::text::t;
use crate::widgets;

/// Deepest layer on the slider; its number goes on.
const CLIP_SKIP_SHOWN: f64 = 12.0;
/// Steps on the sliders; their numbers go on.
const EVERY_SHOWN: f64 = 6.0;
/// Outermost branches, those that save time.
const BRANCH_SHOWN: f64 = 8.0;

/// Draws the rows into the advanced section.
pub(super) fn network_ui(ui: &mut Ui, sampling: &mut Sampling) {
    let NetworkOptions {
        guidance_interval: interval,
        reuse,
        easy_cache,
        clip_skip,
        ..
    } = &mut sampling.network;
    whole_ui(
        ui,
        "clip-skip",
        "clip-skip-tip",
        clip_skip,
        [1.0, CLIP_SKIP_SHOWN, 24.0],
    );
    // Where guidance is off, no part of the run is guided.
    if sampling.guidance > 1.0 {
        let [from, until] = [&mut interval.from, &mut interval.until];
        let moved = share_ui(ui, "guide-from", "guide-from-tip", from);
        if moved && *from > *until {
            *until = *from;
        }
        let moved = share_ui(ui, "guide-until", "guide-until-tip", until);
        if moved && *until < *from {
            *from = *until;
        }
        let every = &mut reuse.negative_every;
        whole_ui(
            ui,
            "negative-every",
            "negative-every-tip",
            every,
            [1.0, EVERY_SHOWN, 20.0],
        );
    }
    let every = &mut reuse.deep_every;
    whole_ui(
        ui,
        "deep-every",
        "deep-every-tip",
        every,
        [1.0, EVERY_SHOWN, 20.0],
    );
    if reuse.deep_every > 1 {
        let branch = &mut reuse.deep_branch;
        whole_ui(
            ui,
            "deep-branch",
            "deep-branch-tip",
            branch,
            [0.0, BRANCH_SHOWN, 63.0],
        );
    }
    let threshold = &mut easy_cache.threshold;
    widgets::slider_ui(ui, t("easy-cache"), threshold, 0.0..=0.5, 0.0..=3.0, 0.05)
        .on_hover_text(t("easy-cache-tip"));
    if !easy_cache.is_off() {
        let [from, until] = [&mut easy_cache.from, &mut easy_cache.until];
        if share_ui(ui, "easy-cache-from", "easy-cache-from-tip", from) {
            *until = until.max(*from);
        }
        if share_ui(ui, "easy-cache-until", "easy-cache-until-tip", until) {
            *from = from.min(*until);
        }
    }
    if !(reuse.is_off() && easy_cache.is_off()) {
        widgets::note_ui(ui, t("reuse-note"));
    }
}

/// A slider for a share of the run; whether it was moved.
fn share_ui(ui: &mut Ui, label: &'static str, tip: &'static str, share: &mut f64) -> bool {
    let before = *share;
    widgets::slider_ui(ui, t(label), share, 0.0..=1.0, 0.0..=1.0, 0.05).on_hover_text(t(tip));
    *share != before
}

/// A slider for a whole number: its least, the most it shows, and the most its field takes.
fn whole_ui(
    ui: &mut Ui,
    label: &'static str,
    tip: &'static str,
    value: &mut u32,
    [least, shown, most]: [f64; 3],
) {
    let mut number = f64::from(*value);
    widgets::slider_ui(ui, t(label), &mut number, least..=shown, least..=most, 1.0)
        .on_hover_text(t(tip));
    *value = number.round().clamp(least, most) as u32;
}
