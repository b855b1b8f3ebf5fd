//! What a running job shows: a bar on a terminal, JSON lines for programs, finished files on the
//! standard output.

use std::io::{self, Write};

use pentimento_engine::event::{Event, Stage};
use pentimento_engine::raster::Picture;
use serde_json::{Value, json};

use super::Failure;

/// Cells of the bar.
const CELLS: usize = 24;

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Events as JSON lines on the standard output.
    Json,
    /// A bar on the error stream, a terminal.
    Bar,
    /// Finished files only.
    Quiet,
}

/// Where and how progress is told.
pub(super) struct Progress<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    style: Style,
    bar_is_shown: bool,
    pictures: u32,
}

impl<'a> Progress<'a> {
    /// Nothing is shown yet.
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, style: Style) -> Self {
        Self {
            out,
            err,
            style,
            bar_is_shown: false,
            pictures: 1,
        }
    }

    /// Tells about an event.
    pub(super) fn tell(&mut self, event: Event) -> io::Result<()> {
        if let Event::Started { count, .. } = &event {
            self.pictures = *count;
        }
        if self.style == Style::Json {
            return writeln!(self.out, "{}", without_pixels(event));
        }
        match event {
            Event::StageChanged { picture, stage, .. } => {
                self.show(&format!("{}{}", self.which(picture), stage_name(stage)))
            }
            Event::StepDone {
                picture,
                step,
                steps,
                left_secs,
                ..
            } => {
                let done = CELLS * step as usize / steps.max(1) as usize;
                let bar = format!(
                    "{}{}",
                    "█".repeat(done),
                    "░".repeat(CELLS - done.min(CELLS))
                );
                let which = self.which(picture);
                self.show(&format!(
                    "{which}{bar} {step}/{steps}, {} left",
                    duration(left_secs)
                ))
            }
            Event::ImageReady { path, record, .. } => {
                self.clear()?;
                for warning in &record.outcome.warnings {
                    self.note(warning)?;
                }
                writeln!(self.out, "{}", path.display())?;
                self.out.flush()
            }
            Event::ImageUnsaved { .. }
            | Event::Finished { .. }
            | Event::Cancelled { .. }
            | Event::Failed { .. } => self.clear(),
            Event::CatalogChanged | Event::Started { .. } | Event::PromptsInspected { .. } => {
                Ok(())
            }
        }
    }

    /// Tells something worth knowing.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        if self.style == Style::Json {
            writeln!(self.out, "{}", json!({"event": "note", "text": text}))
        } else {
            writeln!(self.err, "note: {text}")
        }
    }

    fn which(&self, picture: u32) -> String {
        if self.pictures > 1 {
            format!("picture {} of {}  ", picture + 1, self.pictures)
        } else {
            String::new()
        }
    }

    fn show(&mut self, line: &str) -> io::Result<()> {
        if self.style != Style::Bar {
            return Ok(());
        }
        self.bar_is_shown = true;
        write!(self.err, "\r\x1b[2K{line}")?;
        self.err.flush()
    }

    fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.bar_is_shown) {
            write!(self.err, "\r\x1b[2K")?;
            self.err.flush()?;
        }
        Ok(())
    }
}

/// The JSON line of a request that never became a job.
pub(super) fn refusal(failure: &Failure) -> Value {
    let error = match failure {
        Failure::Engine(error) => json!(error),
        Failure::Usage(_) => json!({"code": "usage"}),
        _ => json!({"code": "other"}),
    };
    json!({"event": "refused", "error": error, "message": failure.to_string()})
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::LoadingModel => "loading the model…",
        Stage::EncodingPrompt => "reading the prompt…",
        Stage::EncodingPicture => "reading the start picture…",
        Stage::Denoising => "sampling…",
        Stage::Decoding => "decoding…",
        Stage::Saving => "saving…",
    }
}

fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        "?".to_owned()
    } else if secs < 9.95 {
        format!("{secs:.1} s")
    } else if secs < 99.5 {
        format!("{secs:.0} s")
    } else {
        let minutes = (secs / 60.0).floor();
        format!(
            "{minutes:.0} min {:02.0} s",
            (secs - minutes * 60.0).floor()
        )
    }
}

/// The event in its JSON form, the picture's pixels left out.
fn without_pixels(mut event: Event) -> Value {
    if let Event::ImageReady { image, .. } | Event::ImageUnsaved { image, .. } = &mut event
        && let Some(dot) = Picture::new(1, 1, vec![0; 4])
    {
        // Before the pixels become a JSON array of numbers.
        *image = dot;
    }
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("image");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let words = [0.04, 9.94, 9.96, 75.0, 125.9, f64::NAN].map(duration);
        assert_eq!(words, ["0.0 s", "9.9 s", "10 s", "75 s", "2 min 05 s", "?"]);
    }
}
