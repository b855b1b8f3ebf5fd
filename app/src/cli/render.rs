//! `pentimento render`: pictures without a window, by the same recipe the window would use.

use std::path::{Path, PathBuf};

use pentimento_engine::client::{Request, SaveTo};
use pentimento_engine::library::files::check_folder;
use pentimento_engine::samplers::SAMPLERS;
use pentimento_engine::schedules::SCHEDULES;

use super::add_ons::LORA;
use super::args::{list, switch, value};
use super::knobs::KNOBS;
use super::network::NETWORK;
use super::session::{ENGINE, Session, config};
use super::{Args, Command, Context, Failure, Opt, forecast, help, job, request};

const PICTURE: &[Opt] = &[
    value("prompt", "TEXT", "What to draw."),
    value("negative", "TEXT", "What to avoid."),
    value(
        "prompt-syntax",
        "ID",
        "How both are read: a1111 (weights, step editing, BREAK…) or plain.",
    ),
    value(
        "weighting",
        "ID",
        "What weights do: a1111 (the default), no_norm or comfy_ui.",
    ),
    value(
        "model",
        "ID|PATH",
        "Model by id (see pentimento models), file or folder; without it, the first one.",
    ),
    list(
        LORA,
        "NAME[:W[:W2]]",
        "Apply a LoRA or LyCORIS by name or path with weight W (in the text encoder W2); again for each further one.",
    ),
    value(
        "size",
        "WxH",
        "Size in pixels; without it, the model's own or the start picture's.",
    ),
    value("steps", "N", "Sampling steps, 1 to 1000."),
    value(
        "guidance",
        "X",
        "Guidance (CFG) scale, 0 to 100; 1 or below switches it off.",
    ),
    value(
        "image-guidance",
        "X",
        "How closely models that change pictures keep to theirs, 0 to 100; without it, 1.5.",
    ),
    value("guidance-rescale", "X", "Guidance rescale, 0 (off) to 1."),
    value(
        "seed",
        "N",
        "Seed of the noise; without it, a random one. Picture i of a batch has seed + i.",
    ),
    value(
        "sampler",
        "ID",
        "Sampler, see below; without it, the model's own.",
    ),
    value(
        "schedule",
        "ID",
        "Schedule, see below; without it, the model's own.",
    ),
    value(
        "noise-source",
        "ID",
        "Generator of the noise: torch_cpu or philox (as on NVIDIA cards).",
    ),
    value(
        "precision",
        "ID",
        "Arithmetic: auto, f32, bf16 or int8 (half of bf16's memory).",
    ),
    value(
        "refiner",
        "ID|PATH",
        "Model that takes over for the last details, as Stable Diffusion XL's refiner; none: no other.",
    ),
    value(
        "refiner-switch",
        "X",
        "Share of the noise levels before it takes over, 0 to 1; without it, 0.8.",
    ),
    value(
        "recipe",
        "FILE",
        "Start from the recipe in a picture (PNG, JPEG, WebP) or JSON file; other options override it.",
    ),
    value("batch", "N", "Pictures to make, 1 to 1000."),
];

const START: &[Opt] = &[
    value(
        "init",
        "FILE",
        "Start from this picture (PNG, JPEG or WebP).",
    ),
    value(
        "strength",
        "X",
        "Share of the steps that is run, above 0 to 1; without it, 0.75.",
    ),
    value(
        "mask",
        "FILE",
        "Repaint only where this picture is white, of the start picture's size.",
    ),
    value(
        "mask-blur",
        "PX",
        "Blur of the mask, 0 to 64; pixels under black never change.",
    ),
    value(
        "content",
        "KIND",
        "What the masked area holds first: original, fill, noise or nothing.",
    ),
    switch(
        "only-masked",
        "Show the model only the masked area, at its native size.",
    ),
    value(
        "padding",
        "PX",
        "Surroundings shown with --only-masked, 0 to 256; without it, 32.",
    ),
];

const OUTPUT: &[Opt] = &[
    value(
        "out",
        "FILE|DIR",
        "A PNG file, or a folder (one that exists, ends with a slash or has no \
        extension); without it, the gallery.",
    ),
    switch(
        "dry-run",
        "Make nothing: say what it would take in time and memory, and what is wrong with the options.",
    ),
    switch(
        "json",
        "Print events as JSON lines instead of a progress bar.",
    ),
];

