//! A Brownian path through the noise levels, given by the seed alone: whoever asks for the noise
//! between two levels gets the increment of that one path, whatever was asked before. Runs of 10 and
//! of 40 steps then meet the same noise wherever they meet, and more steps refine one picture.
//!
//! The path is torchsde's `BrownianTree` as k-diffusion's `BrownianTreeNoiseSampler` asks it, number
//! for number: the interval of all levels is halved again and again, and each half's increment
//! is drawn given the whole's (a Brownian bridge) with a seed that only the place in the tree decides.
//! The ends of these intervals are decimals of 6 places; the numbers of the path are f32.

use super::NoiseSource;
use super::seed_sequence::seeds;
use super::source;
use crate::recipe::NoiseKind;

/// Words of torchsde's seed pool.
const POOL: usize = 24;

/// A path over an interval of sigma / alpha, and the stream that everything else is drawn from.
pub(super) struct BrownianTree {
    kind: NoiseKind,
    seed: u64,
    whole: Interval,
    /// Length of the whole interval before its ends were rounded.
    length: f64,
    stream: Box<dyn NoiseSource + Send>,
}

/// An interval of sigma / alpha, by its place in the tree.
#[derive(Clone, Copy)]
struct Interval {
    start: f64,
    end: f64,
    /// Counts from the left among the intervals of its depth.
    place: u64,
    depth: u64,
}

impl BrownianTree {
    /// A path between `smallest` and `largest` sigma / alpha.
    pub(super) fn new(kind: NoiseKind, seed: u64, smallest: f64, largest: f64) -> Self {
        let (smallest, largest) = (single(smallest), single(largest));
        Self {
            kind,
            seed,
            whole: Interval {
                start: rounded(smallest),
                end: rounded(largest),
                place: 0,
                depth: 0,
            },
            length: largest - smallest,
            stream: source(kind, seed),
        }
    }

    /// Standard-normal numbers of one place in the tree.
    fn normal(&self, seed: u32, len: usize) -> Vec<f32> {
        source(self.kind, u64::from(seed)).standard_normal(len)
    }

    /// The path's increment from `start` to `end`, both within the whole.
    fn increment(&self, start: f64, end: f64, len: usize) -> Vec<f32> {
        let [seed] = seeds::<POOL, 1>(self.seed, &[]);
        let deviation = self.length.sqrt() as f32;
        let mut whole = self.normal(seed, len);
        whole.iter_mut().for_each(|value| *value *= deviation);
        let mut sum = None;
        self.collect(self.whole, whole, [start, end], &mut sum);
        sum.unwrap_or_else(|| vec![0.0; len])
    }

    /// Adds to `sum` the increments of the largest intervals that `part` of `interval` consists of,
    /// from left to right; `increment` is that of the whole interval.
    fn collect(
        &self,
        interval: Interval,
        increment: Vec<f32>,
        part: [f64; 2],
        sum: &mut Option<Vec<f32>>,
    ) {
        let [start, end] = part;
        let middle = rounded(0.5 * (interval.end + interval.start));
        let is_whole = start == interval.start && end == interval.end;
        // Between neighbouring decimals there is no middle: the path has no finer detail.
        if is_whole || middle <= interval.start || middle >= interval.end {
            match sum {
                None => *sum = Some(increment),
                Some(sum) => add(sum, &increment),
            }
            return;
        }
        let left_increment = self.left_half(interval, middle, &increment);
        let child = |start, end, side| Interval {
            start,
            end,
            place: 2 * interval.place + side,
            depth: interval.depth + 1,
        };
        let (left, right) = (
            child(interval.start, middle, 0),
            child(middle, interval.end, 1),
        );
        let rest = |left: &[f32]| -> Vec<f32> {
            let pairs = increment.iter().zip(left);
            pairs.map(|(whole, left)| whole - left).collect()
        };
        if start >= middle {
            self.collect(right, rest(&left_increment), part, sum);
        } else if end <= middle {
            self.collect(left, left_increment, part, sum);
        } else {
            let right_increment = rest(&left_increment);
            self.collect(left, left_increment, [start, middle], sum);
            self.collect(right, right_increment, [middle, end], sum);
        }
    }

    /// The increment of an interval's left half given that of the whole.
    fn left_half(&self, interval: Interval, middle: f64, increment: &[f32]) -> Vec<f32> {
        let per_length = 1.0 / (interval.end - interval.start);
        let (left, right) = (middle - interval.start, interval.end - middle);
        let deviation = (left * right * per_length).sqrt() as f32;
        let (left, per_length) = (left as f32, per_length as f32);
        let [seed] = seeds::<POOL, 1>(self.seed, &[interval.place, interval.depth]);
        let noise = self.normal(seed, increment.len());
        let pairs = increment.iter().zip(noise);
        pairs
            .map(|(whole, noise)| left * whole * per_length + deviation * noise)
            .collect()
    }

    /// A level as the tree knows it.
    fn point(&self, sigma: f32) -> f64 {
        rounded(f64::from(sigma).max(self.whole.start).min(self.whole.end))
    }
}

