//! Add-ons on the command line: `--lora NAME[:WEIGHT[:TEXT]]`, and their list in `pentimento models`.

use std::path::{Path, PathBuf};

use pentimento_engine::catalog::{AddOnInfo, Catalog};
use pentimento_engine::recipe::{AddOnKind, AddOnUse, Recipe};
use pentimento_engine::weights::lora::AddOnFile;

use super::args::unknown;
use super::{Args, Failure};

/// The option's name.
pub(super) const LORA: &str = "lora";

/// What `--lora` said; `None` where it was not given.
#[derive(Default)]
pub(super) struct AddOns {
    used: Option<Vec<Given>>,
}

/// One `--lora`.
struct Given {
    one: AddOnUse,
    /// The file, where its path was given.
    path: Option<PathBuf>,
}

impl AddOns {
    /// Reads `--lora` as often as it is given. A single `--lora none` takes a recipe's own away.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a weight that is no number.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        let given = args.texts(LORA)?;
        if given.is_empty() {
            return Ok(Self::default());
        }
        let given = if given == ["none"] { Vec::new() } else { given };
        let with_path = |one: AddOnUse| {
            let path = Some(PathBuf::from(&one.name)).filter(|path| path.is_file());
            Given { one, path }
        };
        let used: Result<Vec<Given>, _> = given
            .into_iter()
            .map(|text| parse(text).map(with_path))
            .collect();
        Ok(Self { used: Some(used?) })
    }

    /// Puts them in the place of a recipe's own list, as files chosen just now: what the recipe meant
    /// by their names does not count. What its prompt names stays.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the nearest known name for one that the catalogue does not have, and for
    /// a path at which no LoRA lies.
    pub(super) fn apply(&self, recipe: &mut Recipe, catalog: &Catalog) -> Result<(), Failure> {
        let Some(given) = &self.used else {
            return Ok(());
        };
        let mut used = Vec::new();
        for Given { one, path } in given {
            let name = match path {
                Some(path) => name_of(path, catalog)?,
                None => one.name.clone(),
            };
            recipe.add_ons.unpin(AddOnKind::Lora, &name);
            if catalog.add_on(AddOnKind::Lora, &name, None).is_none() {
                let loras = catalog.add_ons.iter();
                let loras = loras.filter(|known| known.kind == AddOnKind::Lora);
                let names = loras.flat_map(|known| {
                    let stem = known.path.file_stem().and_then(|stem| stem.to_str());
                    [Some(known.name.as_str()), stem]
                });
                return Err(unknown("LoRA", &name, names.flatten()));
            }
            used.push(AddOnUse {
                name,
                ..one.clone()
            });
        }
        recipe.add_ons.used = used;
        Ok(())
    }

    /// Files that were named by their paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let given = self.used.iter().flatten();
        given.filter_map(|given| given.path.as_ref())
    }

    /// Whether the catalogue must be complete before a job starts.
    pub(super) fn are_given(&self) -> bool {
        self.used.is_some()
    }
}

/// The name that means the LoRA at a path, and no other file.
fn name_of(path: &Path, catalog: &Catalog) -> Result<String, Failure> {
    let whole = |path: &Path| path.canonicalize().ok();
    let wanted = (std::path::absolute(path).ok(), whole(path));
    let loras = || {
        let add_ons = catalog.add_ons.iter();
        add_ons.filter(|known| known.kind == AddOnKind::Lora)
    };
    let found = loras()
        .find(|known| wanted.0.as_ref() == Some(&known.path))
        .or_else(|| loras().find(|known| wanted.1.is_some() && whole(&known.path) == wanted.1));
    let Some(found) = found else {
        let why = match AddOnFile::open(path) {
            Err(error) => error.to_string(),
            Ok(_) => format!("{} is not taken as a LoRA here", path.display()),
        };
        return Err(Failure::usage(format!("--{LORA}: {why}")));
    };
    let meant = catalog.add_on(AddOnKind::Lora, &found.name, None);
    if meant.is_none_or(|meant| meant.path != found.path) {
        return Err(Failure::usage(format!(
            "--{LORA}: another file is called “{}” as well: rename {}",
            found.name,
            path.display()
        )));
    }
    Ok(found.name.clone())
}

/// `NAME` (or a file's path), `NAME:WEIGHT` or `NAME:WEIGHT:TEXT`; a name may hold colons that no number follows.
fn parse(text: &str) -> Result<AddOnUse, Failure> {
    let number = |word: &str| word.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let (mut name, mut weights) = (text, Vec::new());
    while let Some((rest, word)) = name.rsplit_once(':')
        && weights.len() < 2
    {
        match number(word) {
            Some(weight) => weights.insert(0, weight),
            None => break,
        }
        name = rest;
    }
    if name.is_empty() || text.ends_with(':') {
        return Err(Failure::usage(format!(
            "--{LORA}: “{text}” is not NAME, NAME:WEIGHT or NAME:WEIGHT:TEXT"
        )));
    }
    let unet = weights.first().copied().unwrap_or(1.0);
    Ok(AddOnUse {
        name: name.to_owned(),
        unet,
        text: weights.get(1).copied().unwrap_or(unet),
    })
}

/// One add-on in a line: name, kind, what it was made for, words that call it up.
pub(super) fn line(add_on: &AddOnInfo) -> String {
    let kind = match add_on.kind {
        AddOnKind::Lora => add_on.algorithms.join(" + "),
        AddOnKind::Embedding => "embedding".to_owned(),
    };
    let size = format!("{:.1} MiB", add_on.size_bytes as f64 / f64::from(1 << 20));
    let mut parts = vec![kind, add_on.base.clone(), size];
    if let Some(alias) = &add_on.alias {
        parts.push(format!("also called {alias}"));
    }
    let notes = &add_on.notes;
    let words = match notes.activation_text.as_str() {
        "" => notes.trigger_words.join(", "),
        text => text.to_owned(),
    };
    if !words.is_empty() {
        parts.push(format!("words: {words}"));
    }
    parts.push(add_on.path.display().to_string());
    parts.retain(|part| !part.is_empty());
    format!("{}: {}", add_on.name, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_weights() {
        let read = |text: &str| {
            let one = parse(text).ok()?;
            Some((one.name, one.unet, one.text))
        };
        let want = |name: &str, unet, text| Some((name.to_owned(), unet, text));
        assert_eq!(read("ink"), want("ink", 1.0, 1.0));
        assert_eq!(read("ink:0.5"), want("ink", 0.5, 0.5));
        assert_eq!(read("ink:-0.5:0"), want("ink", -0.5, 0.0));
        assert_eq!(read("a:b c"), want("a:b c", 1.0, 1.0));
        assert_eq!(read("a:b:2"), want("a:b", 2.0, 2.0));
        assert_eq!(read("ink:"), None);
        assert_eq!(read(":1"), None);
    }
}
