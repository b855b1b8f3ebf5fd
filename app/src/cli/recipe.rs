//! `pentimento recipe FILE`: what made a picture.

use std::io::{self, Write};
use std::path::Path;

use pentimento_engine::recipe::{Dialect, InpaintArea, Knobs, Outcome, Prompting, Recipe, Record};

use super::args::switch;
use super::recipe_file::{Loaded, load_recipe};
use super::{Args, Command, Context, Failure, Opt};

const OPTIONS: &[Opt] = &[switch(
    "json",
    "Print the recipe as JSON, as render --recipe reads it.",
)];

pub(super) const COMMAND: Command = Command {
    name: "recipe",
    usage: "FILE [OPTIONS]",
    about: "Print what made a picture, in this program or another (or a recipe's JSON file).",
    groups: &[("Options", OPTIONS)],
    notes: String::new,
    run,
};

fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let [file] = args.rest.as_slice() else {
        return Err(Failure::usage("recipe needs one file"));
    };
    let Loaded {
        record,
        notes,
        dialect,
    } = load_recipe(Path::new(file))?;
    if dialect != Dialect::Pentimento {
        writeln!(context.err, "written by {}", dialect.label())?;
    }
    for note in notes {
        writeln!(context.err, "note: {note}")?;
    }
    if args.has("json") {
        return Ok(writeln!(context.out, "{}", record.recipe.to_json())?);
    }
    Ok(print(context.out, &record)?)
}

fn print(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    let Record { recipe, outcome } = record;
    let mut line = |name: &str, text: String| {
        // Further lines of a prompt stay in their column.
        writeln!(out, "{name:10} {}", text.replace('\n', "\n           "))
    };
    line("prompt", recipe.prompt.clone())?;
    if !recipe.negative_prompt.is_empty() {
        line("negative", recipe.negative_prompt.clone())?;
    }
    if let Some(text) = prompting_text(&recipe.prompting) {
        line("read as", text)?;
    }
    line("model", recipe.model.id.clone())?;
    if let Some(hash) = &recipe.model.sha256 {
        line("", hash.clone())?;
    }
    line(
        "size",
        format!("{} x {} px", recipe.width_px, recipe.height_px),
    )?;
    line("seed", recipe.seed.to_string())?;
    line("steps", recipe.steps.to_string())?;
    let rescale = match recipe.guidance_rescale {
        0.0 => String::new(),
        phi => format!(", rescaled by {phi}"),
    };
    let image = match recipe.image_guidance {
        None => String::new(),
        Some(scale) => format!(", {scale} for the picture"),
    };
    line("guidance", format!("{}{rescale}{image}", recipe.guidance))?;
    line("sampler", recipe.sampler.clone())?;
    line("schedule", schedule_text(recipe))?;
    if let Some(text) = knobs_text(recipe) {
        line("knobs", text)?;
    }
    if let Some(text) = super::network::text(&recipe.network) {
        line("networks", text)?;
    }
    if let Some(refiner) = &recipe.refiner {
        let lender = refiner.parts_from.as_ref();
        let lent = lender.map(|model| format!(", text encoder and VAE from {}", model.id));
        let at = refiner.switch_at;
        let text = format!("{} from {at}{}", refiner.model.id, lent.unwrap_or_default());
        line("refiner", text)?;
    }
    line("noise", word(&recipe.noise_source))?;
    line("precision", word(&recipe.precision))?;
    if outcome.add_ons.is_empty() {
        for asked in recipe.add_ons_asked().0 {
            line(
                "lora",
                format!("{} {}", asked.name, weights(asked.unet, asked.text)),
            )?;
        }
    }
    for made in &outcome.add_ons {
        let weights = weights(made.unet, made.text);
        let digits = made.hash.get(..12).unwrap_or(&made.hash);
        line(
            &word(&made.kind),
            format!("{} {weights}, {digits}", made.name),
        )?;
    }
    if let Some(text) = start_text(recipe) {
        line("start", text)?;
    }
    if let Some(text) = outcome_text(outcome) {
        line("made", text)?;
    }
    for warning in &outcome.warnings {
        line("note", warning.clone())?;
    }
    Ok(())
}

fn weights(unet: f64, text: f64) -> String {
    if unet == text {
        unet.to_string()
    } else {
        format!("{unet} (text {text})")
    }
}

/// The schedule, or the levels that were typed in its place.
fn schedule_text(recipe: &Recipe) -> String {
    if recipe.knobs.sigmas.is_empty() {
        return recipe.schedule.clone();
    }
    let sigmas: Vec<String> = recipe.knobs.sigmas.iter().map(f64::to_string).collect();
    format!("sigmas {}", sigmas.join(" "))
}

/// The knobs away from their rest, as in the JSON form; typed levels are the schedule's.
fn knobs_text(recipe: &Recipe) -> Option<String> {
    let knobs = Knobs {
        sigmas: Vec::new(),
        ..recipe.knobs.clone()
    };
    let value = serde_json::to_value(knobs).ok()?;
    let parts = value.as_object()?.iter().map(|(name, value)| match value {
        serde_json::Value::String(word) => format!("{name} {word}"),
        number => format!("{name} {number}"),
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How the prompts are read, where that is not the usual way.
fn prompting_text(prompting: &Prompting) -> Option<String> {
    let usual = Prompting::default();
    let mut words = Vec::new();
    if prompting.syntax != usual.syntax {
        words.push(format!("{} text", word(&prompting.syntax)));
    }
    if prompting.weighting != usual.weighting {
        words.push(format!("weights as {}", word(&prompting.weighting)));
    }
    if let Some(template) = &prompting.template {
        words.push(format!("chosen from: {}", template.prompt));
        if !template.negative_prompt.is_empty() {
            words.push(format!("to avoid, from: {}", template.negative_prompt));
        }
    }
    (!words.is_empty()).then(|| words.join("\n"))
}

/// A setting's word as in the JSON form.
fn word(setting: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(setting).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn start_text(recipe: &Recipe) -> Option<String> {
    let start = recipe.start.as_ref()?;
    let mut text = format!("strength {}, picture {}", start.strength, start.picture);
    if let Some(inpaint) = &start.inpaint {
        let area = match inpaint.area {
            InpaintArea::WholePicture => "the whole picture seen".to_owned(),
            InpaintArea::OnlyMasked { padding_px } => {
                format!("only the masked area and {padding_px} px around it seen")
            }
        };
        text.push_str(&format!(
            "\nmask {}\nblur {} px, masked content {}, {area}",
            inpaint.mask,
            inpaint.blur_px,
            word(&inpaint.content)
        ));
    }
    Some(text)
}

fn outcome_text(outcome: &Outcome) -> Option<String> {
    if outcome.build.is_empty() {
        return None;
    }
    let mut text = format!(
        "in {:.1} s on {} ({}) by {}",
        outcome.elapsed_secs, outcome.device, outcome.kernels, outcome.build
    );
    if outcome.unmasked_pixels_verified == Some(true) {
        text.push_str("\npixels outside the mask were checked to be untouched");
    }
    Some(text)
}
