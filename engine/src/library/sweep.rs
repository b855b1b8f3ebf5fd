//! Start pictures and masks that nothing in the gallery needs any more. They go only with the
//! pictures that needed them, when those leave the trash for good: a recipe outside the gallery may
//! refer to any other one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Library, scan};
use crate::error::{EngineError, Result};
use crate::recipe::read_record_file;

/// The hashes of the blobs that the pictures below `root` refer to.
pub(super) fn blobs_of(root: &Path) -> BTreeSet<String> {
    scan::scan(root)
        .pictures
        .iter()
        .filter_map(|relative| read_record_file(&root.join(relative)).ok().flatten())
        .filter_map(|found| found.record.recipe.start)
        .flat_map(|start| start.blobs().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

impl Library {
    /// Removes those of `candidates` that no picture of the gallery or its trash refers to, and that
    /// no job has used for `unused_for`: a queued one may be about to.
    ///
    /// # Errors
    /// `Io` for a blob that cannot be removed.
    pub(super) fn sweep_blobs(
        &self,
        candidates: &BTreeSet<String>,
        unused_for: Duration,
    ) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let mut needed = blobs_of(self.root());
        for bin in fs::read_dir(self.root().join(".trash"))
            .into_iter()
            .flatten()
            .flatten()
        {
            needed.extend(blobs_of(&bin.path()));
        }
        for hash in candidates.difference(&needed) {
            let path = self.blob_path(hash)?;
            let used = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let unused = used.is_ok_and(|used| {
                SystemTime::now()
                    .duration_since(used)
                    .is_ok_and(|age| age >= unused_for)
            });
            if unused {
                fs::remove_file(&path).map_err(|error| EngineError::io(&path, "remove", &error))?;
            }
        }
        Ok(())
    }
}
