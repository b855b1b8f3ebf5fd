//! DoRA (Liu et al. 2024): the changed weight keeps its direction, its length along one axis is
//! learned. A strength other than 1 goes that share of the way, as A1111 and ComfyUI do it.

use super::file::{AddOnFile, Module, Role};
use super::maths::Sides;
use crate::error::Result;

/// The axis whose vectors have learned lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Output,
    Input,
}

/// Whether the module has learned lengths.
pub(super) fn is_here(module: &Module) -> bool {
    module.has(Role::Dora) || module.has(Role::Magnitude)
}

/// There are as many lengths as outputs, or inputs.
pub(super) fn check(module: &Module, sides: Sides) -> Result<(), String> {
    axis(module, sides).map(|_| ())
}

/// LyCORIS shapes lengths of outputs (outputs, 1, …) and of inputs (1, inputs, …), PEFT those of outputs
/// (outputs) or (1, outputs, 1, 1).
fn axis(module: &Module, sides: Sides) -> Result<Axis, String> {
    let misfit = |shape: &[usize]| {
        format!(
            "lengths of shape {shape:?} where the layer has {} outputs and {} inputs",
            sides.outputs, sides.inputs
        )
    };
    if let Some(shape) = module.shape(Role::Magnitude) {
        let count: usize = shape.iter().product();
        return match count == sides.outputs {
            true => Ok(Axis::Output),
            false => Err(misfit(shape)),
        };
    }
    let shape = module.shape(Role::Dora).unwrap_or_default();
    let count: usize = shape.iter().product();
    match shape.first() {
        Some(&first) if first == count && count == sides.outputs => Ok(Axis::Output),
        Some(1) if count == sides.inputs => Ok(Axis::Input),
        _ => Err(misfit(shape)),
    }
}

/// Moves `weight` by `strength` of the way to (weight + delta) with the learned lengths. `delta` comes
/// scaled by alpha.
pub(super) fn apply(
    file: &AddOnFile,
    module: &Module,
    (strength, delta): (f32, &[f32]),
    weight: &mut [f32],
    sides: Sides,
) -> Result<()> {
    let axis = axis(module, sides).map_err(|why| file.bad(module, why))?;
    let role = if module.has(Role::Magnitude) {
        Role::Magnitude
    } else {
        Role::Dora
    };
    let lengths = file.need(module, role)?.values;
    let Sides { inputs, taps, .. } = sides;
    let (row, taps) = (sides.row().max(1), taps.max(1));
    let vector = |at: usize| match axis {
        Axis::Output => at / row,
        Axis::Input => at / taps % inputs.max(1),
    };
    let mut squares = vec![0.0_f64; lengths.len()];
    for (at, (value, change)) in weight.iter().zip(delta).enumerate() {
        squares[vector(at)] += f64::from(value + change).powi(2);
    }
    let factors: Vec<f32> = squares
        .iter()
        .zip(&lengths)
        .map(|(square, length)| length / (square.sqrt() as f32 + f32::EPSILON))
        .collect();
    for (at, (value, change)) in weight.iter_mut().zip(delta).enumerate() {
        let changed = (*value + change) * factors[vector(at)];
        *value += strength * (changed - *value);
    }
    Ok(())
}
