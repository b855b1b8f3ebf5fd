//! The noise levels behind a [`NoiseTable`], computed operation by operation as torch does in
//! float32 on the CPU, so that even the steep end of a rescaled table agrees to the last bit.

use super::class::ReferenceClass;
use super::config::{BetaCurve, NoiseTable, PipelineRules, Spacing};
use crate::denoiser::Level;

/// What diffusers puts in place of alpha² = 0 where sigma / alpha has to be finite: all classes but
/// DDIM, DDPM, LCM and TCD, which step from exact zero.
const TINY_ALPHA_SQUARED: f32 = 1.0 / 16_777_216.0;

/// A noise table as one reference class sees it, its defaults filled in.
#[derive(Clone, Debug)]
pub struct ClassTable<'a> {
    /// The model's file.
    pub(super) source: &'a NoiseTable,
    pub(super) class: ReferenceClass,
    pub(super) spacing: Spacing,
    pub(super) steps_offset: usize,
    /// `x0` is clamped to ± this.
    pub(crate) clip: Option<f64>,
    /// Bend of the Karras and polyexponential schedules, where it is not their own.
    pub(crate) rho: Option<f64>,
    /// Alpha² by training timestep; the last may be exactly 0.
    pub(super) alphas_squared: Vec<f32>,
    /// sigma / alpha by training timestep, as the class sees the table.
    pub(super) sigmas: Sigmas,
    /// The same of the model's own table: differs where the class does not know its rescale.
    pub(super) own_sigmas: Sigmas,
}

impl NoiseTable {
    /// The table as `class` sees it.
    pub fn seen_by(&self, class: ReferenceClass) -> ClassTable<'_> {
        let own_class = ReferenceClass::named(&self.class_name) == Some(class);
        // The pipeline overwrites what the file says, and the defaults of the file's own class; a
        // class built from that configuration later falls back to its own defaults.
        let overwrites = self.rules == PipelineRules::StableDiffusion;
        let steps_offset = match self.steps_offset {
            Some(offset) if !overwrites => offset,
            None if !overwrites || !own_class => 0,
            Some(_) | None => 1,
        };
        let clips = class.default_clip().is_some_and(|default| {
            let overwritten = overwrites && (self.clip_sample.is_some() || own_class);
            !overwritten && self.clip_sample.unwrap_or(default)
        });
        let plain = self.alphas_squared(class, false);
        let own = if self.zero_terminal_snr {
            self.alphas_squared(class, true)
        } else {
            plain.clone()
        };
        let alphas_squared = if class.knows_zero_terminal_snr() {
            own.clone()
        } else {
            plain
        };
        ClassTable {
            source: self,
            class,
            spacing: self.spacing.unwrap_or(class.default_spacing()),
            steps_offset,
            clip: clips.then_some(self.clip_range),
            rho: None,
            sigmas: Sigmas::new(&alphas_squared),
            own_sigmas: Sigmas::new(&own),
            alphas_squared,
        }
    }

    /// Alpha² by training timestep: the running product of 1 - beta, which torch sums up in f64 and
    /// rounds to f32.
    fn alphas_squared(&self, class: ReferenceClass, zero_terminal_snr: bool) -> Vec<f32> {
        let betas = self.betas(class);
        if zero_terminal_snr {
            running_product(&rescaled_to_zero_terminal_snr(&betas))
        } else {
            running_product(&betas)
        }
    }

    fn betas(&self, class: ReferenceClass) -> Vec<f32> {
        if let Some(betas) = &self.trained_betas {
            return betas.clone();
        }
        let (start, end, curve) = class.default_betas();
        let start = self.beta_start.unwrap_or(start);
        let end = self.beta_end.unwrap_or(end);
        match self.beta_curve.unwrap_or(curve) {
            BetaCurve::Linear => linspace(start, end, self.train_steps),
            BetaCurve::ScaledLinear => {
                let roots = linspace(start.sqrt(), end.sqrt(), self.train_steps);
                roots.into_iter().map(|root| root * root).collect()
            }
            BetaCurve::SquaredCosine => squared_cosine(self.train_steps),
        }
    }

    /// Whether the betas follow the cosine curve, as the reference looks at it: by name.
    pub(super) fn is_cosine(&self) -> bool {
        self.beta_curve == Some(BetaCurve::SquaredCosine)
    }
}