pub(super) const COMMAND: Command = Command {
    name: "render",
    usage: "--prompt TEXT [OPTIONS] --out FILE|DIR",
    about: "Make pictures without a window.",
    groups: &[
        ("Picture", PICTURE),
        ("Sampler and schedule", KNOBS),
        ("Networks", NETWORK),
        ("Start picture", START),
        ("Output", OUTPUT),
        ("Engine", ENGINE),
    ],
    notes,
    run,
};

fn notes() -> String {
    let mut page = String::from("Samplers:\n");
    for sampler in SAMPLERS {
        help::row(&mut page, sampler.id, sampler.hint);
    }
    page.push_str("\nSchedules:\n");
    for schedule in SCHEDULES {
        help::row(&mut page, schedule.id, schedule.hint);
    }
    page.push_str(
        "\nThe paths of finished pictures are printed on the standard output. Exit codes: 0 done, \
         1 failed,\n2 wrong command line, 130 stopped by Ctrl+C (finished pictures stay).\n",
    );
    page
}

fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if let Some(extra) = args.rest.first() {
        let extra = extra.display();
        return Err(Failure::usage(format!(
            "render does not take “{extra}”; a text with spaces needs quotes"
        )));
    }
    match prepare(args, context) {
        Ok((session, request, notes)) if args.has("dry-run") => {
            forecast::print(&session, &request, &notes, args, context)
        }
        Ok((mut session, request, notes)) => job::run(&mut session, request, &notes, args, context),
        Err(failure) => Err(job::refused(failure, args, context)),
    }
}

/// Everything before the job: nothing is computed yet.
fn prepare(args: &Args, context: &Context<'_>) -> Result<(Session, Request, Vec<String>), Failure> {
    let draft = request::Draft::read(args)?;
    let save_to = save_to(args.path("out"))?;
    match &save_to {
        SaveTo::Folder(folder) => check_folder(folder)?,
        SaveTo::File(file) => check_folder(parent(file))?,
        SaveTo::Library => {}
    }
    let mut config = config(args, context)?;
    config.model_folders.extend(draft.model_paths());
    config.model_folders.extend(draft.vae_path());
    config.model_folders.extend(draft.add_on_paths().cloned());
    let library_dir = config.library_dir.clone();
    let mut session = Session::start(config, context)?;
    let catalog = session
        .catalog(|catalog| draft.knows_its_models(catalog) && draft.knows_its_decoders(catalog))?;
    let (request, notes) = draft.finish(&catalog, save_to, &library_dir)?;
    Ok((session, request, notes))
}

/// An existing folder, a trailing slash or a name without extension is a folder; `.png` is a file.
fn save_to(out: Option<PathBuf>) -> Result<SaveTo, Failure> {
    let Some(out) = out else {
        return Ok(SaveTo::Library);
    };
    let text = out.as_os_str().to_string_lossy();
    if text.is_empty() {
        return Err(Failure::usage("--out: the name is empty"));
    }
    if out.is_dir() || text.ends_with(std::path::is_separator) {
        return Ok(SaveTo::Folder(out));
    }
    match out.extension() {
        None => Ok(SaveTo::Folder(out)),
        Some(extension) if extension.eq_ignore_ascii_case("png") => Ok(SaveTo::File(out)),
        Some(extension) => Err(Failure::usage(format!(
            "--out: pictures are saved as PNG, not .{}; name a .png file or a folder",
            extension.display()
        ))),
    }
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_or_folder() {
        let of = |text: &str| save_to(Some(text.into())).ok();
        let folder = |text: &str| Some(SaveTo::Folder(text.into()));
        assert_eq!(of("a/b.png"), Some(SaveTo::File("a/b.png".into())));
        assert_eq!(of("a/b.PNG"), Some(SaveTo::File("a/b.PNG".into())));
        assert_eq!(of("a/b"), folder("a/b"));
        assert_eq!(of("a.d/"), folder("a.d/"));
        assert_eq!(of("a.jpg"), None);
        assert_eq!(of(""), None);
        let existing = tempfile::Builder::new().suffix(".png").tempdir().unwrap();
        let path = existing.path().to_owned();
        assert_eq!(save_to(Some(path.clone())).ok(), Some(SaveTo::Folder(path)));
        assert_eq!(save_to(None).ok(), Some(SaveTo::Library));
    }
}
