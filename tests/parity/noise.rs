//! The engine's noise against torch's CPU generator, bit for bit, and against Philox.

use std::path::Path;

use pentimento_engine::noise::source;
use pentimento_engine::recipe::NoiseKind;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    torch_cpu: Vec<Case>,
    philox: Vec<Case>,
}

/// One generator and what it gave, draw by draw.
#[derive(Deserialize)]
struct Case {
    seed: String,
    draws: Vec<Draw>,
}

#[derive(Deserialize)]
struct Draw {
    len: usize,
    /// Bits of all values; of the first and last 16 where there are more than 128.
    bits: Vec<u32>,
    /// FNV-1a over the bits' little-endian bytes.
    checksum: String,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/noise/noise.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("valid fixture")
}

fn checksum(values: &[f32]) -> String {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_bits().to_le_bytes());
    let state = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{state:016x}")
}

/// The values that the fixture shows of a draw.
fn shown(values: &[f32]) -> Vec<f32> {
    if values.len() <= 128 {
        return values.to_vec();
    }
    [&values[..16], &values[values.len() - 16..]].concat()
}

/// Distance in units in the last place, across zero.
fn ulps(a: f32, b: f32) -> u64 {
    let ordered = |value: f32| {
        let magnitude = i64::from(value.to_bits() & 0x7fff_ffff);
        if value.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        }
    };
    ordered(a).abs_diff(ordered(b))
}

/// Compares every draw: `exact` in all bits, else within one unit in the last place.
fn compare(kind: NoiseKind, cases: &[Case], exact: impl Fn(usize) -> bool) {
    assert!(cases.len() >= 5);
    for case in cases {
        let mut noise = source(kind, case.seed.parse().expect("a seed"));
        for (index, draw) in case.draws.iter().enumerate() {
            let values = noise.standard_normal(draw.len);
            assert_eq!(values.len(), draw.len);
            let place = format!(
                "{kind:?}, seed {}, draw {index} of {} values",
                case.seed, draw.len
            );
            let limit = if exact(draw.len) { 0 } else { 1 };
            let pairs = shown(&values).into_iter().zip(&draw.bits);
            for (at, (got, &want)) in pairs.enumerate() {
                let want = f32::from_bits(want);
                assert!(
                    ulps(got, want) <= limit,
                    "{place}: {got} is not {want} at {at}"
                );
            }
            if limit == 0 {
                assert_eq!(checksum(&values), draw.checksum, "{place}");
            }
        }
    }
}

/// From 16 values on, all arithmetic is f32 and spelt out: every bit is torch's. Below, torch and we
/// round f64 logarithms and sines of the system's library, which may differ in the last place.
#[test]
fn torch_cpu_noise_is_torchs_bit_for_bit() {
    compare(NoiseKind::TorchCpu, &fixture().torch_cpu, |len| len >= 16);
}

/// f64 logarithms and sines rounded to f32: one unit in the last place for other libraries.
#[test]
fn philox_noise_follows_its_definition() {
    compare(NoiseKind::Philox, &fixture().philox, |_| false);
}

/// The twelve numbers that A1111's source itself documents for seed 0, to its eight decimals; the
/// last of them show the f32 rounding of cuRAND's constants.
#[test]
fn philox_noise_is_that_of_the_nv_source() {
    let drawn = source(NoiseKind::Philox, 0).standard_normal(12);
    let known = [
        -0.924_662_6,
        -0.425_344_15,
        -2.643_845_8,
        0.145_183_88,
        -0.120_866_47,
        -0.579_725_6,
        -0.622_851_2,
        -0.328_387_1,
        -1.074_542_3,
        -0.363_144_07,
        -1.671_050_7,
        2.265_505,
    ];
    for (got, want) in drawn.iter().zip(known) {
        assert!((got - want).abs() < 1e-6, "{drawn:?}");
    }
}

#[test]
fn two_generators_of_one_seed_do_not_share_state() {
    for kind in [NoiseKind::TorchCpu, NoiseKind::Philox] {
        let (mut first, mut second) = (source(kind, 9), source(kind, 9));
        let early = first.standard_normal(40);
        assert_ne!(early, first.standard_normal(40), "{kind:?} repeats itself");
        assert_eq!(early, second.standard_normal(40), "{kind:?}");
    }
}
