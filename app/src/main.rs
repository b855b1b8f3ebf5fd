//! The program `pentimento`: hands the real world to the command line, which opens the window when no
//! command is named.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use pentimento::cli::{self, Context, EngineFactory, Signal};
use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::Engine;

fn main() -> ExitCode {
    let start_engine: EngineFactory = Arc::new(|config, waker| {
        let engine = Engine::start(config, waker)?;
        Ok(Box::new(engine) as Box<dyn EngineClient>)
    });
    let code = cli::run(
        std::env::args_os().skip(1),
        &mut Context {
            out: &mut stdout(),
            err: &mut stderr(),
            err_is_terminal: stderr().is_terminal(),
            signal: Signal::new(),
            catch_interrupts: &catch_interrupts,
            start_engine,
            open_window: &pentimento::run_window,
            variable: &|name| std::env::var_os(name),
        },
    );
    ExitCode::from(code)
}

fn catch_interrupts(signal: &Arc<Signal>) {
    let signal = Arc::clone(signal);
    // Where the system refuses a handler, Ctrl+C ends the program at once, as it does without one;
    // every file is whole even then.
    let _without = ctrlc::set_handler(move || signal.interrupt()).is_err();
}
