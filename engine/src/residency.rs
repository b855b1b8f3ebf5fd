//! How much of a job's models is in memory at once, and what that needs. Where all of it does not fit,
//! weights are let go of and read again when they are needed: it takes longer, and gives the same pixels.

use serde::{Deserialize, Serialize};

use crate::catalog::ModelInfo;
use crate::forecast::kib_in;
use crate::recipe::Precision;

/// What stays in memory; from the quickest to the most sparing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// All models, from job to job.
    #[default]
    Everything,
    /// The text encoders go once the prompts are encoded.
    Networks,
    /// Besides, a denoising network goes when another or the last decoder takes over.
    OneAtATime,
    /// No weights but those of the layer at work: each is read from its file, and made from its numbers
    /// there (quantised ones of a GGUF, say), for every use.
    LayerByLayer,
}

impl Residency {
    /// The quickest one that fits into `available_bytes`; the most sparing one where none does.
    pub(crate) fn fitting(
        available_bytes: Option<u64>,
        needed_bytes: impl Fn(Self) -> u64,
    ) -> Self {
        let Some(available) = available_bytes else {
            return Self::Everything;
        };
        [Self::Everything, Self::Networks, Self::OneAtATime]
            .into_iter()
            .find(|&one| needed_bytes(one) <= available)
            .unwrap_or(Self::LayerByLayer)
    }

    /// Whether weights are let go of that a later picture needs again.
    pub fn is_sparing(self) -> bool {
        self != Self::Everything
    }
}

/// The models of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Models<'a> {
    /// The recipe's own.
    pub(crate) first: &'a ModelInfo,
    /// The one that takes over from it, be it the same.
    pub(crate) refiner: Option<&'a ModelInfo>,
}

impl<'a> Models<'a> {
    fn each(self) -> impl Iterator<Item = &'a ModelInfo> {
        [Some(self.first), self.refiner].into_iter().flatten()
    }
}

/// Bytes of activations a picture pixel in f32: what decoding with Stable Diffusion 1.5 at 512 px and XL
/// at 1024 px took at most, and a fifth more.
const ACTIVATION_BYTES: f64 = 2300.0;

/// Numbers of a large layer, in its file's form and in the run's at once: those of XL's largest have
/// 13 million.
const LAYER_NUMBERS: f64 = 30e6;

/// The program itself, its window and what the system's graphics take, in bytes.
const PROGRAM_BYTES: f64 = 150e6;

/// What a job needs at its peak, in bytes: weights in the precision of the run (a resolved one), and
/// activations by the picture's area.
pub(crate) fn estimate_bytes(
    models: Models<'_>,
    precision: Precision,
    [width_px, height_px]: [u32; 2],
    residency: Residency,
) -> u64 {
    let bytes_now = if precision.has_bf16_activations() {
        2.0
    } else {
        4.0
    };
    let network_bytes_now = match precision {
        // And a factor of bf16 for each block of 32.
        Precision::Int8 => 1.0 + 2.0 / 32.0,
        Precision::Bf16 | Precision::F32 | Precision::Auto => bytes_now,
    };
    let numbers = |model: &ModelInfo, bytes: u64| bytes as f64 / stored_bytes(model);
    let most = |all: &mut dyn Iterator<Item = f64>| all.fold(0.0, f64::max);
    let each = || models.each();
    let texts = || each().map(|model| bytes_now * numbers(model, model.storage.text_bytes));
    let networks =
        || each().map(|model| network_bytes_now * numbers(model, model.storage.network_bytes));
    let others = each().map(|model| {
        let lent = model.storage.borrowed.as_ref();
        let all = model.size_bytes + lent.map_or(0, |parts| parts.size_bytes);
        let rest = all.saturating_sub(model.storage.text_bytes + model.storage.network_bytes);
        bytes_now * numbers(model, rest)
    });
    let others: f64 = others.sum();
    let (text, network): (f64, f64) = (texts().sum(), networks().sum());
    let held = others
        + match residency {
            Residency::Everything => text + network,
            Residency::Networks => network.max(most(&mut texts())),
            Residency::OneAtATime => most(&mut networks().chain(texts())),
            Residency::LayerByLayer => {
                LAYER_NUMBERS * bytes_now.max(most(&mut each().map(stored_bytes)))
            }
        };
    let area = f64::from(width_px) * f64::from(height_px);
    let activations = area * ACTIVATION_BYTES * bytes_now / 4.0;
    (held + activations + PROGRAM_BYTES) as u64
}

