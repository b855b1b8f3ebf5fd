//! Which picture files lie in the gallery's folder, and what each says about itself.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::date::unix_ms;
use super::index::Row;
use crate::recipe::peek_png;

/// Folders below the gallery's that are looked through.
const MAX_DEPTH: usize = 4;

/// What lies in a gallery.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// PNG files by their path inside the gallery, `/` between folders.
    pub(super) pictures: BTreeSet<String>,
    /// Every folder that was looked through.
    pub(super) folders: Vec<PathBuf>,
}

/// Whether a name at the gallery's top level or below belongs to its machinery.
pub(super) fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name == "blobs"
}

/// Looks through a gallery. Links are not followed; folders that cannot be read count as empty.
pub(super) fn scan(root: &Path) -> Scan {
    let mut scan = Scan::default();
    let mut waiting = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let (Some(name), false) = (name.to_str(), is_ours(&name)) else {
                continue;
            };
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && depth < MAX_DEPTH {
                waiting.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
            } else if kind.is_file() && has_png_name(name) {
                scan.pictures.insert(format!("{prefix}{name}"));
            }
        }
        scan.folders.push(folder);
    }
    scan
}

fn has_png_name(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// The index's row of a file; `None` when it is no PNG, or gone. A recipe that cannot be read leaves
/// the row without one: the picture is still there to be seen.
pub(super) fn row(root: &Path, relative: &str, starred: bool) -> Option<Row> {
    let path = root.join(relative);
    let (size_px, found) = peek_png(&path).ok()??;
    let found = found.unwrap_or_default();
    let made_ms = found
        .as_ref()
        .map_or(0, |found| found.record.outcome.finished_unix_ms);
    let created_ms = if made_ms > 0 {
        made_ms
    } else {
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        modified.map_or(0, unix_ms)
    };
    let recipe = found.as_ref().map(|found| &found.record.recipe);
    Some(Row {
        path: relative.to_owned(),
        created_ms,
        width_px: size_px[0],
        height_px: size_px[1],
        prompt: recipe.map_or_else(String::new, |recipe| recipe.prompt.clone()),
        model: recipe.map_or_else(String::new, |recipe| recipe.model.id.clone()),
        seed: recipe.map(|recipe| recipe.seed),
        starred,
        has_recipe: recipe.is_some(),
    })
}
