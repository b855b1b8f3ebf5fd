//! Thinning out the training timesteps, with numpy's arithmetic: f64 ramps, halves rounded to even.

/// `numpy.linspace(start, end, count)`.
pub(super) fn ramp(start: f64, end: f64, count: usize) -> Vec<f64> {
    if count < 2 {
        return vec![start; count];
    }
    let step = (end - start) / (count - 1) as f64;
    let mut values: Vec<f64> = (0..count).map(|i| i as f64 * step + start).collect();
    values[count - 1] = end;
    values
}

/// Whole strides from 0 up, noisiest first: `count` values `i * stride + offset`.
pub(super) fn leading(count: usize, stride: usize, offset: usize) -> Vec<f64> {
    (0..count)
        .rev()
        .map(|i| (i * stride + offset) as f64)
        .collect()
}

/// From `top` down in strides of `train_steps / count`, minus one:
/// `numpy.arange(top, 0, -stride).round() - 1`.
///
/// For some counts (61 of 1000 is the first) the stride's rounding leaves one value more, and its
/// timestep is -1. diffusers goes that extra step at the table's smallest sigma, and so do we.
pub(super) fn trailing(count: usize, top: usize, train_steps: usize) -> Vec<f64> {
    let stride = train_steps as f64 / count as f64;
    let top = top as f64;
    let length = (top / stride).ceil() as usize;
    // numpy fills a range from its first two values.
    let delta = (top - stride) - top;
    (0..length)
        .map(|i| (top + i as f64 * delta).round_ties_even() - 1.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_hit_both_ends() {
        assert_eq!(ramp(0.0, 999.0, 1), [0.0]);
        assert_eq!(ramp(0.0, 999.0, 2), [0.0, 999.0]);
        assert_eq!(ramp(0.0, 10.0, 5), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert!(ramp(3.0, 4.0, 0).is_empty());
    }

    #[test]
    fn trailing_starts_at_the_noisiest_step_and_rounds_halves_to_even() {
        assert_eq!(trailing(4, 1000, 1000), [999.0, 749.0, 499.0, 249.0]);
        // 937.5 and 812.5 are both rounded to the even neighbour.
        assert_eq!(trailing(16, 1000, 1000)[1..4], [937.0, 874.0, 811.0]);
        assert_eq!(trailing(61, 1000, 1000).len(), 62);
        assert_eq!(trailing(61, 1000, 1000)[61], -1.0);
    }
}
