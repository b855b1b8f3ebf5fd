//! Any level of a table, for samplers that ask the network between the steps of their schedule.

use super::table::{ClassTable, Sigmas};
use crate::denoiser::Level;

/// A table as a sampler's class sees it, without the model's file.
#[derive(Clone, Debug)]
pub struct LevelTable {
    alphas_squared: Vec<f32>,
    sigmas: Sigmas,
}

impl LevelTable {
    /// The level of that sigma / alpha, above 0 and finite; its timestep lies between the table's.
    pub(crate) fn at_sigma_ve(&self, sigma: f64) -> Level {
        let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
        Level {
            timestep: self.sigmas.timestep_of(sigma),
            alpha,
            sigma: sigma * alpha,
        }
    }

    /// The level of a training timestep, held at the last one.
    pub(crate) fn at_timestep(&self, timestep: usize) -> Level {
        let timestep = timestep.min(self.alphas_squared.len() - 1);
        let alpha_squared = self.alphas_squared[timestep];
        Level {
            timestep: timestep as f64,
            alpha: f64::from(alpha_squared).sqrt(),
            sigma: f64::from(1.0 - alpha_squared).sqrt(),
        }
    }
}

impl ClassTable<'_> {
    /// The levels alone.
    pub(crate) fn level_table(&self) -> LevelTable {
        LevelTable {
            alphas_squared: self.alphas_squared.clone(),
            sigmas: self.sigmas.clone(),
        }
    }
}
