//! The command line: one subcommand a file, listed in [`COMMANDS`]; without one, the window.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 stopped by Ctrl+C.

mod add_ons;
mod args;
mod forecast;
mod help;
mod job;
mod knobs;
mod model_choice;
mod models;
mod network;
mod overrides;
mod progress;
mod recipe;
mod recipe_file;
mod refiner;
mod render;
mod request;
mod session;
mod signal;
mod window;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::{EngineConfig, Waker};
use pentimento_engine::error::EngineError;

pub use args::{Args, Opt};
pub use signal::Signal;

use crate::window::{WindowError, WindowOptions};

/// A subcommand.
#[derive(Debug)]
pub struct Command {
    /// What the user types.
    pub name: &'static str,
    /// What follows it, in the help.
    pub usage: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Its options, in groups with a heading.
    pub groups: &'static [(&'static str, &'static [Opt])],
    /// More text for its help, may be empty.
    pub notes: fn() -> String,
    /// Does it.
    pub run: fn(&Args, &mut Context<'_>) -> Result<(), Failure>,
}

/// All subcommands; the first one runs when none is named.
pub const COMMANDS: &[&Command] = &[
    &window::COMMAND,
    &render::COMMAND,
    &models::COMMAND,
    &recipe::COMMAND,
];

/// Starts an engine; called once or twice.
pub type EngineFactory =
    Arc<dyn Fn(EngineConfig, Waker) -> Result<Box<dyn EngineClient>, EngineError> + Send + Sync>;

/// What a command works with: the outside world, so that tests can stand in for it.
pub struct Context<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Progress, notes and errors.
    pub err: &'a mut dyn Write,
    /// Whether `err` is a terminal that shows a progress bar.
    pub err_is_terminal: bool,
    /// Ctrl+C and the engine's waker.
    pub signal: Arc<Signal>,
    /// Makes Ctrl+C ring [`Self::signal`]; called when a command starts work that it can stop.
    pub catch_interrupts: &'a dyn Fn(&Arc<Signal>),
    /// Starts the engine.
    pub start_engine: EngineFactory,
    /// Opens the window and returns when it is closed.
    pub open_window: &'a dyn Fn(WindowOptions) -> Result<(), WindowError>,
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The engine, a file or a field of the recipe.
    #[error("{}", worded(.0))]
    Engine(#[from] EngineError),
    /// Anything else, worded.
    #[error("{0}")]
    Other(String),
    /// The user stopped it.
    #[error("stopped")]
    Interrupted,
    /// Nobody reads our output any more, or it cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// A wrong command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
            Self::Engine(_) | Self::Other(_) | Self::Output(_) => 1,
        }
    }
}

/// Runs the command that `args` (without the program's name) ask for and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, context: &mut Context<'_>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    match dispatch(args, context) {
        Ok(()) => 0,
        Err(failure) => {
            let told = match &failure {
                Failure::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                Failure::Usage(_) => {
                    writeln!(context.err, "pentimento: {failure}\nSee pentimento --help.")
                }
                _ => writeln!(context.err, "pentimento: {failure}"),
            };
            // Where the error stream is closed as well, the exit code is all that is left.
            drop(told);
            failure.exit_code()
        }
    }
}

fn dispatch(args: Vec<OsString>, context: &mut Context<'_>) -> Result<(), Failure> {
    let first = args.first().and_then(|arg| arg.to_str());
    let named = COMMANDS.iter().find(|command| Some(command.name) == first);
    let default = COMMANDS[0];
    let (command, own_args) = match (named, first) {
        (Some(command), _) => (*command, &args[1..]),
        (None, Some("help")) => {
            let topic = args.get(1).and_then(|arg| arg.to_str());
            let command = COMMANDS.iter().find(|command| Some(command.name) == topic);
            let page = command.map_or_else(help::program, |command| help::command(command));
            return Ok(context.out.write_all(page.as_bytes())?);
        }
        (None, Some(word)) if !word.starts_with('-') => {
            let known = COMMANDS.iter().map(|command| command.name);
            return Err(args::unknown("command", word, known));
        }
        _ => (default, &args[..]),
    };
    let wants = |long: &str, short: &str| {
        own_args
            .iter()
            .take_while(|arg| *arg != "--")
            .any(|arg| arg == long || arg == short)
    };
    if wants("--help", "-h") {
        let page = if named.is_some() {
            help::command(command)
        } else {
            help::program()
        };
        return Ok(context.out.write_all(page.as_bytes())?);
    }
    if wants("--version", "-V") {
        return Ok(writeln!(
            context.out,
            "pentimento {}",
            env!("CARGO_PKG_VERSION")
        )?);
    }
    let groups: Vec<&'static [Opt]> = command.groups.iter().map(|(_, group)| *group).collect();
    let parsed = Args::parse(own_args.iter().cloned(), &groups)?;
    (command.run)(&parsed, context)
}

/// The engine's words, with the option's name instead of the field's.
fn worded(error: &EngineError) -> String {
    let (field, why) = match error {
        EngineError::InvalidRequest { field, why } => (field, why),
        EngineError::ModelNotFound { .. } => {
            return format!(
                "{error}; choose one of these, or give its file or folder with --model PATH"
            );
        }
        _ => return error.to_string(),
    };
    let option = match field.as_str() {
        "width_px" => "--size: width",
        "height_px" => "--size: height",
        "negative_prompt" => "--negative",
        "guidance_rescale" => "--guidance-rescale",
        "image_guidance" => "--image-guidance",
        "start" => "--init",
        "noise_source" => "--noise-source",
        "count" => "--batch",
        "knobs.eta" => "--eta",
        "knobs.s_churn" => "--s-churn",
        "knobs.s_tmin" => "--s-tmin",
        "knobs.s_tmax" => "--s-tmax",
        "knobs.s_noise" => "--s-noise",
        "knobs.rho" => "--rho",
        "knobs.sigmas" => "--sigmas",
        "network.clip_skip" => "--clip-skip",
        "network.vae" => "--vae",
        "network.parts_from" => "--parts-from",
        "network.decoder" => "--decoder",
        "network.tiles" => "--decode-tiles",
        "network.guidance_interval.from" => "--guide-from",
        "network.guidance_interval.until" => "--guide-until",
        "network.reuse.deep_every" => "--deep-cache",
        "network.reuse.deep_branch" => "--deep-branch",
        "network.reuse.negative_every" => "--negative-every",
        "network.easy_cache.threshold" => "--easy-cache",
        "network.easy_cache.from" => "--easy-cache-from",
        "network.easy_cache.until" => "--easy-cache-until",
        "refiner" | "refiner.model" => "--refiner",
        "refiner.switch_at" => "--refiner-switch",
        "mask" => "--mask",
        "start.picture" => "--init",
        "start.strength" => "--strength",
        "start.inpaint.mask" => "--mask",
        "start.inpaint.blur_px" => "--mask-blur",
        "start.inpaint.area.padding_px" => "--padding",
        "prompt" | "steps" | "guidance" | "seed" | "sampler" | "schedule" | "precision"
        | "model" | "device" | "strength" | "threads" => return format!("--{field}: {why}"),
        _ => return error.to_string(),
    };
    format!("{option}: {why}")
}
