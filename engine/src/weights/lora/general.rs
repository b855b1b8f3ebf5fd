//! GLoRA (Chavan et al. 2023) as LyCORIS writes it: `W A + B`, both of low rank, so that the change
//! depends on the weight itself.

use super::algorithm::{Delta, fits, rank_of};
use super::file::{AddOnFile, Module, Role};
use super::maths::{Sides, product, swapped};
use crate::error::Result;

/// Whether the module is one of this kind.
pub(super) fn is_here(module: &Module) -> bool {
    module.has(Role::GeneralA1)
}

/// The factors of `A` (inputs, rank), (rank, inputs) and of `B` (outputs, rank), (rank, row). Former
/// versions of LyCORIS call each the other.
#[derive(Clone, Copy, Debug)]
struct Factors {
    a: [Role; 2],
    b: [Role; 2],
}

const NOW: Factors = Factors {
    a: [Role::GeneralA1, Role::GeneralA2],
    b: [Role::GeneralB1, Role::GeneralB2],
};
const FORMER: Factors = Factors {
    a: [Role::GeneralA2, Role::GeneralA1],
    b: [Role::GeneralB2, Role::GeneralB1],
};

/// Gives the rank that alpha is divided by.
pub(super) fn check(module: &Module, sides: Sides) -> Result<usize, String> {
    factors(module, sides).map(|(_, rank)| rank)
}

fn factors(module: &Module, sides: Sides) -> Result<(Factors, usize), String> {
    let checked = |names: Factors| -> Result<(Factors, usize), String> {
        let Factors {
            a: [a_out, a_in],
            b: [b_out, b_in],
        } = names;
        let rank = rank_of(module, a_in, 0, sides)?;
        fits(module, a_out, &[sides.inputs, rank])?;
        fits(module, a_in, &[rank, sides.inputs])?;
        fits(module, b_out, &[sides.outputs, rank])?;
        fits(module, b_in, &[rank, sides.row()])?;
        Ok((names, rank))
    };
    checked(NOW).or_else(|why| checked(FORMER).map_err(|_former| why))
}

/// The change of `weight`, before any scale; `check` passed.
pub(super) fn delta(
    file: &AddOnFile,
    module: &Module,
    weight: &[f32],
    sides: Sides,
) -> Result<Delta> {
    let (names, rank) = factors(module, sides).map_err(|why| file.bad(module, why))?;
    let read = |[outer, inner]: [Role; 2]| -> Result<[Vec<f32>; 2]> {
        let (outer, inner) = (file.need(module, outer)?, file.need(module, inner)?);
        Ok([outer.values, inner.values])
    };
    let Sides {
        outputs,
        inputs,
        taps,
    } = sides;
    let [outer, inner] = read(names.a)?;
    // Each tap of the window is a matrix of its own here: (outputs, taps, inputs).
    let turned = swapped(weight, [outputs, inputs, taps]);
    let half = product(&turned, &outer, [outputs * taps, inputs, rank]);
    let whole = product(&half, &inner, [outputs * taps, rank, inputs]);
    let mut change = swapped(&whole, [outputs, taps, inputs]);
    let [outer, inner] = read(names.b)?;
    let added = product(&outer, &inner, [outputs, rank, sides.row()]);
    change.iter_mut().zip(added).for_each(|(a, b)| *a += b);
    Ok(change)
}
