//! Network calls that are left out where the output is foretold to change little (EasyCache: Zhou et al.
//! 2025, “Less is Enough: Training-Free Video Diffusion Acceleration via Runtime-Adaptive Caching”), by
//! the rules of ComfyUI's node: what the network last added to its input is added to the new one.
//!
//! How much the output changes for a change of the input is known from the last two calls that were
//! computed; the changes foretold since the last one are summed, relative to the output's size, and as
//! long as their sum stays below the threshold nothing is computed. All sizes are means of absolute values.

use crate::error::Result;
use crate::families::model::Conditioning;
use crate::latent::Latents;
use crate::recipe::EasyCacheOptions;

/// The state of one picture's run.
pub(super) struct EasyCache<'a> {
    options: EasyCacheOptions,
    /// Whether the calls kept so far were the refiner's.
    is_refiners: bool,
    last: Option<Computed<'a>>,
    /// Change of the output for one of the input, between the last two calls.
    rate: Option<f64>,
    /// Foretold changes of the output since the last call.
    foretold: f64,
    /// Whether the current call is left out.
    skips: bool,
    /// Output less input of a call without the picture that the network is shown.
    blind: Option<Latents>,
    /// Calls that were left out so far.
    pub(super) reused: u32,
    /// All calls so far.
    pub(super) calls: u32,
}

/// The last call that was computed.
struct Computed<'a> {
    conditions: Vec<&'a Conditioning>,
    /// Output less input, of each.
    differences: Vec<Latents>,
    /// What went in.
    input: Vec<f32>,
    /// What came out for the last condition.
    output: Vec<f32>,
}

impl<'a> EasyCache<'a> {
    pub(super) fn new(options: EasyCacheOptions) -> Self {
        Self {
            options,
            is_refiners: false,
            last: None,
            rate: None,
            foretold: 0.0,
            skips: false,
            blind: None,
            reused: 0,
            calls: 0,
        }
    }

    /// Whether calls may be left out once `passed` of the noise levels are behind, 0 to 1.
    fn is_on(&self, passed: f64) -> bool {
        let EasyCacheOptions {
            threshold,
            from,
            until,
        } = self.options;
        threshold > 0.0 && (from..until).contains(&passed)
    }

    /// Another model's answers are of no use. Whether it is another than before.
    pub(super) fn of_model(&mut self, is_refiner: bool) -> bool {
        let another = self.is_refiners != is_refiner;
        if another {
            self.is_refiners = is_refiner;
            self.forget();
        }
        another
    }

    fn forget(&mut self) {
        (self.last, self.rate, self.blind) = (None, None, None);
        self.foretold = 0.0;
    }

