//! What the algorithms share: which one a module is of, whether it fits a layer, and its change of the
//! layer's weight.

use super::file::{AddOnFile, Module, Role};
use super::maths::Sides;
use super::{decompose, general, hadamard, ia3, kronecker, low_rank, orthogonal, whole};
use crate::error::Result;

/// Longest side of a factor: layers have at most some ten thousand channels.
const SIDE_LIMIT: usize = 1 << 14;
/// Rank that is taken of any layer: small ones are often trained with that of the large ones.
const RANK_FLOOR: usize = 1 << 10;

/// A change of a weight, in its order of values.
pub(super) type Delta = Vec<f32>;

/// A way of writing a change of a weight.
pub(super) struct Algorithm {
    /// The module is of this kind when it has any of these.
    pub(super) marks: &'static [Role],
    /// Whether the tensors' shapes fit a layer; gives the rank that alpha is divided by, if any. Reads
    /// nothing but the header.
    pub(super) check: fn(&Module, Sides) -> Result<Option<usize>, String>,
    /// The change, before any scale; `check` passed.
    pub(super) delta: fn(&AddOnFile, &Module, Sides) -> Result<Delta>,
}

static ALGORITHMS: &[Algorithm] = &[low_rank::SPEC, hadamard::SPEC, kronecker::SPEC, whole::SPEC];

fn algorithm(module: &Module) -> Option<&'static Algorithm> {
    let of = |one: &&Algorithm| one.marks.iter().any(|role| module.has(*role));
    ALGORITHMS.iter().find(of)
}

/// A side of a factor: it must be there, and no stranger than any real one.
pub(super) fn side_of(module: &Module, role: Role, side: usize) -> Result<usize, String> {
    within(module, role, side, SIDE_LIMIT)
}

/// A side that is a rank. One beyond the layer's own is of no use to anybody, and its products
/// (outputs, rank, window) would take memory without bounds.
pub(super) fn rank_of(
    module: &Module,
    role: Role,
    side: usize,
    sides: Sides,
) -> Result<usize, String> {
    let full = sides.outputs.min(sides.row());
    within(module, role, side, full.max(RANK_FLOOR))
}

fn within(module: &Module, role: Role, side: usize, limit: usize) -> Result<usize, String> {
    let shape = module
        .shape(role)
        .ok_or_else(|| format!("its counterpart “{role:?}” is missing from the file"))?;
    match shape.get(side) {
        Some(rank) if (1..=limit).contains(rank) => Ok(*rank),
        _ => Err(format!("shape {shape:?} gives no rank of 1 to {limit}")),
    }
}

/// Whether a tensor has the first of these sides and as many values in all.
pub(super) fn fits(module: &Module, role: Role, sides: &[usize]) -> Result<(), String> {
    let shape = module
        .shape(role)
        .ok_or_else(|| format!("its counterpart “{role:?}” is missing from the file"))?;
    let count: usize = sides.iter().product();
    let same = shape.iter().product::<usize>() == count
        && (shape.first() == sides.first() || shape.len() == 1);
    if same {
        return Ok(());
    }
    Err(format!(
        "“{role:?}” has shape {shape:?} where {sides:?} is needed"
    ))
}

/// Whether a module fits a layer's weight (or its bias alone): reads nothing but the header.
pub(super) fn check(file: &AddOnFile, module: &Module, shape: &[usize]) -> Result<()> {
    let sides = Sides::of(shape);
    let checked = || {
        if ia3::is_here(module) {
            return ia3::check(module, sides);
        }
        if orthogonal::is_here(module) {
            orthogonal::check(module, sides)?;
        }
        if general::is_here(module) {
            general::check(module, sides)?;
        }
        if let Some(algorithm) = algorithm(module) {
            (algorithm.check)(module, sides)?;
        }
        if decompose::is_here(module) {
            decompose::check(module, sides)?;
        }
        for role in BIASES {
            if module.has(role) {
                fits(module, role, &[sides.outputs])?;
            }
        }
        if module.has(Role::UpBias) {
            rank_of(module, Role::Down, 0, sides)?;
        }
        Ok(())
    };
    checked().map_err(|why: String| file.misfit(module, &why))
}

/// What changes a bias.
const BIASES: [Role; 2] = [Role::DiffBias, Role::UpBias];

/// Whether the module changes a bias.
pub(super) fn changes_bias(module: &Module) -> bool {
    BIASES.iter().any(|role| module.has(*role))
}

/// Whether the module changes the weight itself, not only the bias.
pub(super) fn changes_weight(module: &Module) -> bool {
    let by_itself = [
        ia3::is_here,
        orthogonal::is_here,
        general::is_here,
        decompose::is_here,
    ];
    algorithm(module).is_some() || by_itself.iter().any(|is_here| is_here(module))
}

/// A place of a module in the model, for settings that speak of it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a str,
    pub(super) module: &'a str,
    pub(super) shape: &'a [usize],
}

/// Changes a layer's weight.
pub(super) fn apply(
    file: &AddOnFile,
    module: &Module,
    place: Place<'_>,
    strength: f64,
    weight: &mut [f32],
) -> Result<()> {
    let sides = Sides::of(place.shape);
    if ia3::is_here(module) {
        return ia3::apply(file, module, strength as f32, weight, sides);
    }
    if orthogonal::is_here(module) {
        return orthogonal::apply(file, module, strength as f32, weight, sides);
    }
    let mut delta = vec![0.0; sides.count()];
    let mut rank = None;
    if general::is_here(module) {
        let checked = general::check(module, sides).map_err(|why| file.bad(module, why))?;
        rank = Some(checked);
        delta = general::delta(file, module, weight, sides)?;
    } else if let Some(algorithm) = algorithm(module) {
        rank = (algorithm.check)(module, sides).map_err(|why| file.bad(module, why))?;
        delta = (algorithm.delta)(file, module, sides)?;
    }
    let scale = scale(file, module, place, rank)? as f32;
    if scale != 1.0 {
        delta.iter_mut().for_each(|value| *value *= scale);
    }
    if decompose::is_here(module) {
        let change = (strength as f32, delta.as_slice());
        decompose::apply(file, module, change, weight, sides)?;
    } else {
        let strength = strength as f32;
        weight
            .iter_mut()
            .zip(&delta)
            .for_each(|(value, change)| *value += strength * change);
    }
    Ok(())
}

/// Changes a layer's bias, or a norm's offset.
pub(super) fn apply_bias(
    file: &AddOnFile,
    module: &Module,
    place: Place<'_>,
    strength: f64,
    bias: &mut [f32],
) -> Result<()> {
    for role in BIASES {
        let Some(change) = file.read(module, role)? else {
            continue;
        };
        let mut factor = strength;
        if role == Role::UpBias {
            let rank = side_of(module, Role::Down, 0).map_err(|why| file.bad(module, why))?;
            factor *= scale(file, module, place, Some(rank))?;
        }
        let factor = factor as f32;
        bias.iter_mut()
            .zip(&change.values)
            .for_each(|(value, change)| *value += factor * change);
    }
    Ok(())
}

/// Factor on the change: the file's own, or alpha / rank.
fn scale(file: &AddOnFile, module: &Module, place: Place<'_>, rank: Option<usize>) -> Result<f64> {
    if let Some(scale) = file.number(module, Role::Scale)? {
        return Ok(scale);
    }
    let Some(rank) = rank else {
        return Ok(1.0);
    };
    Ok(match file.number(module, Role::Alpha)? {
        Some(alpha) => alpha / rank as f64,
        None => file.alphas.scale(place.folder, place.module, rank),
    })
}
