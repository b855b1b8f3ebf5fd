//! How near two results are.

/// Largest absolute difference over the reference's largest absolute value. Not a number counts as
/// infinitely far.
pub fn max_error(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len(), "lengths differ");
    let scale = reference
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let worst = ours.iter().zip(reference).fold(0.0_f64, |worst, (a, b)| {
        let off = f64::from((a - b).abs());
        if off.is_nan() {
            f64::INFINITY
        } else {
            worst.max(off)
        }
    });
    worst / f64::from(scale).max(f64::MIN_POSITIVE)
}

/// Fails unless [`max_error`] is at most `most`.
#[track_caller]
pub fn expect_near(what: &str, ours: &[f32], reference: &[f32], most: f64) {
    let error = max_error(ours, reference);
    assert!(
        error <= most,
        "{what}: off by {error:.2e} of the reference's scale, at most {most:.0e}"
    );
}

/// Peak signal-to-noise ratio of 8-bit samples in dB; infinite for equal ones.
pub fn psnr_db(ours: &[u8], reference: &[u8]) -> f64 {
    assert_eq!(ours.len(), reference.len(), "lengths differ");
    let sum: f64 = ours
        .iter()
        .zip(reference)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    10.0 * (255.0_f64.powi(2) * ours.len() as f64 / sum).log10()
}

#[test]
fn errors_are_measured_against_the_scale() {
    assert!((max_error(&[1.0, -2.0, 3.5], &[1.0, -2.0, 4.0]) - 0.125).abs() < 1e-9);
    assert_eq!(max_error(&[f32::NAN, 1.0], &[1.0, 1.0]), f64::INFINITY);
    assert_eq!(max_error(&[1.0, f32::NAN], &[1.0, 1.0]), f64::INFINITY);
}

#[test]
fn psnr_of_one_level_is_48_db() {
    assert!((psnr_db(&[10, 20], &[11, 19]) - 48.13).abs() < 0.01);
    assert_eq!(psnr_db(&[1, 2], &[1, 2]), f64::INFINITY);
}
