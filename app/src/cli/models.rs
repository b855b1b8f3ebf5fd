//! `pentimento models`: what can be run, and what looks like a model but cannot.

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
    for model in &catalog.models {
        let place = model
            .path
            .as_ref()
            .map_or("inside the program".to_owned(), |path| {
                path.display().to_string()
            });
        let [wide, high] = model.native_px;
        writeln!(
            context.out,
            "{}\n    {}, {}, {wide} x {high} px, {:.0} MiB, {place}",
            model.id,
            model.name,
            model.family,
            model.size_bytes as f64 / f64::from(1 << 20),
        )?;
        if !model.description.is_empty() {
            writeln!(context.out, "    {}", model.description)?;
        }
    }
    if catalog.models.is_empty() {
        writeln!(context.out, "No models. Give a folder with --models DIR.")?;
    }
    for problem in &catalog.problems {
        writeln!(context.out, "cannot use {}", problem.error)?;
    }
    Ok(())
}
