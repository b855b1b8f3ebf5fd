//! What made a picture, as a readable table and as text.

use egui::{Label, Ui};
use pentimento_engine::catalog::{Catalog, Choice};
use pentimento_engine::recipe::{
    AddOnKind, DecodeTiles, InpaintArea, Knobs, MaskedContent, NetworkOptions, NoiseKind,
    Precision, Record, VaeChoice,
};

use super::numbers::joined;
use super::progress::duration_text;
use crate::text::{t, t_args};
use crate::theme;

/// The rows of a record: name and value, in reading order. `notes`: what could not be honoured when
/// it was read. `catalog` gives the ids their names.
pub fn recipe_rows(
    record: &Record,
    notes: &[String],
    catalog: &Catalog,
) -> Vec<(&'static str, String)> {
    let recipe = &record.recipe;
    let mut rows = vec![(t("prompt"), recipe.prompt.clone())];
    if !recipe.negative_prompt.is_empty() {
        rows.push((t("negative-prompt"), recipe.negative_prompt.clone()));
    }
    if let Some(template) = &recipe.prompting.template {
        rows.push((t("template"), template.prompt.clone()));
    }
    rows.extend([
        (t("model"), model_name(catalog, &recipe.model.id)),
        (
            t("size"),
            format!("{} × {}", recipe.width_px, recipe.height_px),
        ),
        (t("seed"), recipe.seed.to_string()),
        (t("steps"), recipe.steps.to_string()),
        (t("guidance"), number(recipe.guidance)),
    ]);
    if let Some(scale) = recipe.image_guidance {
        rows.push((t("image-guidance"), number(scale)));
    }
    if recipe.guidance_rescale > 0.0 {
        rows.push((t("guidance-rescale"), number(recipe.guidance_rescale)));
    }
    rows.extend([
        (t("sampler"), label(&catalog.samplers, &recipe.sampler)),
        (t("schedule"), label(&catalog.schedules, &recipe.schedule)),
    ]);
    rows.extend(knob_rows(&recipe.knobs));
    rows.extend(network_rows(&recipe.network));
    rows.extend(add_on_rows(record));
    if let Some(refiner) = &recipe.refiner {
        let (model, at) = (refiner.model.id.clone(), number(refiner.switch_at));
        let arguments = [("model", model.into()), ("at", at.into())];
        rows.push((t("refiner"), t_args("refiner-from", arguments)));
    }
    if let Some(start) = &recipe.start {
        rows.push((t("strength"), number(start.strength)));
        if let Some(inpaint) = &start.inpaint {
            rows.push((t("mask-blur"), format!("{} px", inpaint.blur_px)));
            rows.push((
                t("masked-content"),
                masked_content_text(inpaint.content).to_owned(),
            ));
            rows.push((t("area"), area_text(inpaint.area)));
        }
    }
    rows.extend([
        (t("noise"), noise_text(recipe.noise_source).to_owned()),
        (t("precision"), precision_text(recipe.precision).to_owned()),
    ]);
    rows.extend(outcome_rows(record));
    rows.extend(notes.iter().map(|note| (t("note"), note.clone())));
    rows
}

/// The knobs away from their rest.
fn knob_rows(knobs: &Knobs) -> Vec<(&'static str, String)> {
    let rest = Knobs::default();
    let mut rows = Vec::new();
    for (key, value, at_rest) in [
        ("eta", knobs.eta, rest.eta),
        ("s-churn", Some(knobs.s_churn), Some(rest.s_churn)),
        ("s-tmin", Some(knobs.s_tmin), Some(rest.s_tmin)),
        ("s-tmax", knobs.s_tmax, rest.s_tmax),
        ("s-noise", Some(knobs.s_noise), Some(rest.s_noise)),
        ("rho", knobs.rho, rest.rho),
    ] {
        if let Some(value) = value.filter(|_| value != at_rest) {
            rows.push((t(key), number(value)));
        }
    }
    if knobs.step_noise != rest.step_noise {
        rows.push((t("step-noise"), t("step-noise-brownian").to_owned()));
    }
    if !knobs.sigmas.is_empty() {
        rows.push((t("sigmas"), joined(&knobs.sigmas)));
    }
    rows
}

/// The options of the networks away from their rest.
fn network_rows(options: &NetworkOptions) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if options.clip_skip > 1 {
        rows.push((t("clip-skip"), options.clip_skip.to_string()));
    }
    if let Some(lender) = &options.parts_from {
        rows.push((t("parts"), lender.id.clone()));
    }
    if let VaeChoice::File(file) = &options.vae {
        rows.push((t("vae"), file.id.clone()));
    }
    if !options.decoder.is_full() {
        rows.push((t("decoder"), t("decoder-tiny").to_owned()));
    }
    if let DecodeTiles::Tiled { side_px } = options.tiles {
        rows.push((t("decode-tiles"), format!("{side_px} px")));
    }
    let interval = options.guidance_interval;
    if !interval.is_whole() {
        let ends = [interval.from, interval.until].map(number);
        rows.push((t("guided"), ends.join(" – ")));
    }
    let reuse = options.reuse;
    if reuse.negative_every > 1 {
        rows.push((t("negative-every"), reuse.negative_every.to_string()));
    }
    if reuse.deep_every > 1 {
        rows.push((t("deep-every"), reuse.deep_every.to_string()));
        rows.push((t("deep-branch"), reuse.deep_branch.to_string()));
    }
    let easy = options.easy_cache;
    if !easy.is_off() {
        let [threshold, from, until] = [easy.threshold, easy.from, easy.until].map(number);
        rows.push((t("easy-cache"), format!("{threshold}, {from} – {until}")));
    }
    rows
}

