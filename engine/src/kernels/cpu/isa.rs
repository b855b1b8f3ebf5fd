//! What the processor can do, asked once, and the jump into code compiled for it.

use std::sync::OnceLock;

use super::portable::Portable;
use super::simd::Kernel;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
#[cfg(target_arch = "x86_64")]
use super::{peak::register_flops, simd::Precision};

/// An instruction set for the kernels. A value exists only for a set that this processor has, which
/// is what makes calling into its code sound.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Isa(Level);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
    /// Sixteen lanes and a bf16 dot product in plain Rust: runs the code paths of AVX-512 on any
    /// processor, for tests.
    #[cfg(test)]
    Wide,
}

impl Isa {
    /// The fastest set that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Every set that this processor has, fastest first. The last one is portable Rust.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 {
                sets.push(Self(Level::Avx512));
            }
            if avx512 && is_x86_feature_detected!("avx512bf16") {
                let dot = Self(Level::Avx512Bf16);
                let place = usize::from(!dot.dot_pays());
                sets.insert(place, dot);
            }
            if avx2 {
                sets.push(Self(Level::Avx2));
            }
        }
        sets.push(Self(Level::Portable));
        sets
    }

    /// [`Self::available`] and the emulation of wide vectors.
    #[cfg(test)]
    pub(super) fn testable() -> Vec<Self> {
        let mut sets = Self::available();
        sets.push(Self(Level::Wide));
        sets
    }

    /// Whether the set's dot product of bf16 pairs does more products a second than its f32
    /// multiply-add: twice as many on AMD's processors, half as many on Intel's, which mean bf16 for
    /// their matrix unit. Measured once, in less than a millisecond; the answer cannot hang on
    /// noise, since each side is twice away from the bound.
    #[cfg(target_arch = "x86_64")]
    fn dot_pays(self) -> bool {
        static PAYS: OnceLock<bool> = OnceLock::new();
        *PAYS.get_or_init(|| {
            let (mut dot, mut multiply_add) = (0.0, 0.0);
            for _ in 0..8 {
                dot = register_flops(self, Precision::Bf16, 2048).max(dot);
                multiply_add = register_flops(self, Precision::F32, 2048).max(multiply_add);
            }
            dot > multiply_add
        })
    }

    /// Whether networks are better kept in bf16 than in f32 on this processor: its bf16 products are
    /// faster, or it at least has instructions for bf16, and products from widened weights cost
    /// about what those in f32 do, in half the memory.
    pub fn prefers_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => is_x86_feature_detected!("avx512bf16"),
            _ => self.has_bf16_dot(),
        }
    }

    /// Whether the set multiplies pairs of bf16 values. Where it does not, bf16 weights are widened as
    /// they are used.
    pub fn has_bf16_dot(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => true,
            #[cfg(test)]
            Level::Wide => true,
            _ => false,
        }
    }

    /// A short name, for logs and tables of measurements.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => "avx512-bf16",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            Level::Portable => "portable",
            #[cfg(test)]
            Level::Wide => "wide",
        }
    }

    /// Runs `kernel` in a function compiled for this set.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: a value of this level is only made where the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => unsafe { avx512::run_bf16(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::run(kernel) },
            Level::Portable => kernel.run(Portable::<8, false>),
            #[cfg(test)]
            Level::Wide => kernel.run(Portable::<16, true>),
        }
    }
}