    /// The outputs for each of the conditions where the call may be left out; `None` where it is to be
    /// made, and given to [`Self::keep`].
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub(super) fn recall(
        &mut self,
        latents: &Latents,
        passed: f64,
        conditions: &[&'a Conditioning],
    ) -> Result<Option<Vec<Latents>>> {
        self.calls += 1;
        self.skips = false;
        if !self.is_on(passed) {
            return Ok(None);
        }
        let Some(last) = &self.last else {
            return Ok(None);
        };
        let is_same = |(a, b): (&&Conditioning, &&Conditioning)| std::ptr::eq(*a, *b);
        let known = last.conditions.len() == conditions.len()
            && last.conditions.iter().zip(conditions).all(is_same);
        let size = mean_size(&last.output);
        let (Some(rate), true) = (self.rate, size > 0.0) else {
            return Ok(None);
        };
        let moved = mean_distance(&latents.to_values()?, &last.input);
        self.foretold += rate * moved / size;
        if self.foretold >= self.options.threshold || !known {
            self.foretold = 0.0;
            return Ok(None);
        }
        self.skips = true;
        self.reused += 1;
        let add = |difference| Latents::combine(&[(1.0, latents), (1.0, difference)]);
        let outputs = last.differences.iter().map(add);
        outputs.collect::<Result<Vec<_>>>().map(Some)
    }

    /// Keeps what a call gave, one output a condition.
    ///
    /// # Errors
    /// `Compute` when shapes differ or the device fails.
    pub(super) fn keep(
        &mut self,
        latents: &Latents,
        passed: f64,
        conditions: &[&'a Conditioning],
        outputs: &[Latents],
    ) -> Result<()> {
        let (Some(output), true) = (outputs.last(), self.is_on(passed)) else {
            return Ok(());
        };
        let (input, output) = (latents.to_values()?, output.to_values()?);
        // Another prompt's output is no change of the same one.
        let last = self.last.as_ref().filter(|last| {
            let ends = (last.conditions.last(), conditions.last());
            matches!(ends, (Some(a), Some(b)) if std::ptr::eq(*a, *b))
        });
        self.rate = match last {
            Some(last) => {
                let moved = mean_distance(&input, &last.input);
                let changed = mean_distance(&output, &last.output);
                if moved > 0.0 {
                    Some(changed / moved)
                } else {
                    self.rate
                }
            }
            None => None,
        };
        let less = |output| Latents::combine(&[(1.0, output), (-1.0, latents)]);
        self.last = Some(Computed {
            conditions: conditions.to_vec(),
            differences: outputs.iter().map(less).collect::<Result<_>>()?,
            input,
            output,
        });
        Ok(())
    }

    /// As [`Self::recall`], of the call without the picture that the network is shown: it goes with the
    /// one before.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub(super) fn recall_blind(&self, latents: &Latents) -> Result<Option<Latents>> {
        let known = self.blind.as_ref().filter(|_| self.skips);
        known
            .map(|difference| Latents::combine(&[(1.0, latents), (1.0, difference)]))
            .transpose()
    }

    /// As [`Self::keep`], of the call without the picture that the network is shown.
    ///
    /// # Errors
    /// `Compute` when shapes differ or the device fails.
    pub(super) fn keep_blind(&mut self, latents: &Latents, output: &Latents) -> Result<()> {
        if self.options.threshold > 0.0 {
            self.blind = Some(Latents::combine(&[(1.0, output), (-1.0, latents)])?);
        }
        Ok(())
    }
}

fn mean_size(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|&value| f64::from(value).abs()).sum();
    sum / values.len().max(1) as f64
}

fn mean_distance(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b);
    let sum: f64 = pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
        .sum();
    sum / a.len().max(1) as f64
}