impl ClassTable<'_> {
    /// How the class thins out the training timesteps.
    pub(crate) fn spacing(&self) -> Spacing {
        self.spacing
    }

    /// Last training timestep.
    pub(super) fn last(&self) -> usize {
        self.alphas_squared.len() - 1
    }

    /// The level of a training timestep as it is in the table, exact zero and all (DDIM and LCM).
    pub(super) fn level(&self, timestep: usize) -> Level {
        let alpha_squared = self.alphas_squared[timestep];
        Level {
            timestep: timestep as f64,
            alpha: f64::from(alpha_squared).sqrt(),
            sigma: f64::from(1.0 - alpha_squared).sqrt(),
        }
    }

    /// DDIM's and LCM's level past the last step: clean, or the table's first where
    /// `set_alpha_to_one` is off.
    pub(super) fn final_level(&self) -> Level {
        if self.source.set_alpha_to_one.unwrap_or(true) {
            Level::CLEAN
        } else {
            self.level(0)
        }
    }
}

/// A level from sigma / alpha: alpha² + sigma² = 1.
pub(crate) fn level_of_sigma(sigma: f32, timestep: f64) -> Level {
    let sigma = f64::from(sigma);
    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
    Level {
        timestep,
        alpha,
        sigma: sigma * alpha,
    }
}

/// sigma / alpha by training timestep (ascending, all finite), with interpolation both ways.
#[derive(Clone, Debug)]
pub(super) struct Sigmas {
    values: Vec<f32>,
    logs: Vec<f32>,
}

