//! Philox-4x32-10 (Salmon et al. 2011) as torch on CUDA uses it for tensors of at most one value a
//! thread, and as A1111's "NV" source does for any size: value i of call n is drawn at counter
//! (n, 0, i, 0) under the seed as key.

use super::NoiseSource;

/// A generator whose numbers depend on seed, call and position alone.
pub(super) struct Philox {
    key: [u32; 2],
    /// Calls so far.
    offset: u32,
}

impl Philox {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            offset: 0,
        }
    }
}

impl NoiseSource for Philox {
    fn standard_normal(&mut self, len: usize) -> Vec<f32> {
        let offset = self.offset;
        self.offset = offset.wrapping_add(1);
        (0..len)
            .map(|index| {
                let drawn = philox_10([offset, 0, index as u32, 0], self.key);
                box_muller(drawn[0], drawn[1])
            })
            .collect()
    }
}

/// Ten rounds over a counter.
fn philox_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9e37_79b9);
            key[1] = key[1].wrapping_add(0xbb67_ae85);
        }
        let first = u64::from(counter[0]) * 0xd251_1f53;
        let second = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

/// cuRAND's transform of two words into one of its two normal numbers. The constants are cuRAND's
/// f32 ones, the arithmetic f64, as A1111 has it.
fn box_muller(radius_word: u32, angle_word: u32) -> f32 {
    const UNIT: f64 = 2.328_306_4e-10_f32 as f64;
    const TURN: f64 = (2.328_306_4e-10_f64 * 6.283_185_5) as f32 as f64;
    let u = f64::from(radius_word) * UNIT + UNIT / 2.0;
    let angle = f64::from(angle_word) * TURN + TURN / 2.0;
    ((-2.0 * u.ln()).sqrt() * angle.sin()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_give_the_known_answers_of_random123() {
        assert_eq!(
            philox_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
