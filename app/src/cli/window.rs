//! `pentimento` without a subcommand: the window; without a display, a first picture all the same.

use pentimento_engine::client::{Request, SaveTo};
use pentimento_engine::engine::EngineConfig;
use pentimento_engine::preview::PreviewMode;

use super::session::{ENGINE, Session, config};
use super::{Args, Command, Context, Failure, job, request};
use crate::paths::LIBRARY_VARIABLE;
use crate::window::{WindowError, WindowOptions};

pub(super) const COMMAND: Command = Command {
    name: "window",
    usage: "[OPTIONS]",
    about: "Open the studio's window (the default).",
    groups: &[("Engine", ENGINE)],
    notes: String::new,
    run,
};

fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if let Some(extra) = args.rest.first() {
        let extra = extra.display();
        return Err(Failure::usage(format!(
            "the window does not take “{extra}”"
        )));
    }
    let config = config(args, context)?;
    let factory = std::sync::Arc::clone(&context.start_engine);
    let opened = (context.open_window)(WindowOptions {
        engine: EngineConfig {
            previews: PreviewMode::default(),
            ..config.clone()
        },
        library_is_named: args.has("library")
            || (context.variable)(LIBRARY_VARIABLE).is_some_and(|named| !named.is_empty()),
        start_engine: Box::new(move |config, waker| factory(config, waker)),
        persistence_path: Some(config.data_dir.join("window.ron")),
    });
    match opened {
        Ok(()) => Ok(()),
        Err(WindowError::Engine(error)) => Err(error.into()),
        Err(WindowError::NoWindow(reason)) => first_picture(args, config, &reason, context),
    }
}

/// Shows that the program works where no window can open.
fn first_picture(
    args: &Args,
    config: EngineConfig,
    reason: &str,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    writeln!(
        context.err,
        "The window cannot open here: {}\nMaking a first picture without it…",
        without_place(reason)
    )?;
    let library = config.library_dir.clone();
    let mut session = Session::start(config, context)?;
    let catalog = session.catalog(|catalog| !catalog.models.is_empty())?;
    let model = catalog.models.first().ok_or_else(|| {
        Failure::Other("there is no model either; give a folder with --models DIR".to_owned())
    })?;
    let mut recipe = request::from_defaults(model);
    if let Some(example) = model.defaults.example_prompts.first() {
        recipe.prompt.clone_from(example);
    }
    writeln!(
        context.err,
        "“{}”, {} x {} px, seed {}",
        recipe.prompt, recipe.width_px, recipe.height_px, recipe.seed
    )?;
    let example = recipe.prompt.clone();
    let request = Request {
        recipe,
        count: 1,
        save_to: SaveTo::Library,
        blobs: Vec::new(),
        resumes: None,
    };
    job::run(&mut session, request, &[], args, context)?;
    writeln!(
        context.err,
        "It lies in the gallery, {}.\nWithout a window, go on with\n\n    \
         pentimento render --prompt \"{example}\" --out picture.png\n\n\
         and see pentimento render --help.",
        library.display()
    )?;
    Ok(())
}

/// Windowing libraries put a line of their own source (“os error at …/mod.rs:765: ”) before what the
/// system said.
fn without_place(reason: &str) -> &str {
    let place = reason.find(".rs:").map(|at| &reason[at + 4..]);
    place
        .and_then(|rest| rest.split_once(": "))
        .filter(|(line, _)| {
            line.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':')
        })
        .map_or(reason, |(_, said)| said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_in_a_library_is_left_out() {
        let reason = "winit EventLoopError: os error at /a/linux/mod.rs:765: no display: none";
        assert_eq!(without_place(reason), "no display: none");
        assert_eq!(without_place("no driver"), "no driver");
    }
}
