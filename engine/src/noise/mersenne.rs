//! The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), torch's engine on the CPU.

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// State of 624 words, handed out tempered one by one.
pub(super) struct Mersenne {
    state: [u32; WORDS],
    next: usize,
}

impl Mersenne {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [0; WORDS];
        let mut before = seed;
        state[0] = seed;
        for (word, index) in state.iter_mut().skip(1).zip(1_u32..) {
            before = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(index);
            *word = before;
        }
        Self { state, next: WORDS }
    }

    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Two draws, the first in the upper half, as torch joins them.
    pub(super) fn next_u64(&mut self) -> u64 {
        let upper = u64::from(self.next_u32());
        upper << 32 | u64::from(self.next_u32())
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let joined =
                (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let feedback = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ (joined >> 1) ^ feedback;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_number_is_that_of_the_cpp_standard() {
        // C++11 [rand.predef]: the 10000th draw of mt19937 seeded with 5489.
        let mut engine = Mersenne::new(5489);
        let last = (0..10_000).map(|_| engine.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
