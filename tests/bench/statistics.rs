//! Medians and percentiles.

/// The value below which `share` (0 to 1) of the samples lie; the nearest one.
pub(crate) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The middle value.
pub(crate) fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// `smallest to largest`.
pub(crate) fn range(samples: &[f64], digits: usize) -> String {
    let (low, high) = (percentile(samples, 0.0), percentile(samples, 1.0));
    format!("{low:.digits$} to {high:.digits$}")
}
