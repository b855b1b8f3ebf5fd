//! Runs one request to its end, whatever the end is.

use pentimento_engine::client::Request;
use pentimento_engine::event::Event;

use super::progress::{Progress, Style, refusal};
use super::session::Session;
use super::{Args, Context, Failure};

/// Passes a failure on that no event tells about, and tells programs that read JSON lines.
pub(super) fn refused(failure: Failure, args: &Args, context: &mut Context<'_>) -> Failure {
    if args.has("json") {
        // Where the output is closed, the exit code still tells.
        let _closed = writeln!(context.out, "{}", refusal(&failure)).is_err();
    }
    failure
}

/// Submits the request and tells about it until it ends. Ctrl+C cancels it, pictures that are
/// finished stay; a second Ctrl+C does not wait for the cancellation.
pub(super) fn run(
    session: &mut Session,
    request: Request,
    notes: &[String],
    args: &Args,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let style = match (args.has("json"), context.err_is_terminal) {
        (true, _) => Style::Json,
        (false, true) => Style::Bar,
        (false, false) => Style::Quiet,
    };
    let mut progress = Progress::new(context.out, context.err, style);
    for note in notes {
        progress.note(note)?;
    }
    let job = match session.engine.submit(request) {
        Ok(job) => job,
        Err(error) => return Err(refused(error.into(), args, context)),
    };
    let mut cancel_sent = false;
    loop {
        if session.interrupts() > 0 && !cancel_sent {
            session.engine.cancel(job);
            cancel_sent = true;
        }
        if session.interrupts() > 1 {
            return Err(Failure::Interrupted);
        }
        let Some(event) = session.poll() else {
            session.sleep();
            continue;
        };
        if event.job() != Some(job) {
            continue;
        }
        let end = match &event {
            Event::Finished { .. } => Some(Ok(())),
            Event::Cancelled { .. } => Some(Err(Failure::Interrupted)),
            Event::Failed { error, .. } => Some(Err(error.clone().into())),
            _ => None,
        };
        if let Err(error) = progress.tell(event) {
            session.engine.cancel(job);
            return Err(error.into());
        }
        if let Some(end) = end {
            return end;
        }
    }
}
