//! LoRA and LoCon: `up` times `down` (Hu et al. 2021), for convolutions with the window in `down`, or
//! in a core of its own between them (`lora_mid`, LyCORIS' CP or Tucker form).

use super::algorithm::{Algorithm, Delta, fits, rank_of};
use super::file::{AddOnFile, Module, Role};
use super::maths::{Sides, product, tucker};
use crate::error::Result;

pub(super) const SPEC: Algorithm = Algorithm {
    marks: &[Role::Down, Role::Up],
    check,
    delta,
};

/// `down` (rank, inputs, window), `up` (outputs, rank), `mid` (rank of up, rank of down, window).
fn check(module: &Module, sides: Sides) -> Result<Option<usize>, String> {
    let rank = rank_of(module, Role::Down, 0, sides)?;
    if module.has(Role::Mid) {
        let outer = rank_of(module, Role::Up, 1, sides)?;
        fits(module, Role::Mid, &[outer, rank, sides.taps])?;
        fits(module, Role::Down, &[rank, sides.inputs])?;
        fits(module, Role::Up, &[sides.outputs, outer])?;
    } else {
        fits(module, Role::Down, &[rank, sides.row()])?;
        fits(module, Role::Up, &[sides.outputs, rank])?;
    }
    Ok(Some(rank))
}

fn delta(file: &AddOnFile, module: &Module, sides: Sides) -> Result<Delta> {
    let (up, down) = (file.need(module, Role::Up)?, file.need(module, Role::Down)?);
    let rank = down.shape[0];
    Ok(match file.read(module, Role::Mid)? {
        Some(mid) => {
            let ranks = [mid.shape[0], rank];
            tucker(&mid.values, &up.values, &down.values, ranks, sides)
        }
        None => product(&up.values, &down.values, [sides.outputs, rank, sides.row()]),
    })
}
