//! A prompt as the model reads it: parts, steps, chunks, words with their weights.

use egui::text::LayoutJob;
use egui::{Label, TextFormat, Ui};
use pentimento_engine::prompt::inspect::{ChunkView, Inspection, PartView};

use crate::text::{t, t_args};
use crate::theme::{self, type_size};

/// Width of the text, in points.
const WIDTH: f32 = 420.0;
/// Chunks shown of one text.
const MOST_CHUNKS: usize = 6;

/// Draws the reading; of a plain prompt only what the numbers mean.
pub fn inspection_ui(ui: &mut Ui, inspection: &Inspection) {
    ui.set_max_width(WIDTH);
    ui.label(t("tokens-tip"));
    if !inspection.is_interesting() {
        return;
    }
    if let Some(chosen) = &inspection.chosen {
        ui.label(theme::strong(t("prompt-chosen")));
        ui.add(Label::new(chosen).wrap());
    }
    for part in &inspection.parts {
        if inspection.parts.len() > 1 {
            let weight = t_args("prompt-part", [("weight", part.weight.into())]);
            ui.label(theme::strong(weight));
        }
        part_ui(ui, part);
    }
}

fn part_ui(ui: &mut Ui, part: &PartView) {
    for span in &part.spans {
        if part.spans.len() > 1 {
            let [first, last] = span.steps;
            let steps = t_args(
                "prompt-steps",
                [("first", first.into()), ("last", last.into())],
            );
            ui.label(theme::muted(ui, steps));
        }
        for chunk in span.chunks.iter().take(MOST_CHUNKS) {
            let words = words(ui, chunk);
            ui.add(Label::new(words).wrap());
        }
        if span.chunks.len() > 1 {
            let chunks = t_args("prompt-chunks", [("count", span.chunks.len().into())]);
            ui.label(theme::muted(ui, chunks));
        }
    }
    if part.more_spans > 0 {
        let more = t_args("prompt-more-spans", [("count", part.more_spans.into())]);
        ui.label(theme::muted(ui, more));
    }
}

/// “• a red (apple 1.3)”, weighted words in the accent.
fn words(ui: &Ui, chunk: &ChunkView) -> LayoutJob {
    let palette = theme::palette(ui);
    let font = egui::FontId::proportional(type_size::SMALL);
    let mut job = LayoutJob::default();
    job.append("• ", 0.0, TextFormat::simple(font.clone(), palette.faint));
    for (text, weight) in &chunk.words {
        let (written, color) = if *weight == 1.0 {
            (format!("{text} "), palette.muted)
        } else {
            let weight = (f64::from(*weight) * 1000.0).round() / 1000.0;
            (format!("({text} {weight}) "), palette.accent)
        };
        job.append(&written, 0.0, TextFormat::simple(font.clone(), color));
    }
    job
}