/// What took part beside the model; of a record without an outcome what it asks for.
fn add_on_rows(record: &Record) -> Vec<(&'static str, String)> {
    let row = |key, name: &str, [unet, text]: [f64; 2]| {
        let weights = if unet == text {
            number(unet)
        } else {
            format!(
                "{} ({} {})",
                number(unet),
                t("add-on-text-weight"),
                number(text)
            )
        };
        (t(key), format!("{name} {weights}"))
    };
    let made = &record.outcome.add_ons;
    if made.is_empty() {
        let asked = record.recipe.add_ons_asked().0;
        let rows = asked.iter();
        return rows
            .map(|one| row("add-ons", &one.name, [one.unet, one.text]))
            .collect();
    }
    let rows = made.iter().map(|one| match one.kind {
        AddOnKind::Lora => row("add-ons", &one.name, [one.unet, one.text]),
        AddOnKind::Embedding => (t("embedding"), one.name.clone()),
    });
    rows.collect()
}

fn outcome_rows(record: &Record) -> Vec<(&'static str, String)> {
    let outcome = &record.outcome;
    let mut rows = Vec::new();
    if outcome.elapsed_secs > 0.0 {
        rows.push((t("time"), duration_text(outcome.elapsed_secs)));
    }
    if !outcome.device.is_empty() {
        rows.push((
            t("device"),
            [outcome.device.as_str(), outcome.kernels.as_str()]
                .join(" ")
                .trim()
                .to_owned(),
        ));
    }
    match outcome.unmasked_pixels_verified {
        Some(true) => rows.push((t("unmasked"), t("unmasked-verified").to_owned())),
        Some(false) => rows.push((t("unmasked"), t("unmasked-differs").to_owned())),
        None => {}
    }
    for warning in &outcome.warnings {
        rows.push((t("note"), warning.clone()));
    }
    rows
}

/// The record as lines of text, for the clipboard.
pub fn recipe_text(record: &Record, notes: &[String], catalog: &Catalog) -> String {
    let lines: Vec<String> = recipe_rows(record, notes, catalog)
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.join("\n")
}

/// Shows the rows: names in a muted column, values that wrap and can be selected.
pub fn recipe_table_ui(ui: &mut Ui, record: &Record, notes: &[String], catalog: &Catalog) {
    const NAMES: f32 = 104.0;
    ui.spacing_mut().item_spacing.y = 6.0;
    for (name, value) in recipe_rows(record, notes, catalog) {
        ui.horizontal_top(|ui| {
            ui.allocate_ui(egui::vec2(NAMES, 16.0), |ui| {
                ui.set_min_width(NAMES);
                ui.add(Label::new(theme::muted(ui, name).size(12.5)).wrap());
            });
            ui.vertical(|ui| {
                ui.add(Label::new(value).wrap().selectable(true));
            });
        });
    }
}

/// What the masked area holds at first, in words.
pub fn masked_content_text(content: MaskedContent) -> &'static str {
    match content {
        MaskedContent::Original => t("content-original"),
        MaskedContent::Fill => t("content-fill"),
        MaskedContent::Noise => t("content-noise"),
        MaskedContent::Nothing => t("content-nothing"),
    }
}

fn area_text(area: InpaintArea) -> String {
    match area {
        InpaintArea::WholePicture => t("area-whole").to_owned(),
        InpaintArea::OnlyMasked { padding_px } => {
            t_args("area-masked-padding", [("padding", padding_px.into())])
        }
    }
}

fn noise_text(noise: NoiseKind) -> &'static str {
    match noise {
        NoiseKind::TorchCpu => t("noise-torch-cpu"),
        NoiseKind::Philox => t("noise-philox"),
    }
}

fn precision_text(precision: Precision) -> &'static str {
    match precision {
        Precision::Auto => t("precision-auto"),
        Precision::F32 => t("precision-f32"),
        Precision::Bf16 => t("precision-bf16"),
        Precision::Int8 => t("precision-int8"),
    }
}

/// The menu's name of a choice; the id where the catalogue has none.
fn label(choices: &[Choice], id: &str) -> String {
    let known = choices.iter().find(|choice| choice.id == id);
    known.map_or_else(|| id.to_owned(), |choice| choice.label.clone())
}

fn model_name(catalog: &Catalog, id: &str) -> String {
    let known = catalog.models.iter().find(|model| model.id == id);
    known.map_or_else(|| id.to_owned(), |model| model.name.clone())
}

/// A number without needless zeros.
fn number(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    rounded.to_string()
}
