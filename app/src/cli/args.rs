//! Options by table: the same rows are parsed, suggested from, and printed as help.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use super::Failure;

/// One option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Name after the two dashes.
    pub name: &'static str,
    /// What the value is called in the help; `None` for a switch.
    pub value: Option<&'static str>,
    /// Whether it may be given more than once.
    pub repeats: bool,
    /// One sentence.
    pub help: &'static str,
}

/// An option with a value.
pub(super) const fn value(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value: Some(value),
        repeats: false,
        help,
    }
}

/// An option with a value that may be given more than once.
pub(super) const fn list(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value: Some(value),
        repeats: true,
        help,
    }
}

/// An option without a value.
pub(super) const fn switch(name: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value: None,
        repeats: false,
        help,
    }
}

/// What a command line said.
#[derive(Debug, Default)]
pub struct Args {
    options: Vec<(&'static str, OsString)>,
    /// What is not an option, in order.
    pub rest: Vec<OsString>,
}

impl Args {
    /// Reads `--name value`, `--name=value`, switches, and `--` before what is not an option.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an unknown option (with the nearest known one), a missing value, a value
    /// for a switch, and an option given twice.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        groups: &[&'static [Opt]],
    ) -> Result<Self, Failure> {
        let known = || groups.iter().flat_map(|group| group.iter());
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some(text) = arg
                .to_str()
                .filter(|text| text.starts_with('-') && text.len() > 1)
            else {
                parsed.rest.push(arg);
                continue;
            };
            if text == "--" {
                parsed.rest.extend(args.by_ref());
                break;
            }
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let stem = name.strip_prefix("--").unwrap_or("");
            let Some(option) = known().find(|option| option.name == stem) else {
                return Err(unknown("option", name, known().map(|option| option.name)));
            };
            if !option.repeats && parsed.has(option.name) {
                return Err(Failure::usage(format!("{name} is given twice")));
            }
            let value = match (option.value, inline) {
                (None, None) => OsString::new(),
                (None, Some(_)) => {
                    return Err(Failure::usage(format!("{name} takes no value")));
                }
                (Some(_), Some(inline)) => inline.into(),
                (Some(what), None) => {
                    let next = args.next().filter(|next| !names_option(next, known()));
                    next.ok_or_else(|| Failure::usage(format!("{name} needs a value: {what}")))?
                }
            };
            parsed.options.push((option.name, value));
        }
        Ok(parsed)
    }

    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.os(name).is_some()
    }

    /// Its value as the system gave it.
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        self.options
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_os_str())
    }

    /// Its value as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).map(PathBuf::from)
    }

    /// All its values as paths.
    pub fn paths(&self, name: &str) -> Vec<PathBuf> {
        self.options
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| PathBuf::from(value))
            .collect()
    }

    /// All its values as text.
    ///
    /// # Errors
    /// [`Failure::Usage`] when one is not UTF-8.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, Failure> {
        let given = self.options.iter().filter(|(known, _)| *known == name);
        given
            .map(|(_, value)| {
                let not_text = || Failure::usage(format!("--{name}: the text is not UTF-8"));
                value.to_str().ok_or_else(not_text)
            })
            .collect()
    }

    /// Its value as text.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.os(name)
            .map(|value| {
                value
                    .to_str()
                    .ok_or_else(|| Failure::usage(format!("--{name}: the text is not UTF-8")))
            })
            .transpose()
    }

    /// Its value as a number.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is none; `what` says which is wanted.
    pub fn number<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Failure> {
        self.text(name)?
            .map(|text| {
                text.parse()
                    .ok()
                    .ok_or_else(|| Failure::usage(format!("--{name}: “{text}” is not {what}")))
            })
            .transpose()
    }

    /// Its value as one of these words.
    ///
    /// # Errors
    /// [`Failure::Usage`] when it is another.
    pub fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, chosen)) => Ok(Some(*chosen)),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let words = words.join(", ");
                Err(Failure::usage(format!(
                    "--{name}: “{text}” is not one of {words}"
                )))
            }
        }
    }
}

/// Whether what should be a value is the next option instead: its own value was forgotten.
fn names_option<'a>(arg: &OsStr, mut known: impl Iterator<Item = &'a Opt>) -> bool {
    let Some(stem) = arg.to_str().and_then(|text| text.strip_prefix("--")) else {
        return false;
    };
    known.any(|option| option.name == stem)
}

/// An unknown word with the nearest known one.
pub(super) fn unknown<'a>(
    what: &str,
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Failure {
    let dashes = if what == "option" { "--" } else { "" };
    let stem = given.trim_start_matches('-');
    let nearest = known
        .into_iter()
        .map(|word| (strsim::osa_distance(stem, word), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4);
    Failure::usage(match nearest {
        Some((_, word)) => format!("unknown {what} {given}; did you mean {dashes}{word}?"),
        None => format!("unknown {what} {given}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Opt] = &[
        value("steps", "N", ""),
        list("models", "DIR", ""),
        switch("json", ""),
    ];

    fn parse(args: &[&str]) -> Result<Args, String> {
        Args::parse(args.iter().map(OsString::from), &[TABLE])
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn values_switches_lists_and_the_rest() {
        let args = parse(&[
            "a",
            "--steps=3",
            "--json",
            "--models",
            "x",
            "--models",
            "-y",
            "--",
            "--b",
        ]);
        let args = args.unwrap();
        assert_eq!(args.number::<u32>("steps", "a number").unwrap(), Some(3));
        assert!(args.has("json"));
        assert_eq!(
            args.paths("models"),
            [PathBuf::from("x"), PathBuf::from("-y")]
        );
        assert_eq!(args.rest, ["a", "--b"]);
        assert_eq!(
            parse(&["--steps", "-1"]).unwrap().text("steps").unwrap(),
            Some("-1")
        );
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |args: &[&str]| parse(args).unwrap_err();
        assert!(mistake(&["--step", "3"]).contains("did you mean --steps?"));
        assert_eq!(mistake(&["--zzzzzz"]), "unknown option --zzzzzz");
        assert_eq!(mistake(&["-s", "3"]), "unknown option -s");
        assert_eq!(mistake(&["--steps"]), "--steps needs a value: N");
        assert_eq!(mistake(&["--steps", "--json"]), "--steps needs a value: N");
        assert_eq!(mistake(&["--json=1"]), "--json takes no value");
        assert_eq!(
            mistake(&["--steps", "1", "--steps", "2"]),
            "--steps is given twice"
        );
        let args = parse(&["--steps", "many"]).unwrap();
        let wrong = args.number::<u32>("steps", "a whole number").unwrap_err();
        assert_eq!(wrong.to_string(), "--steps: “many” is not a whole number");
        let wrong = args
            .choice("steps", &[("few", 1), ("some", 2)])
            .unwrap_err();
        assert_eq!(wrong.to_string(), "--steps: “many” is not one of few, some");
    }
}