impl NoiseSource for BrownianTree {
    fn standard_normal(&mut self, len: usize) -> Vec<f32> {
        self.stream.standard_normal(len)
    }

    fn between(&mut self, len: usize, from: f64, to: f64) -> Vec<f32> {
        let (from, to) = (from as f32, to as f32);
        let (start, end) = (self.point(from.min(to)), self.point(from.max(to)));
        if start >= end {
            return vec![0.0; len];
        }
        let deviation = (to - from).abs().sqrt();
        let sign = if from > to { -1.0 } else { 1.0 };
        let mut values = self.increment(start, end, len);
        for value in &mut values {
            *value = *value * sign / deviation;
        }
        values
    }
}

fn add(sum: &mut [f32], more: &[f32]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// The number as f32 keeps it.
fn single(sigma: f64) -> f64 {
    f64::from(sigma as f32)
}

/// Python's `round(x, 6)`, which looks at the exact value: half of the middles are ties or nearly so.
fn rounded(sigma: f64) -> f64 {
    format!("{sigma:.6}").parse().unwrap_or(sigma)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 4096;

    fn path(seed: u64) -> BrownianTree {
        BrownianTree::new(NoiseKind::TorchCpu, seed, 0.03, 14.6)
    }

    /// The path's increment from `from` down to `to`.
    fn increment(path: &mut BrownianTree, from: f64, to: f64) -> Vec<f64> {
        let deviation = (from - to).abs().sqrt();
        let noise = path.between(LEN, from, to).into_iter();
        noise.map(|value| f64::from(value) * deviation).collect()
    }

    fn mean_product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn many_steps_add_up_to_few() {
        let mut path = path(7);
        let whole = increment(&mut path, 14.6, 0.03);
        for steps in [2, 5, 40] {
            let level = |i: usize| 14.6 * (0.03_f64 / 14.6).powf(i as f64 / steps as f64);
            let mut sum = vec![0.0; LEN];
            for i in 0..steps {
                let part = increment(&mut path, level(i), level(i + 1));
                sum.iter_mut()
                    .zip(part)
                    .for_each(|(sum, part)| *sum += part);
            }
            for (sum, whole) in sum.iter().zip(&whole) {
                assert!((sum - whole).abs() < 1e-4, "{steps}: {sum} is not {whole}");
            }
        }
    }

    #[test]
    fn what_was_asked_before_does_not_matter() {
        let (mut first, mut second) = (path(3), path(3));
        let direct = first.between(LEN, 2.5, 1.25);
        second.between(LEN, 14.6, 9.0);
        second.standard_normal(LEN);
        second.between(LEN, 2.0, 1.9);
        assert_eq!(direct, second.between(LEN, 2.5, 1.25));
        assert_ne!(direct, path(4).between(LEN, 2.5, 1.25));
        // The stream beside the path is the plain generator's.
        let plain = source(NoiseKind::TorchCpu, 3).standard_normal(LEN);
        assert_eq!(path(3).standard_normal(LEN), plain);
    }

    #[test]
    fn increments_are_normal_and_independent() {
        let mut path = path(11);
        let levels = [14.6, 8.0, 3.3, 1.1, 0.4, 0.03];
        let parts: Vec<Vec<f64>> = levels
            .windows(2)
            .map(|pair| increment(&mut path, pair[0], pair[1]))
            .collect();
        for (at, part) in parts.iter().enumerate() {
            let length = levels[at] - levels[at + 1];
            let mean = part.iter().sum::<f64>() / LEN as f64;
            // Five deviations of the estimates.
            assert!(mean.abs() < 5.0 * (length / LEN as f64).sqrt(), "{mean}");
            let variance = mean_product(part, part) / length;
            assert!((variance - 1.0).abs() < 5.0 * (2.0 / LEN as f64).sqrt());
            for (other_at, other) in parts.iter().enumerate().skip(at + 1) {
                let other_length = levels[other_at] - levels[other_at + 1];
                let correlation = mean_product(part, other) / (length * other_length).sqrt();
                assert!(
                    correlation.abs() < 5.0 / (LEN as f64).sqrt(),
                    "{correlation}"
                );
            }
        }
    }

    #[test]
    fn levels_beyond_the_ends_are_held_there() {
        let mut path = path(5);
        assert_eq!(path.between(LEN, 0.02, 0.0), vec![0.0; LEN]);
        assert_eq!(path.between(LEN, 1.0, 1.0), vec![0.0; LEN]);
        assert!(path.between(LEN, 50.0, 1.0).iter().all(|v| v.is_finite()));
        let mut point = BrownianTree::new(NoiseKind::Philox, 5, 2.0, 2.0);
        assert_eq!(point.between(LEN, 2.0, 0.0), vec![0.0; LEN]);
        let mut steep = BrownianTree::new(NoiseKind::TorchCpu, 5, 0.03, 4096.0);
        assert!(
            steep
                .between(LEN, 4096.0, 0.5)
                .iter()
                .all(|v| v.is_finite())
        );
    }
}