/// Whether a model in a resolved precision fits into memory at its own picture size.
pub(crate) fn fits_alone(model: &ModelInfo, precision: Precision, limit: Option<u64>) -> bool {
    let models = Models {
        first: model,
        refiner: None,
    };
    let needed = estimate_bytes(models, precision, model.native_px, Residency::Everything);
    available_bytes(limit).is_none_or(|available| needed <= available)
}

/// Bytes that most of a model's numbers take in its files.
fn stored_bytes(model: &ModelInfo) -> f64 {
    match model.storage.precision.as_str() {
        "f32" => 4.0,
        "f16" | "bf16" => 2.0,
        "f8_e4m3" | "f8_e5m2" | "q8_0" => 1.0,
        "q6_k" => 0.82,
        "q5_0" | "q5_1" | "q5_k" => 0.7,
        "q4_0" | "q4_1" | "q4_k" => 0.57,
        _ => 2.0,
    }
}

/// What the program can have: what the machine has free and what the program has of it already, at most
/// `limit`.
pub(crate) fn available_bytes(limit: Option<u64>) -> Option<u64> {
    let free = kib_in("/proc/meminfo", "MemAvailable:");
    let own = || kib_in("/proc/self/status", "VmRSS:").unwrap_or(0);
    let machine = free.map(|free| free + own());
    match (machine, limit) {
        (Some(machine), Some(limit)) => Some(machine.min(limit)),
        (machine, limit) => machine.or(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: [u32; 2] = [512, 512];

    #[test]
    fn the_quickest_that_fits_is_taken() {
        let need = |one| match one {
            Residency::Everything => 13,
            Residency::Networks => 10,
            Residency::OneAtATime => 6,
            Residency::LayerByLayer => 2,
        };
        for (available, wanted) in [
            (None, Residency::Everything),
            (Some(13), Residency::Everything),
            (Some(12), Residency::Networks),
            (Some(10), Residency::Networks),
            (Some(9), Residency::OneAtATime),
            (Some(6), Residency::OneAtATime),
            (Some(5), Residency::LayerByLayer),
            (Some(1), Residency::LayerByLayer),
        ] {
            assert_eq!(Residency::fitting(available, need), wanted, "{available:?}");
        }
    }

    /// In f16: 2 GB, of which a quarter reads text and 1.4 GB are the network.
    fn model() -> ModelInfo {
        ModelInfo {
            size_bytes: 2_000_000_000,
            storage: crate::catalog::Storage {
                precision: "f16".to_owned(),
                text_bytes: 500_000_000,
                network_bytes: 1_400_000_000,
                ..crate::catalog::Storage::default()
            },
            ..crate::catalog::matching::test_model("m")
        }
    }

    fn estimate(
        refiner: Option<&ModelInfo>,
        precision: Precision,
        size_px: [u32; 2],
        residency: Residency,
    ) -> u64 {
        let model = model();
        let first = &model;
        estimate_bytes(Models { first, refiner }, precision, size_px, residency)
    }

    #[test]
    fn memory_grows_with_precision_and_area() {
        let all = Residency::Everything;
        let bf16 = estimate(None, Precision::Bf16, SMALL, all);
        assert!((2_100_000_000..2_900_000_000).contains(&bf16), "{bf16}");
        let int8 = estimate(None, Precision::Int8, SMALL, all);
        let network = model().storage.network_bytes as f64;
        let saved = network * (2.0 - 1.0625) / 2.0;
        assert!(
            (bf16 - int8).abs_diff(saved as u64) < 2,
            "of the network alone"
        );
        let f32 = estimate(None, Precision::F32, SMALL, all);
        assert!(f32 > 4_000_000_000, "{f32}");
        let refined = estimate(Some(&model()), Precision::F32, SMALL, all);
        assert_eq!(refined, f32 + 4_000_000_000);
        let large = estimate(None, Precision::F32, [2048, 2048], all);
        assert!(large > f32 + 8_000_000_000);
    }

    #[test]
    fn what_is_let_go_of_is_not_needed_at_the_peak() {
        let model = model();
        for (refiner, network_saved, one_saved) in [
            (None, 500_000_000, 500_000_000),
            (Some(&model), 1_000_000_000, 2_400_000_000),
        ] {
            let need = |residency| estimate(refiner, Precision::Bf16, SMALL, residency);
            let all = need(Residency::Everything);
            assert_eq!(all - need(Residency::Networks), network_saved);
            assert_eq!(all - need(Residency::OneAtATime), one_saved);
            assert!(need(Residency::LayerByLayer) < need(Residency::OneAtATime) - 1_000_000_000);
        }
    }

    #[test]
    fn a_limit_counts_where_it_is_below_what_the_machine_has() {
        assert_eq!(available_bytes(Some(1000)), Some(1000));
        assert!(available_bytes(Some(u64::MAX)) >= available_bytes(None));
    }
}
