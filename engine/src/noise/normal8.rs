//! Box and Muller's transform (1958) in f32 exactly as torch computes it on x86-64 with AVX2.
//!
//! torch takes logarithm, sine and cosine from the Cephes polynomials (Moshier), and its compiler
//! fuses some multiply-adds. Which ones shows in the last bits, so each fused operation is spelt out
//! here as `mul_add`; the tests compare with torch bit for bit.

use std::f32::consts::{FRAC_1_SQRT_2, TAU};

/// Turns 16 uniform numbers from [0, 1) into 16 normal ones, in place: the first eight give the
/// radii, the last eight the angles; cosines go to the first half, sines to the second.
pub(super) fn normal_16(block: &mut [f32; 16]) {
    let (first, second) = block.split_at_mut(8);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * ln(1.0 - *a)).sqrt();
        let (sine, cosine) = sin_cos(TAU * *b);
        // torch multiplies by the deviation 1 and adds the mean 0, which turns -0 into 0.
        *a = radius * cosine + 0.0;
        *b = radius * sine + 0.0;
    }
}

/// Horner's rule, fused.
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    let mut terms = coefficients.iter();
    let first = terms.next().copied().unwrap_or(0.0);
    terms.fold(first, |sum, &coefficient| sum.mul_add(x, coefficient))
}

/// Cephes `logf` for normal numbers in (0, 1].
fn ln(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_84e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    // ln 2 in two parts, the larger with few enough bits to multiply exactly.
    const LN_2_SMALL: f32 = -2.121_944_4e-4;
    const LN_2_LARGE: f32 = 0.693_359_4;

    let bits = x.to_bits();
    let mut exponent = ((bits >> 23) as i32 - 126) as f32;
    // Mantissa in [0.5, 1), then brought to [sqrt(0.5), sqrt(2)) and less one.
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let mut m = mantissa - 1.0;
    if mantissa < FRAC_1_SQRT_2 {
        exponent -= 1.0;
        m += mantissa;
    }
    let square = m * m;
    let series = polynomial(m, &COEFFICIENTS) * m;
    let tail = series.mul_add(square, exponent * LN_2_SMALL);
    let tail = (-0.5_f32).mul_add(square, tail);
    exponent.mul_add(LN_2_LARGE, m + tail)
}

/// Cephes `sinf` and `cosf` for angles in [0, 2 pi].
fn sin_cos(angle: f32) -> (f32, f32) {
    const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    const FOUR_OVER_PI: f32 = 1.273_239_5;
    // pi / 4 in three parts, for an exact reduction.
    const QUARTER_PI: [f32; 3] = [0.785_156_25, 2.418_756_5e-4, 3.774_895e-8];

    // The octant, rounded up to even.
    let octant = ((angle * FOUR_OVER_PI) as i32 + 1) & !1;
    let quarters = octant as f32;
    let x = QUARTER_PI
        .iter()
        .fold(angle, |x, &part| (-quarters).mul_add(part, x));
    let square = x * x;

    let cosine = polynomial(square, &COSINE) * square;
    let cosine = cosine.mul_add(square, -(square * 0.5)) + 1.0;
    let sine = (polynomial(square, &SINE) * square).mul_add(x, x);

    let swapped = octant & 2 != 0;
    let (sine, cosine) = if swapped {
        (cosine, sine)
    } else {
        (sine, cosine)
    };
    (
        if octant & 4 != 0 { -sine } else { sine },
        if (octant + 2) & 4 != 0 {
            -cosine
        } else {
            cosine
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_stay_close_to_the_functions() {
        for i in 1..=100_000_u32 {
            let share = i as f32 / 100_000.0;
            let exact = f64::from(share).ln();
            assert!(
                (f64::from(ln(share)) - exact).abs() <= 2e-7 * exact.abs().max(0.1),
                "ln {share}"
            );
            let angle = share * TAU;
            let (sine, cosine) = sin_cos(angle);
            assert!(
                (f64::from(sine) - f64::from(angle).sin()).abs() < 2e-7,
                "sin {angle}"
            );
            assert!(
                (f64::from(cosine) - f64::from(angle).cos()).abs() < 2e-7,
                "cos {angle}"
            );
        }
    }

    #[test]
    fn the_ends_of_the_interval_give_finite_numbers() {
        let mut block = [0.0; 16];
        normal_16(&mut block);
        assert_eq!(block.map(f32::to_bits), [0; 16]);
        let mut block = [1.0 - f32::EPSILON / 2.0; 16];
        normal_16(&mut block);
        assert!(
            block
                .iter()
                .all(|value| value.is_finite() && value.abs() < 6.0)
        );
    }
}