/// The share of the noise levels that lies behind a timestep, of those the model was trained with.
pub(super) fn passed(timestep: f64, train_steps: usize) -> f64 {
    1.0 - timestep / (train_steps.max(2) - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Act;
    use crate::prompt::Role;
    use candle_core::Device;

    fn latents(value: f32) -> Latents {
        Latents::from_values(vec![value, -value], [1, 1, 1, 2], &Device::Cpu).unwrap()
    }

    fn first(latents: &Latents) -> f32 {
        latents.to_values().unwrap()[0]
    }

    fn condition() -> Conditioning {
        Conditioning {
            tokens: Act::from_values(vec![0.0], &[1, 1, 1], &Device::Cpu).unwrap(),
            pooled: None,
            role: Role::Prompt,
            count: (0, 0),
        }
    }

    fn cache<'a>(threshold: f64) -> EasyCache<'a> {
        EasyCache::new(EasyCacheOptions {
            threshold,
            ..EasyCacheOptions::default()
        })
    }

    /// The network of these tests: its output is its input squared, plus 10.
    fn network(input: f32) -> f32 {
        input * input + 10.0
    }

    /// One call as the denoiser makes it: the first output, and whether it was computed.
    fn call<'a>(
        cache: &mut EasyCache<'a>,
        input: f32,
        passed: f64,
        conditions: &[&'a Conditioning],
    ) -> (f32, bool) {
        let x = latents(input);
        if let Some(outputs) = cache.recall(&x, passed, conditions).unwrap() {
            assert_eq!(outputs.len(), conditions.len());
            return (first(outputs.last().unwrap()), false);
        }
        let outputs = vec![latents(network(input)); conditions.len()];
        cache.keep(&x, passed, conditions, &outputs).unwrap();
        (network(input), true)
    }

    /// The rules once more, written out for one number after another: outputs and whether they were
    /// computed.
    fn written_out(inputs: &[f64], threshold: f64) -> Vec<(f64, bool)> {
        let (mut x0, mut y0): (Option<f64>, f64) = (None, 0.0);
        let (mut rate, mut sum): (Option<f64>, f64) = (None, 0.0);
        let mut all = Vec::new();
        for &x in inputs {
            if let (Some(x0), Some(rate)) = (x0, rate) {
                sum += rate * f64::abs(x - x0) / y0;
                if sum < threshold {
                    all.push((x + y0 - x0, false));
                    continue;
                }
                sum = 0.0;
            }
            let y = x * x + 10.0;
            if let Some(x0) = x0 {
                rate = Some(f64::abs(y - y0) / f64::abs(x - x0));
            }
            (x0, y0) = (Some(x), y);
            all.push((y, true));
        }
        all
    }

    #[test]
    fn calls_are_left_out_as_the_rules_say() {
        let inputs = [5.0, 4.6, 4.3, 4.1, 3.7, 3.2, 2.9, 2.8, 2.7, 2.2, 2.1, 1.0];
        let prompt = condition();
        for threshold in [0.02, 0.1, 0.2, 1.0] {
            let mut cache = cache(threshold);
            let wanted = written_out(&inputs, threshold);
            for (input, (output, computed)) in inputs.iter().zip(&wanted) {
                let (ours, made) = call(&mut cache, *input as f32, 0.5, &[&prompt]);
                assert_eq!(made, *computed, "{threshold} {input}");
                assert!((f64::from(ours) - output).abs() < 1e-4, "{ours} {output}");
            }
            let left_out = wanted.iter().filter(|(_, computed)| !computed).count();
            assert_eq!((cache.reused as usize, cache.calls), (left_out, 12));
            assert_eq!(left_out > 0, threshold > 0.02, "{threshold}: {left_out}");
        }
    }

    #[test]
    fn nothing_is_left_out_without_threshold_or_outside_of_its_part() {
        let prompt = condition();
        let mut off = cache(0.0);
        let mut on = cache(10.0);
        for step in 0..8 {
            let input = 5.0 - step as f32 * 0.01;
            assert!(call(&mut off, input, 0.5, &[&prompt]).1);
            for passed in [0.0, 0.14, 0.95, 1.0] {
                assert!(call(&mut on, input, passed, &[&prompt]).1, "{passed}");
            }
        }
        assert_eq!((off.reused, on.reused), (0, 0));
        let inside: Vec<bool> = (0..4)
            .map(|step| call(&mut on, 5.0 - step as f32, 0.15, &[&prompt]).1)
            .collect();
        assert_eq!(
            inside,
            [true, true, false, false],
            "two calls give the rate"
        );
    }

    #[test]
    fn answers_belong_to_their_prompts_and_their_model() {
        let both = [condition(), condition()];
        let [a, b] = &both;
        let mut cache = cache(10.0);
        let mut ask = |input: f32, conditions: &[_]| call(&mut cache, input, 0.5, conditions).1;
        assert!(ask(5.0, &[a, b]) && ask(4.0, &[a, b]));
        assert!(!ask(3.9, &[a, b]), "both are known");
        assert!(ask(3.8, &[b]), "asked alone, and computed");
        assert!(!ask(3.7, &[b]));
        assert!(ask(3.6, &[a, b]), "the first one's is older now");
        assert!(ask(3.5, &[b, a]), "another prompt decides");
        assert!(ask(3.4, &[b, a]), "whose rate is not known yet");
        assert!(!ask(3.3, &[b, a]));
        assert!(cache.of_model(true));
        assert!(call(&mut cache, 3.2, 0.5, &[b, a]).1);
    }

    #[test]
    fn the_levels_passed_are_counted_from_the_noisiest() {
        assert_eq!([999.0, 0.0].map(|t| passed(t, 1000)), [0.0, 1.0]);
        assert!((passed(849.15, 1000) - 0.15).abs() < 1e-9);
    }
}
