//! Options of `render` that turn the knobs of sampler and schedule.

use pentimento_engine::recipe::{Recipe, StepNoise};
use pentimento_engine::samplers::{self, SAMPLERS, Uses};

use super::args::value;
use super::{Args, Failure, Opt};

const NUMBER: &str = "a number";

pub(super) const KNOBS: &[Opt] = &[
    value(
        "eta",
        "X",
        "Share of fresh noise in each step, 0 to 1; without it, the sampler's own.",
    ),
    value(
        "s-churn",
        "X",
        "Noise added before the steps, spread over all of them, 0 (none) to 100.",
    ),
    value("s-tmin", "X", "Smallest sigma at which churn adds noise."),
    value("s-tmax", "X", "Largest sigma at which churn adds noise."),
    value(
        "s-noise",
        "X",
        "Factor on all fresh noise, 0 to 2; without it, 1.",
    ),
    value(
        "step-noise",
        "ID",
        "Noise of SDE samplers: fresh, or brownian (the same whatever the steps, as in A1111).",
    ),
    value(
        "rho",
        "X",
        "Bend of the schedules karras (7 without it) and polyexponential (1).",
    ),
    value(
        "sigmas",
        "LIST",
        "Noise levels in place of a schedule, falling, as in 14.6,6,2.5,1,0.4,0; sets the steps.",
    ),
];

/// An option that only some samplers use: its name, whether it was given, and who uses it.
type Wish = (&'static str, bool, fn(&Uses) -> bool);

/// The options that were given.
#[derive(Default)]
pub(super) struct Knobs {
    eta: Option<f64>,
    s_churn: Option<f64>,
    s_tmin: Option<f64>,
    s_tmax: Option<f64>,
    s_noise: Option<f64>,
    step_noise: Option<StepNoise>,
    rho: Option<f64>,
    sigmas: Option<Vec<f64>>,
}

impl Knobs {
    /// Reads the options; ranges are checked with the whole recipe.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        Ok(Self {
            eta: args.number("eta", NUMBER)?,
            s_churn: args.number("s-churn", NUMBER)?,
            s_tmin: args.number("s-tmin", NUMBER)?,
            s_tmax: args.number("s-tmax", NUMBER)?,
            s_noise: args.number("s-noise", NUMBER)?,
            step_noise: args.choice(
                "step-noise",
                &[
                    ("fresh", StepNoise::Fresh),
                    ("brownian", StepNoise::Brownian),
                ],
            )?,
            rho: args.number("rho", NUMBER)?,
            sigmas: args.text("sigmas")?.map(sigmas).transpose()?,
        })
    }

    /// Whether levels are typed, which set the steps.
    pub(super) fn type_levels(&self) -> bool {
        self.sigmas.is_some()
    }

    /// Puts them into a recipe whose sampler and schedule are settled. What the recipe's sampler does
    /// not use goes back to rest; asking for it is an error.
    pub(super) fn apply(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        // An unknown sampler is reported with the whole recipe.
        let Ok(sampler) = samplers::find(&recipe.sampler) else {
            return Ok(());
        };
        for (option, given, used) in self.wishes() {
            if given && !used(&sampler.uses) {
                let those = SAMPLERS.iter().filter(|other| used(&other.uses));
                let those: Vec<&str> = those.map(|other| other.id).collect();
                return Err(Failure::usage(format!(
                    "--{option} has no effect with {}, only with {}",
                    sampler.id,
                    those.join(", ")
                )));
            }
        }
        if self.rho.is_some() && !matches!(recipe.schedule.as_str(), "karras" | "polyexponential") {
            return Err(Failure::usage(format!(
                "--rho: the schedule {} has no bend; choose karras or polyexponential",
                recipe.schedule
            )));
        }
        let knobs = &mut recipe.knobs;
        knobs.eta = self.eta.or(knobs.eta);
        knobs.s_churn = self.s_churn.unwrap_or(knobs.s_churn);
        knobs.s_tmin = self.s_tmin.unwrap_or(knobs.s_tmin);
        knobs.s_tmax = self.s_tmax.or(knobs.s_tmax);
        knobs.s_noise = self.s_noise.unwrap_or(knobs.s_noise);
        knobs.step_noise = self.step_noise.unwrap_or(knobs.step_noise);
        knobs.rho = self.rho.or(knobs.rho);
        if let Some(sigmas) = &self.sigmas {
            knobs.sigmas.clone_from(sigmas);
            let steps = knobs.typed_steps().unwrap_or_default();
            recipe.steps = u32::try_from(steps).unwrap_or(u32::MAX);
        }
        recipe.knobs = recipe.knobs.used_by(&sampler.uses);
        Ok(())
    }

    /// The options that only some samplers use.
    fn wishes(&self) -> [Wish; 6] {
        let churns: fn(&Uses) -> bool = |uses| uses.churn;
        [
            ("eta", self.eta.is_some(), |uses| uses.eta.is_some()),
            ("s-churn", self.s_churn.is_some(), churns),
            ("s-tmin", self.s_tmin.is_some(), churns),
            ("s-tmax", self.s_tmax.is_some(), churns),
            ("s-noise", self.s_noise.is_some(), |uses| {
                uses.churn || uses.fresh_noise
            }),
            ("step-noise", self.step_noise.is_some(), |uses| {
                uses.brownian
            }),
        ]
    }
}

fn sigmas(text: &str) -> Result<Vec<f64>, Failure> {
    let numbers = text.split(|c: char| c == ',' || c.is_whitespace());
    let numbers = numbers.filter(|part| !part.is_empty());
    let numbers: Option<Vec<f64>> = numbers.map(|part| part.parse().ok()).collect();
    numbers.ok_or_else(|| {
        Failure::usage(format!(
            "--sigmas: “{text}” is not a list of numbers, such as 14.6,2.5,0.4,0"
        ))
    })
}
