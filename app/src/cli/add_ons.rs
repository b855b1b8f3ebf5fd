//! Add-ons on the command line: `--lora NAME[:WEIGHT[:TEXT]]`, and their list in `pentimento models`.

use std::path::PathBuf;

use pentimento_engine::catalog::{AddOnInfo, Catalog};
use pentimento_engine::recipe::{AddOnKind, AddOnUse, Recipe};

use super::args::unknown;
use super::{Args, Failure};

/// The option's name.
pub(super) const LORA: &str = "lora";

/// What `--lora` said; `None` where it was not given.
#[derive(Default)]
pub(super) struct AddOns {
    used: Option<Vec<AddOnUse>>,
    /// Files that were named by their paths.
    paths: Vec<PathBuf>,
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
        let used: Result<Vec<AddOnUse>, _> = given.into_iter().map(parse).collect();
        let mut used = used?;
        let mut paths = Vec::new();
        for one in &mut used {
            let path = PathBuf::from(&one.name);
            if path.is_file() {
                let stem = path.file_stem().unwrap_or_default();
                one.name = stem.to_string_lossy().into_owned();
                paths.push(path);
            }
        }
        Ok(Self {
            used: Some(used),
            paths,
        })
    }

    /// Puts them in the place of a recipe's own list, as files chosen just now: what the recipe meant
    /// by their names does not count. What its prompt names stays.
    pub(super) fn apply(&self, recipe: &mut Recipe) {
        if let Some(used) = &self.used {
            recipe.add_ons.used.clone_from(used);
            for one in used {
                recipe.add_ons.unpin(&one.name);
            }
        }
    }

    /// Fails for a name that the catalogue does not have: somebody typed it just now. Looks it up as
    /// the job will.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the nearest known name.
    pub(super) fn check(&self, recipe: &Recipe, catalog: &Catalog) -> Result<(), Failure> {
        for one in self.used.iter().flatten() {
            let pinned = recipe.add_ons.pinned(&one.name);
            if catalog.add_on(AddOnKind::Lora, &one.name, pinned).is_none() {
                let loras = catalog.add_ons.iter();
                let loras = loras.filter(|known| known.kind == AddOnKind::Lora);
                let names = loras.map(|known| known.name.as_str());
                return Err(unknown("LoRA", &one.name, names));
            }
        }
        Ok(())
    }

    /// Files that were named by their paths.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether the catalogue must be complete before a job starts.
    pub(super) fn are_given(&self) -> bool {
        self.used.is_some()
    }
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
