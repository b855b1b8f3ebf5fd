//! numpy's `SeedSequence` (O'Neill's `seed_seq` with her fixes of 2015), which turns a seed and a
//! place in a tree into the seeds of that place.

const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;

/// `SeedSequence(entropy, spawn_key=spawn_key, pool_size=POOL).generate_state(N)`.
pub(super) fn seeds<const POOL: usize, const N: usize>(
    entropy: u64,
    spawn_key: &[u64],
) -> [u32; N] {
    let mut words = words(entropy);
    if !spawn_key.is_empty() && words.len() < POOL {
        words.resize(POOL, 0);
    }
    words.extend(spawn_key.iter().flat_map(|&part| self::words(part)));

    let mut hash = Hash(INIT_A);
    let mut pool: [u32; POOL] =
        std::array::from_fn(|at| hash.of(words.get(at).copied().unwrap_or(0)));
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            pool[target] = mixed(pool[target], hash.of(pool[source]));
        }
    }
    for &word in words.iter().skip(POOL) {
        for slot in &mut pool {
            *slot = mixed(*slot, hash.of(word));
        }
    }
    let mut factor = INIT_B;
    std::array::from_fn(|at| {
        let word = pool[at % POOL] ^ factor;
        factor = factor.wrapping_mul(MULT_B);
        let word = word.wrapping_mul(factor);
        word ^ (word >> 16)
    })
}

/// A hash whose constant moves on with every word.
struct Hash(u32);

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.0;
        self.0 = self.0.wrapping_mul(MULT_A);
        let word = word.wrapping_mul(self.0);
        word ^ (word >> 16)
    }
}

fn mixed(left: u32, right: u32) -> u32 {
    let word = MIX_LEFT
        .wrapping_mul(left)
        .wrapping_sub(MIX_RIGHT.wrapping_mul(right));
    word ^ (word >> 16)
}

/// The number's words, lowest first; one for 0.
fn words(number: u64) -> Vec<u32> {
    let (low, high) = (number as u32, (number >> 32) as u32);
    if high == 0 {
        vec![low]
    } else {
        vec![low, high]
    }
}
