//! What a weight does to an encoded token. Values are f32, row-major (tokens, channels).

use super::Weighting;

/// Scales the encoded tokens of one chunk by their weights. `empty` is the encoded empty prompt, of
/// the same length; only ComfyUI's maths looks at it.
pub fn apply(weighting: Weighting, values: &mut [f32], weights: &[f32], empty: &[f32]) {
    let Some(channels) = values.len().checked_div(weights.len()).filter(|&c| c > 0) else {
        return;
    };
    let before = mean(values);
    let rows = values.chunks_exact_mut(channels).zip(weights);
    match weighting {
        Weighting::A1111 | Weighting::NoNorm => {
            for (row, weight) in rows {
                row.iter_mut().for_each(|value| *value *= weight);
            }
        }
        Weighting::ComfyUi => {
            for ((row, weight), empty) in rows.zip(empty.chunks_exact(channels)) {
                if *weight != 1.0 {
                    for (value, nothing) in row.iter_mut().zip(empty) {
                        *value = (*value - nothing) * weight + nothing;
                    }
                }
            }
        }
    }
    if weighting == Weighting::A1111 {
        let ratio = (before / mean(values)) as f32;
        // Weights that cancel out leave no mean to come back to.
        if ratio.is_finite() {
            values.iter_mut().for_each(|value| *value *= ratio);
        }
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_of_maths() {
        let weighed = |weighting, weights: &[f32]| {
            let mut values = vec![1.0, 3.0, 2.0, 2.0];
            apply(weighting, &mut values, weights, &[1.0, 1.0, 0.0, 1.0]);
            values
        };
        assert_eq!(
            weighed(Weighting::NoNorm, &[1.0, 2.0]),
            [1.0, 3.0, 4.0, 4.0]
        );
        let [a, b, ..] = weighed(Weighting::A1111, &[1.0, 2.0])[..] else {
            panic!("four values");
        };
        assert!((a - 2.0 / 3.0).abs() < 1e-6 && (b - 2.0).abs() < 1e-6);
        assert_eq!(
            weighed(Weighting::ComfyUi, &[2.0, 1.0]),
            [1.0, 5.0, 2.0, 2.0]
        );
        assert_eq!(
            weighed(Weighting::ComfyUi, &[1.0, 0.0]),
            [1.0, 3.0, 0.0, 1.0]
        );
        // A mean of zero afterwards.
        assert_eq!(
            weighed(Weighting::A1111, &[1.0, -1.0]),
            [1.0, 3.0, -2.0, -2.0]
        );
    }
}
