//! `pentimento models`: what can be run, add-ons to it, and what looks like a model but cannot.

use pentimento_engine::catalog::ModelInfo;
use pentimento_engine::catalog::decoders::{AutoencoderInfo, AutoencoderKind};
use pentimento_engine::latent::LatentSpace;
use pentimento_engine::recipe::AddOnKind;

use super::add_ons;
use super::args::switch;
use super::session::{ENGINE, Session, config};
use super::{Args, Command, Context, Failure, Opt};

const OPTIONS: &[Opt] = &[switch("json", "Print the whole catalogue as JSON.")];

pub(super) const COMMAND: Command = Command {
    name: "models",
    usage: "[OPTIONS]",
    about: "List the models that can be used.",
    groups: &[("Options", OPTIONS), ("Engine", ENGINE)],
    notes: String::new,
    run,
};

fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if let Some(extra) = args.rest.first() {
        let extra = extra.display();
        return Err(Failure::usage(format!("models does not take “{extra}”")));
    }
    let mut session = Session::start(config(args, context)?, context)?;
    let catalog = session.catalog(|_| false)?;
    if args.has("json") {
        let json = serde_json::to_string_pretty(&*catalog).unwrap_or_default();
        return Ok(writeln!(context.out, "{json}")?);
    }
    let rows: Vec<[String; 7]> = catalog.models.iter().map(row).collect();
    write_table(context, &rows)?;
    for model in &catalog.models {
        for line in details(model) {
            writeln!(context.out, "{}: {line}", model.id)?;
        }
    }
    if catalog.models.is_empty() {
        writeln!(context.out, "No models. Give a folder with --models DIR.")?;
    }
    for (kind, heading) in [
        (
            AddOnKind::Lora,
            "LoRA and LyCORIS, for --lora or <lora:NAME:WEIGHT> in a prompt:",
        ),
        (AddOnKind::Embedding, "Embeddings, by name in a prompt:"),
    ] {
        let mut add_ons = catalog
            .add_ons
            .iter()
            .filter(|one| one.kind == kind)
            .peekable();
        if add_ons.peek().is_some() {
            writeln!(context.out, "\n{heading}")?;
        }
        for add_on in add_ons {
            writeln!(context.out, "{}", add_ons::line(add_on))?;
        }
    }
    for file in &catalog.autoencoders {
        writeln!(context.out, "{}", autoencoder(file))?;
    }
    for problem in &catalog.problems {
        writeln!(context.out, "cannot use {}", problem.error)?;
    }
    Ok(())
}

const HEADINGS: [&str; 7] = [
    "model",
    "family",
    "variant",
    "predicts",
    "precision",
    "size",
    "hash",
];

/// A model's columns.
fn row(model: &ModelInfo) -> [String; 7] {
    let size = format!("{:.0} MiB", model.size_bytes as f64 / f64::from(1 << 20));
    // A folder has no short hash of its own; the first digits of ours tell models apart as well.
    let hash = model
        .short_hash()
        .or_else(|| model.sha256.as_deref()?.get(..10));
    [
        model.id.clone(),
        model.family.clone(),
        model.storage.variant.clone(),
        model.prediction.clone(),
        format!("{} {}", model.storage.precision, model.storage.format),
        size,
        hash.unwrap_or("…").to_owned(),
    ]
}

/// A line for an autoencoder in a file of its own.
fn autoencoder(file: &AutoencoderInfo) -> String {
    let kind = match (file.kind, file.space) {
        (AutoencoderKind::Full, _) => "VAE for --vae",
        (AutoencoderKind::Tiny, Some(LatentSpace::StableDiffusion)) => {
            "tiny decoder of Stable Diffusion 1 and 2"
        }
        (AutoencoderKind::Tiny, Some(LatentSpace::StableDiffusionXl)) => {
            "tiny decoder of Stable Diffusion XL"
        }
        (AutoencoderKind::Tiny, None) => "tiny decoder of no model that this version runs",
    };
    format!(
        "{}: {kind}, {} latent channels, {}",
        file.id,
        file.latent_channels,
        file.path.display()
    )
}

/// Lines below the table: what it is, where it lies, what was inferred.
fn details(model: &ModelInfo) -> Vec<String> {
    let [wide, high] = model.native_px;
    let place = model
        .path
        .as_ref()
        .map_or("inside the program".to_owned(), |path| {
            path.display().to_string()
        });
    let mut lines = vec![format!("{}, {wide} x {high} px, {place}", model.name)];
    let texts = [&model.description, &model.storage.notes];
    lines.extend(texts.into_iter().filter(|text| !text.is_empty()).cloned());
    lines.extend(model.storage.inferred.iter().cloned());
    if let Some(borrowed) = &model.storage.borrowed {
        lines.push(format!(
            "a network alone: takes {} from {} (--parts-from: {})",
            borrowed.parts,
            borrowed.usual(),
            borrowed.lenders.join(", ")
        ));
    }
    lines
}

fn write_table(context: &mut Context<'_>, rows: &[[String; 7]]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let headings = HEADINGS.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            all()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in all() {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        writeln!(context.out, "{}", line.join("  ").trim_end())?;
    }
    writeln!(context.out)?;
    Ok(())
}
