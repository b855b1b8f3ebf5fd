//! What Stable Diffusion XL adds to the time embedding: the whole text, and sizes or a score (Podell et
//! al. 2023, sections 2.2 and 2.5).

use std::sync::{Mutex, PoisonError};

use super::unet::Unet;
use super::unet_config::Added;
use crate::error::Result;
use crate::families::model::NetworkInput;
use crate::nn::Act;
use crate::prompt::Role;

/// The score that the refiner is told of what to draw, and of what to avoid.
const SCORES: [f32; 2] = [6.0, 2.5];
/// Calls whose additions are kept: a run asks for the same ones at each step.
const KEPT: usize = 16;

/// Which numbers a model is told beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// The picture's first size, the corner of a crop, the picture's size: height before width.
    Sizes,
    /// The picture's first size, the corner of a crop, and an aesthetic score: the refiner's.
    Score,
}

impl Numbers {
    /// Those of a network, by how many there is room for; `None` where neither fits.
    pub(super) fn of(added: Added, pooled_channels: usize) -> Option<Self> {
        let rest = added.channels.checked_sub(pooled_channels)?;
        match (rest % added.number_channels, rest / added.number_channels) {
            (0, 6) => Some(Self::Sizes),
            (0, 5) => Some(Self::Score),
            _ => None,
        }
    }

    fn values(self, [width, height]: [u32; 2], role: Role) -> Vec<f32> {
        let (width, height) = (width as f32, height as f32);
        let mut values = vec![height, width, 0.0, 0.0];
        match self {
            Self::Sizes => values.extend([height, width]),
            Self::Score => values.push(SCORES[usize::from(role != Role::Prompt)]),
        }
        values
    }
}

/// Everything that an addition depends on.
struct Key {
    pooled: Vec<Act>,
    roles: Vec<Role>,
    size_px: [u32; 2],
}

/// The additions of a model, the latest ones kept.
pub(super) struct Additions {
    numbers: Numbers,
    kept: Mutex<Vec<(Key, Act)>>,
}

impl Additions {
    pub(super) fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            kept: Mutex::default(),
        }
    }

    /// Forgets what is kept: the layers that made it are about to be others, or already are.
    pub(super) fn clear(&mut self) {
        let kept = self.kept.get_mut();
        kept.unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is added for the conditions of a call, (B, 1, time channels); `None` where they have no
    /// vector.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub(super) fn of(&self, unet: &Unet, input: &NetworkInput<'_>) -> Result<Option<Act>> {
        let conditions = input.conditions.iter();
        let pooled: Vec<&Act> = conditions.filter_map(|one| one.pooled.as_ref()).collect();
        if pooled.len() != input.conditions.len() {
            return Ok(None);
        }
        let roles: Vec<Role> = input.conditions.iter().map(|one| one.role).collect();
        let is_same = |key: &Key| {
            key.size_px == input.size_px
                && key.roles == roles
                && key.pooled.len() == pooled.len()
                && key.pooled.iter().zip(&pooled).all(|(a, b)| a.is(b))
        };
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock()
            .iter()
            .find(|(key, _)| is_same(key))
            .map(|(_, added)| added.clone());
        if known.is_some() {
            return Ok(known);
        }
        // Not under the lock: the work runs on the pool.
        let numbers: Vec<_> = roles
            .iter()
            .map(|role| self.numbers.values(input.size_px, *role))
            .collect();
        let Some(added) = unet.add(&pooled, &numbers)? else {
            return Ok(None);
        };
        let key = Key {
            pooled: pooled.into_iter().cloned().collect(),
            roles,
            size_px: input.size_px,
        };
        let mut kept = lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((key, added.clone()));
        Ok(Some(added))
    }
}
