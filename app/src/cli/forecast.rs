//! `render --dry-run`: what a request would take.

use pentimento_engine::client::Request;
use pentimento_engine::error::EngineError;
use pentimento_engine::forecast::Forecast;
use pentimento_engine::residency::Residency;

use super::session::Session;
use super::{Args, Context, Failure};

/// Prints the forecast, for people or (`--json`) as one line of JSON.
pub(super) fn print(
    session: &Session,
    request: &Request,
    notes: &[String],
    args: &Args,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let recipe = &request.recipe;
    let forecast = session.engine.forecast(recipe, request.count);
    let forecast = forecast.ok_or_else(|| EngineError::ModelNotFound {
        wanted: recipe.model.id.clone(),
        known: Vec::new(),
    })?;
    for note in notes {
        writeln!(context.err, "note: {note}")?;
    }
    if args.has("json") {
        let json = serde_json::json!({"event": "forecast", "forecast": forecast});
        return Ok(writeln!(context.out, "{json}")?);
    }
    let pictures = match request.count {
        1 => "one picture".to_owned(),
        count => format!("{count} pictures"),
    };
    writeln!(
        context.out,
        "{pictures} of {} x {} px, {} steps of {}, model {}",
        recipe.width_px, recipe.height_px, recipe.steps, recipe.sampler, recipe.model.id
    )?;
    for line in lines(&forecast) {
        writeln!(context.out, "{line}")?;
    }
    Ok(())
}

fn lines(forecast: &Forecast) -> Vec<String> {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let mut memory = format!("memory  about {:.2} GiB", gib(forecast.memory_bytes));
    if !forecast.measured {
        memory.push_str(" (estimated)");
    }
    if let Some(available) = forecast.available_bytes {
        memory.push_str(&format!(", {:.2} GiB are there", gib(available)));
    }
    let mut lines = vec![memory];
    lines.extend(match forecast.residency {
        Residency::Everything => None,
        Residency::Networks => {
            Some("        the text encoders leave it once the prompts are read: slower, but it needs less")
        }
        Residency::OneAtATime => {
            Some("        of all networks one is in it at a time: slower, but it needs less")
        }
        Residency::LayerByLayer => {
            Some("        each layer is read from its file for every use: much slower, but it needs least")
        }
    }.map(str::to_owned));
    if forecast.exceeds_memory() {
        lines.push("warning this will probably not fit into memory".to_owned());
    }
    lines.push(match (forecast.secs, forecast.load_secs) {
        (Some(secs), Some(load)) => {
            format!("time    about {secs:.1} s, and {load:.1} s to load the model")
        }
        (Some(secs), None) => format!("time    about {secs:.1} s"),
        (None, _) => {
            "time    not known until a picture of this model, size and precision was made here"
                .to_owned()
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_not_fit_is_said() {
        let forecast = Forecast {
            memory_bytes: 3 << 30,
            available_bytes: Some(2 << 30),
            secs: Some(1.25),
            load_secs: Some(2.0),
            measured: false,
            residency: Residency::OneAtATime,
        };
        let text = lines(&forecast).join("\n");
        for words in [
            "about 3.00 GiB (estimated), 2.00 GiB are there",
            "will probably not fit",
            "one is in it at a time",
            "about 1.2 s, and 2.0 s to load",
        ] {
            assert!(text.contains(words), "{text}");
        }
        let text = lines(&Forecast::default()).join("\n");
        assert!(
            text.contains("not known") && !text.contains("not fit"),
            "{text}"
        );
    }
}
