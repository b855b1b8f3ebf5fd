//! LoHa (Hyeon-Woo et al. 2021, FedPara): the elementwise product of two low-rank matrices, each
//! `w_a` times `w_b`, or for convolutions a Tucker product with a core `t`.

use super::algorithm::{Algorithm, Delta, fits, rank_of};
use super::file::{AddOnFile, Module, Role};
use super::maths::{Sides, product, transposed, tucker};
use crate::error::Result;

pub(super) const SPEC: Algorithm = Algorithm {
    marks: &[Role::Hada1A, Role::Hada1B, Role::Hada2A, Role::Hada2B],
    check,
    delta,
};

/// Core, outer and inner factor of each half.
const HALVES: [[Role; 3]; 2] = [
    [Role::Hada1T, Role::Hada1A, Role::Hada1B],
    [Role::Hada2T, Role::Hada2A, Role::Hada2B],
];

/// `w_a` (outputs, rank), `w_b` (rank, inputs and window); with cores `w_a` (rank, outputs), `w_b`
/// (rank, inputs), `t` (rank, rank, window).
fn check(module: &Module, sides: Sides) -> Result<Option<usize>, String> {
    for [core, outer, inner] in HALVES {
        let rank = rank_of(module, inner, 0, sides)?;
        if module.has(core) {
            let outer_rank = rank_of(module, outer, 0, sides)?;
            fits(module, core, &[outer_rank, rank, sides.taps])?;
            fits(module, outer, &[outer_rank, sides.outputs])?;
            fits(module, inner, &[rank, sides.inputs])?;
        } else {
            fits(module, outer, &[sides.outputs, rank])?;
            fits(module, inner, &[rank, sides.row()])?;
        }
    }
    rank_of(module, Role::Hada1B, 0, sides).map(Some)
}

fn delta(file: &AddOnFile, module: &Module, sides: Sides) -> Result<Delta> {
    let half = |[core, outer, inner]: [Role; 3]| -> Result<Delta> {
        let (a, b) = (file.need(module, outer)?, file.need(module, inner)?);
        let rank = b.shape[0];
        Ok(match file.read(module, core)? {
            Some(core) => {
                let outer_rank = a.shape[0];
                let a = transposed(&a.values, [outer_rank, sides.outputs]);
                tucker(&core.values, &a, &b.values, [outer_rank, rank], sides)
            }
            None => product(&a.values, &b.values, [sides.outputs, rank, sides.row()]),
        })
    };
    let [first, second] = HALVES;
    let mut first = half(first)?;
    let second = half(second)?;
    first.iter_mut().zip(second).for_each(|(a, b)| *a *= b);
    Ok(first)
}
