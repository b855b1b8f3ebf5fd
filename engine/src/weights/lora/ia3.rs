//! (IA)3 (Liu et al. 2022): each output, or each input, of a layer scaled.

use super::file::{AddOnFile, Module, Role};
use super::maths::Sides;
use crate::error::Result;

/// Whether the module is one of this kind.
pub(super) fn is_here(module: &Module) -> bool {
    module.has(Role::Ia3) && module.has(Role::Ia3OnInput)
}

/// As many factors as the layer has outputs, or inputs.
pub(super) fn check(module: &Module, sides: Sides) -> Result<(), String> {
    let count: usize = module.shape(Role::Ia3).unwrap_or_default().iter().product();
    if count == sides.outputs || count == sides.inputs {
        return Ok(());
    }
    Err(format!(
        "{count} factors where the layer has {} outputs and {} inputs",
        sides.outputs, sides.inputs
    ))
}

/// Scales `weight` by 1 + `strength` times the factors.
pub(super) fn apply(
    file: &AddOnFile,
    module: &Module,
    strength: f32,
    weight: &mut [f32],
    sides: Sides,
) -> Result<()> {
    let factors = file.need(module, Role::Ia3)?.values;
    let on_input = file.number(module, Role::Ia3OnInput)?.unwrap_or(0.0) != 0.0;
    let wanted = if on_input {
        sides.inputs
    } else {
        sides.outputs
    };
    if factors.len() != wanted {
        let why = format!("{} factors where {wanted} are needed", factors.len());
        return Err(file.bad(module, why));
    }
    let lines = weight.chunks_exact_mut(sides.row().max(1)).enumerate();
    for (output, line) in lines {
        for (input, taps) in line.chunks_exact_mut(sides.taps.max(1)).enumerate() {
            let factor = factors[if on_input { input } else { output }];
            taps.iter_mut()
                .for_each(|value| *value *= 1.0 + strength * factor);
        }
    }
    Ok(())
}