impl Sigmas {
    fn new(alphas_squared: &[f32]) -> Self {
        let values: Vec<f32> = alphas_squared
            .iter()
            .map(|&alpha_squared| {
                // Only a table of absurd betas underflows; a rescaled one ends at exactly 0.
                let alpha_squared = if alpha_squared == 0.0 {
                    TINY_ALPHA_SQUARED
                } else {
                    alpha_squared
                };
                ((1.0 - alpha_squared) / alpha_squared).sqrt()
            })
            .collect();
        let logs = values
            .iter()
            .map(|&sigma| f64::from(sigma).ln() as f32)
            .collect();
        Self { values, logs }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn smallest(&self) -> f32 {
        self.values[0]
    }

    pub(super) fn largest(&self) -> f32 {
        self.values[self.values.len() - 1]
    }

    pub(super) fn at_index(&self, timestep: usize) -> f32 {
        self.values[timestep]
    }

    /// Linear in sigma between the neighbours, as `numpy.interp`; held beyond the ends.
    pub(super) fn at(&self, timestep: f64) -> f64 {
        let last = self.values.len() - 1;
        if timestep <= 0.0 {
            return f64::from(self.values[0]);
        }
        if timestep >= last as f64 {
            return f64::from(self.values[last]);
        }
        let below = timestep.floor() as usize;
        let (low, high) = (
            f64::from(self.values[below]),
            f64::from(self.values[below + 1]),
        );
        (high - low) * (timestep - below as f64) + low
    }

    /// Linear in ln(sigma) between the neighbours, as k-diffusion and ComfyUI read a table.
    pub(super) fn at_log(&self, timestep: f64) -> f64 {
        let last = self.logs.len() - 1;
        let timestep = timestep.clamp(0.0, last as f64);
        let below = timestep.floor() as usize;
        let above = timestep.ceil() as usize;
        let share = timestep - below as f64;
        let log = (1.0 - share) * f64::from(self.logs[below]) + share * f64::from(self.logs[above]);
        log.exp()
    }

    /// The fractional timestep of a sigma, linear in ln(sigma), held at the ends.
    pub(super) fn timestep_of(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let not_above = self.logs.partition_point(|&known| log >= f64::from(known));
        let below = not_above.saturating_sub(1).min(self.logs.len() - 2);
        let (low, high) = (self.logs[below], self.logs[below + 1]);
        let share = ((f64::from(low) - log) / f64::from(low - high)).clamp(0.0, 1.0);
        (1.0 - share) * below as f64 + share * (below + 1) as f64
    }
}

/// `torch.linspace` in f32: from both ends to the middle, each value one fused multiply-add.
fn linspace(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (count - 1) as f32;
    (0..count)
        .map(|index| {
            if index < count / 2 {
                step.mul_add(index as f32, start)
            } else {
                (-step).mul_add((count - index - 1) as f32, end)
            }
        })
        .collect()
}

/// Betas of the squared-cosine table (Nichol and Dhariwal 2021, equation 17), capped at 0.999.
fn squared_cosine(count: usize) -> Vec<f32> {
    let alpha_bar = |time: f64| {
        let cosine = ((time + 0.008) / 1.008 * std::f64::consts::PI / 2.0).cos();
        cosine * cosine
    };
    (0..count)
        .map(|index| {
            let now = alpha_bar(index as f64 / count as f64);
            let next = alpha_bar((index + 1) as f64 / count as f64);
            (1.0 - next / now).min(0.999) as f32
        })
        .collect()
}

fn running_product(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0_f64;
    let factors = betas.iter().map(|beta| 1.0 - beta);
    factors
        .map(|factor| {
            product *= f64::from(factor);
            product as f32
        })
        .collect()
}

/// Betas whose last alpha² is 0 (Lin et al. 2023, algorithm 1).
fn rescaled_to_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let mut alphas: Vec<f32> = running_product(betas).into_iter().map(f32::sqrt).collect();
    let (first, last) = (alphas[0], alphas[alphas.len() - 1]);
    let scale = first / (first - last);
    for alpha in &mut alphas {
        *alpha = (*alpha - last) * scale;
    }
    let squares: Vec<f32> = alphas.iter().map(|alpha| alpha * alpha).collect();
    let mut before = 1.0;
    squares
        .into_iter()
        .map(|square| {
            let factor = square / before;
            before = square;
            1.0 - factor
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn table(text: &str) -> NoiseTable {
        NoiseTable::parse(
            Path::new("scheduler_config.json"),
            text,
            PipelineRules::AsWritten,
        )
        .expect("valid")
    }

    #[test]
    fn a_timestep_survives_the_way_to_sigma_and_back() {
        let table = table("{}");
        let seen = table.seen_by(ReferenceClass::Euler);
        for timestep in [0.0, 1.0, 17.25, 500.0, 998.75, 999.0] {
            let back = seen.sigmas.timestep_of(seen.sigmas.at_log(timestep));
            assert!(
                (back - timestep).abs() < 1e-3,
                "{timestep} came back as {back}"
            );
        }
        assert_eq!(seen.sigmas.timestep_of(1e9), 999.0);
        assert_eq!(seen.sigmas.timestep_of(0.0), 0.0);
    }

    #[test]
    fn zero_terminal_snr_is_exact_for_ddim_and_tiny_for_the_others() {
        let table = table(r#"{"rescale_betas_zero_snr": true}"#);
        assert_eq!(table.seen_by(ReferenceClass::Ddim).level(999).alpha, 0.0);
        assert_eq!(table.seen_by(ReferenceClass::Lcm).level(999).alpha, 0.0);
        let euler = table.seen_by(ReferenceClass::Euler);
        assert!((euler.sigmas.largest() - 4096.0).abs() < 1e-3);
        let heun = table.seen_by(ReferenceClass::Heun);
        assert!(heun.sigmas.largest() < 200.0 && heun.own_sigmas.largest() > 4000.0);
    }

    #[test]
    fn the_pipeline_overwrites_offset_and_clipping_of_its_own_file_only() {
        let parse = |text: &str, rules| {
            NoiseTable::parse(Path::new("scheduler_config.json"), text, rules).expect("valid")
        };
        let explicit =
            r#"{"_class_name": "PNDMScheduler", "steps_offset": 0, "clip_sample": true}"#;
        let stable = parse(explicit, PipelineRules::StableDiffusion);
        let seen = stable.seen_by(ReferenceClass::Ddim);
        assert_eq!((seen.steps_offset, seen.clip), (1, None));
        let plain = parse(explicit, PipelineRules::AsWritten);
        let seen = plain.seen_by(ReferenceClass::Ddim);
        assert_eq!((seen.steps_offset, seen.clip), (0, Some(1.0)));
        assert_eq!(plain.seen_by(ReferenceClass::Euler).clip, None);

        let silent = parse(
            r#"{"_class_name": "DDIMScheduler"}"#,
            PipelineRules::StableDiffusion,
        );
        let seen = silent.seen_by(ReferenceClass::Ddim);
        assert_eq!((seen.steps_offset, seen.clip), (1, None));
        let foreign = parse(
            r#"{"_class_name": "PNDMScheduler"}"#,
            PipelineRules::StableDiffusion,
        );
        let seen = foreign.seen_by(ReferenceClass::Ddim);
        assert_eq!((seen.steps_offset, seen.clip), (0, Some(1.0)));
    }
}
