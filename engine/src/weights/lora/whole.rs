//! Whole differences: LyCORIS' “full” (`diff`) and trained norms (`w_norm`).

use super::algorithm::{Algorithm, Delta, fits};
use super::file::{AddOnFile, Module, Role};
use super::maths::Sides;
use crate::error::Result;

pub(super) const SPEC: Algorithm = Algorithm {
    marks: &[Role::Diff],
    check,
    delta,
};

fn check(module: &Module, sides: Sides) -> Result<Option<usize>, String> {
    fits(module, Role::Diff, &[sides.outputs, sides.row()])?;
    Ok(None)
}

fn delta(file: &AddOnFile, module: &Module, _: Sides) -> Result<Delta> {
    Ok(file.need(module, Role::Diff)?.values)
}
