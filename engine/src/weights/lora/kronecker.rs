//! LoKr: the Kronecker product of two matrices (Edalati et al. 2022), each whole or itself of low
//! rank; the second carries a convolution's window, in Tucker form with a core `lokr_t2`.

use rayon::prelude::*;

use super::algorithm::{Algorithm, Delta, fits, rank_of, side_of};
use super::file::{AddOnFile, Module, Role};
use super::maths::{Sides, product, transposed, tucker};
use crate::error::Result;

pub(super) const SPEC: Algorithm = Algorithm {
    marks: &[
        Role::Kron1,
        Role::Kron1A,
        Role::Kron1B,
        Role::Kron2,
        Role::Kron2A,
        Role::Kron2B,
        Role::Kron2T,
    ],
    check,
    delta,
};

/// Rows and columns of the first factor.
fn first_sides(module: &Module) -> Result<[usize; 2], String> {
    if let Some(shape) = module.shape(Role::Kron1) {
        let whole: usize = shape.iter().product();
        let rows = shape.first().copied().unwrap_or(0).max(1);
        return Ok([rows, whole / rows]);
    }
    let rank = side_of(module, Role::Kron1B, 0)?;
    let rows = side_of(module, Role::Kron1A, 0)?;
    let columns = side_of(module, Role::Kron1B, 1)?;
    fits(module, Role::Kron1A, &[rows, rank])?;
    fits(module, Role::Kron1B, &[rank, columns])?;
    Ok([rows, columns])
}

/// The first factor times the second has the weight's shape; the rank is that of the second factor,
/// or else of the first; without one there is no alpha.
fn check(module: &Module, sides: Sides) -> Result<Option<usize>, String> {
    let [rows, columns] = first_sides(module)?;
    if rows == 0
        || columns == 0
        || !sides.outputs.is_multiple_of(rows)
        || !sides.inputs.is_multiple_of(columns)
    {
        return Err(format!(
            "a factor of {rows} x {columns} does not divide the layer's {} x {}",
            sides.outputs, sides.inputs
        ));
    }
    let inner = second_sides(sides, [rows, columns]);
    if module.has(Role::Kron2) {
        fits(module, Role::Kron2, &[inner.outputs, inner.row()])?;
        let rank = rank_of(module, Role::Kron1B, 0, sides).ok();
        return Ok(rank.filter(|_| !module.has(Role::Kron1)));
    }
    let rank = rank_of(module, Role::Kron2B, 0, sides)?;
    if module.has(Role::Kron2T) {
        let outer = rank_of(module, Role::Kron2A, 0, sides)?;
        fits(module, Role::Kron2T, &[outer, rank, inner.taps])?;
        fits(module, Role::Kron2A, &[outer, inner.outputs])?;
        fits(module, Role::Kron2B, &[rank, inner.inputs])?;
    } else {
        fits(module, Role::Kron2A, &[inner.outputs, rank])?;
        fits(module, Role::Kron2B, &[rank, inner.row()])?;
    }
    Ok(Some(rank))
}

fn second_sides(sides: Sides, [rows, columns]: [usize; 2]) -> Sides {
    Sides {
        outputs: sides.outputs / rows.max(1),
        inputs: sides.inputs / columns.max(1),
        taps: sides.taps,
    }
}

fn delta(file: &AddOnFile, module: &Module, sides: Sides) -> Result<Delta> {
    let [rows, columns] = first_sides(module).map_err(|why| file.bad(module, why))?;
    let inner = second_sides(sides, [rows, columns]);
    let first = match file.read(module, Role::Kron1)? {
        Some(whole) => whole.values,
        None => {
            let a = file.need(module, Role::Kron1A)?;
            let b = file.need(module, Role::Kron1B)?;
            product(&a.values, &b.values, [rows, b.shape[0], columns])
        }
    };
    let second = match file.read(module, Role::Kron2)? {
        Some(whole) => whole.values,
        None => {
            let a = file.need(module, Role::Kron2A)?;
            let b = file.need(module, Role::Kron2B)?;
            let rank = b.shape[0];
            match file.read(module, Role::Kron2T)? {
                Some(core) => {
                    let outer = a.shape[0];
                    let a = transposed(&a.values, [outer, inner.outputs]);
                    tucker(&core.values, &a, &b.values, [outer, rank], inner)
                }
                None => product(&a.values, &b.values, [inner.outputs, rank, inner.row()]),
            }
        }
    };
    let mut out = vec![0.0; sides.count()];
    let lines = out.par_chunks_exact_mut(sides.row().max(1)).enumerate();
    lines.for_each(|(output, line)| {
        let (row, within) = (output / inner.outputs, output % inner.outputs);
        let second = &second[within * inner.row()..][..inner.row()];
        for (column, part) in line.chunks_exact_mut(inner.row()).enumerate() {
            let factor = first[row * columns + column];
            part.iter_mut()
                .zip(second)
                .for_each(|(out, value)| *out = factor * value);
        }
    });
    Ok(out)
}
