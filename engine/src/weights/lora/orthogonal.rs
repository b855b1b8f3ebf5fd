//! OFT (Qiu et al. 2023) and BOFT (Liu et al. 2024), as LyCORIS and kohya write them: the outputs of a
//! layer are turned, block by block, by rotations `R = (I + Q)(I - Q)^-1` of skew-symmetric `Q` (Cayley
//! 1846). OFT turns once; BOFT in stages, each of which pairs outputs that lie twice as far apart.

use rayon::prelude::*;

use super::file::{AddOnFile, Module, Role};
use super::maths::Sides;
use crate::error::Result;

/// Largest block: its rotation takes time by the third power.
const BLOCK_LIMIT: usize = 1 << 10;
/// Most stages: each doubles the distance.
const STAGES_LIMIT: usize = 32;

/// Blocks of a stage, their sides, and stages.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// `None` for OFT.
    stages: Option<usize>,
    blocks: usize,
    side: usize,
}

/// Whether the module is one of this kind.
pub(super) fn is_here(module: &Module) -> bool {
    module.has(Role::Rotations)
}

/// The blocks of each stage cover the outputs; there are as many factors as outputs.
pub(super) fn check(module: &Module, sides: Sides) -> Result<(), String> {
    plan(module, sides).map(|_| ())
}

/// OFT's blocks are (blocks, side, side), BOFT's (stages, blocks, side, side).
fn plan(module: &Module, sides: Sides) -> Result<Plan, String> {
    let shape = module.shape(Role::Rotations).unwrap_or_default();
    let plan = match *shape {
        [blocks, side, other] if side == other => Plan {
            stages: None,
            blocks,
            side,
        },
        [stages, blocks, side, other] if side == other => Plan {
            stages: Some(stages),
            blocks,
            side,
        },
        _ => return Err(format!("shape {shape:?} is no row of square blocks")),
    };
    let Plan { blocks, side, .. } = plan;
    if !(1..=BLOCK_LIMIT).contains(&side) || blocks.checked_mul(side) != Some(sides.outputs) {
        return Err(format!(
            "{blocks} blocks of {side} (at most {BLOCK_LIMIT}) do not make the layer's {} outputs",
            sides.outputs
        ));
    }
    if let Some(stages) = plan.stages {
        let pairs = side.is_multiple_of(2);
        let fits = |stage: usize| sides.outputs.is_multiple_of(side << stage);
        if !pairs || !(1..=STAGES_LIMIT).contains(&stages) || !(0..stages).all(fits) {
            return Err(format!(
                "{stages} stages of blocks of {side} do not pair the layer's {} outputs",
                sides.outputs
            ));
        }
    }
    if let Some(shape) = module.shape(Role::Rescale) {
        let count: usize = shape.iter().product();
        if count != sides.outputs {
            return Err(format!(
                "{count} factors where the layer has {} outputs",
                sides.outputs
            ));
        }
    }
    Ok(plan)
}

/// Turns `weight`, by `strength` of the way from where it is: each rotation goes that share of the way
/// from the identity in a straight line, as LyCORIS does, and each factor that share from 1.
pub(super) fn apply(
    file: &AddOnFile,
    module: &Module,
    strength: f32,
    weight: &mut [f32],
    sides: Sides,
) -> Result<()> {
    let plan = plan(module, sides).map_err(|why| file.bad(module, why))?;
    let mut blocks = file.need(module, Role::Rotations)?.values;
    let limit = file.number(module, Role::Alpha)?.unwrap_or(0.0) * sides.outputs as f64;
    let square = plan.side * plan.side;
    blocks
        .par_chunks_exact_mut(square)
        .for_each(|block| make_skew(block, plan.side));
    if limit > 0.0 {
        let squares = blocks.iter().map(|value| f64::from(*value).powi(2));
        let norm = squares.sum::<f64>().sqrt() + 1e-8;
        if norm > limit {
            let factor = (limit / norm) as f32;
            blocks.iter_mut().for_each(|value| *value *= factor);
        }
    }
    blocks
        .par_chunks_exact_mut(square)
        .for_each(|block| rotate(block, plan.side, strength));
    let stages = plan.stages.unwrap_or(1);
    for (stage, rotations) in blocks
        .chunks_exact(square * plan.blocks)
        .enumerate()
        .take(stages)
    {
        let order = |place: usize| match plan.stages {
            None => place,
            Some(_) => paired(place, (plan.side << stage) / 2),
        };
        turn(weight, rotations, plan, &order, sides.row());
    }
    if let Some(factors) = file.read(module, Role::Rescale)? {
        let lines = weight.chunks_exact_mut(sides.row().max(1));
        for (line, factor) in lines.zip(&factors.values) {
            let factor = 1.0 + strength * (factor - 1.0);
            line.iter_mut().for_each(|value| *value *= factor);
        }
    }
    Ok(())
}

