//! Models whose files do not hold all of them: who lends the rest.

use super::Worker;
use crate::catalog::scan::Found;
use crate::error::{EngineError, Result};
use crate::recipe::ModelRef;

impl Worker {
    /// A model with the parts that its file does not hold, from the lender that the recipe names or, said
    /// in a note, the usual one. Writes into the recipe who that is.
    ///
    /// # Errors
    /// `InvalidRequest` when what the recipe names cannot lend them, or what does not fit.
    pub(super) fn borrow(
        &self,
        found: Found,
        wanted: &mut Option<ModelRef>,
        notes: &mut Vec<String>,
    ) -> Result<Found> {
        let name = &found.info.name;
        let Some(borrowed) = found.info.storage.borrowed.clone() else {
            if let Some(unused) = wanted.take() {
                notes.push(format!(
                    "“{name}” is a whole model: nothing is taken from “{}”",
                    unused.id
                ));
            }
            return Ok(found);
        };
        let catalog = self.shared.catalog();
        let id = match wanted {
            Some(wanted) => catalog.lender(&borrowed, wanted)?.id.clone(),
            None => {
                notes.push(format!(
                    "“{name}” has a network alone: {} are taken from “{}”",
                    borrowed.parts,
                    borrowed.usual()
                ));
                borrowed.usual().to_owned()
            }
        };
        let lender = self.shared.found(&id).ok_or_else(|| {
            let why = format!("no model called “{id}”");
            EngineError::invalid("network.parts_from", why)
        })?;
        let pinned = wanted.take().and_then(|wanted| wanted.sha256);
        *wanted = Some(ModelRef {
            id,
            sha256: pinned,
            ..ModelRef::default()
        });
        found.lent_by(&lender)
    }
}