/// Which output stands at a place of a stage that pairs outputs `distance` apart.
fn paired(place: usize, distance: usize) -> usize {
    let (pair, which) = (place / 2, place % 2);
    let (group, within) = (pair / distance, pair % distance);
    group * 2 * distance + which * distance + within
}

/// `B - B^T`, in place.
fn make_skew(block: &mut [f32], side: usize) {
    for row in 0..side {
        block[row * side + row] = 0.0;
        for column in 0..row {
            let value = block[row * side + column] - block[column * side + row];
            block[row * side + column] = value;
            block[column * side + row] = -value;
        }
    }
}

/// A skew-symmetric `Q` becomes `strength * R + (1 - strength) * I`, transposed for OFT's and as it is
/// for BOFT's use: see [`turn`]. `R` is solved for in f64 from `R (I - Q) = I + Q`. Elimination needs no
/// pivots: the symmetric part of `I - Q` is `I`.
fn rotate(block: &mut [f32], side: usize, strength: f32) {
    let at = |row: usize, column: usize| row * side + column;
    let unit = |row: usize, column: usize| f64::from(u8::from(row == column));
    let signed = |sign: f64| -> Vec<f64> {
        let places = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
        places
            .map(|(row, column)| unit(row, column) + sign * f64::from(block[at(row, column)]))
            .collect()
    };
    // R^T solves (I - Q)^T R^T = (I + Q)^T, where Q^T = -Q.
    let (mut left, mut right) = (signed(1.0), signed(-1.0));
    for pivot in 0..side {
        let inverse = 1.0 / left[at(pivot, pivot)];
        let scale = |line: &mut [f64]| line.iter_mut().for_each(|value| *value *= inverse);
        scale(&mut left[at(pivot, 0)..][..side]);
        scale(&mut right[at(pivot, 0)..][..side]);
        let lines = [&left, &right].map(|matrix| matrix[at(pivot, 0)..][..side].to_vec());
        for row in (0..side).filter(|row| *row != pivot) {
            let factor = left[at(row, pivot)];
            for (matrix, line) in [&mut left, &mut right].into_iter().zip(&lines) {
                let own = matrix[at(row, 0)..][..side].iter_mut();
                own.zip(line)
                    .for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    let strength = f64::from(strength);
    for row in 0..side {
        for column in 0..side {
            let turned = strength * right[at(row, column)] + (1.0 - strength) * unit(row, column);
            block[at(row, column)] = turned as f32;
        }
    }
}

/// Turns the outputs, in the order of a stage, by its blocks, which hold the transposed rotations.
fn turn(
    weight: &mut [f32],
    rotations: &[f32],
    plan: Plan,
    order: &(dyn Fn(usize) -> usize + Sync),
    row: usize,
) {
    let Plan { side, stages, .. } = plan;
    let before = weight.to_vec();
    let line = |place: usize| &before[order(place) * row..][..row];
    let turned: Vec<(usize, Vec<f32>)> = (0..plan.blocks * side)
        .into_par_iter()
        .map(|place| {
            let (block, within) = (place / side, place % side);
            let mut out = vec![0.0; row];
            for other in 0..side {
                // LyCORIS multiplies by the transposed rotation in OFT, by the rotation in BOFT.
                let (one, two) = match stages {
                    None => (within, other),
                    Some(_) => (other, within),
                };
                let factor = rotations[(block * side + one) * side + two];
                let values = line(block * side + other);
                out.iter_mut()
                    .zip(values)
                    .for_each(|(out, value)| *out += factor * value);
            }
            (order(place), out)
        })
        .collect();
    for (output, values) in turned {
        weight[output * row..][..row].copy_from_slice(&values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_keep_lengths_and_a_strength_of_zero_changes_nothing() {
        let side = 5;
        let drawn: Vec<f32> = (0..25_u8)
            .map(|i| f32::from(i * 7 % 11) * 0.3 - 1.0)
            .collect();
        let mut skew = drawn;
        make_skew(&mut skew, side);
        let mut rotation = skew.clone();
        rotate(&mut rotation, side, 1.0);
        for a in 0..side {
            for b in 0..side {
                let dot: f32 = (0..side)
                    .map(|i| rotation[a * side + i] * rotation[b * side + i])
                    .sum();
                let unit = f32::from(u8::from(a == b));
                assert!((dot - unit).abs() < 1e-5, "{a}, {b}: {dot}");
            }
        }
        rotate(&mut skew, side, 0.0);
        for (place, value) in skew.iter().enumerate() {
            assert_eq!(*value, f32::from(u8::from(place % (side + 1) == 0)));
        }
    }

    #[test]
    fn stages_pair_outputs_ever_farther_apart() {
        let order = |distance| {
            (0..8)
                .map(|place| paired(place, distance))
                .collect::<Vec<_>>()
        };
        assert_eq!(order(1), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(order(2), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(order(4), [0, 4, 1, 5, 2, 6, 3, 7]);
    }
}
