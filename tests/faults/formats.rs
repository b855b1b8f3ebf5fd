//! Hostile and broken model files of the other formats, what is no model at all, and valid files with
//! bytes changed.

use serde_json::Map;
use support::layouts::{Stored, Written, gguf, safetensors};
use support::places;

use crate::place::Place;

/// A GGUF head: numbers of metadata, then tensors with sides (innermost first), type and offset.
fn head(numbers: &[(&str, u32)], tensors: &[(&str, &[u64], u32, u64)]) -> Vec<u8> {
    let text = |text: &str| {
        [
            (text.len() as u64).to_le_bytes().to_vec(),
            text.as_bytes().to_vec(),
        ]
        .concat()
    };
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((numbers.len() as u64).to_le_bytes());
    for (key, number) in numbers {
        file.extend(
            [
                text(key),
                4_u32.to_le_bytes().to_vec(),
                number.to_le_bytes().to_vec(),
            ]
            .concat(),
        );
    }
    for (name, sides, kind, offset) in tensors {
        file.extend(text(name));
        file.extend((sides.len() as u32).to_le_bytes());
        file.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32) + 64, 0);
    file
}

#[test]
fn gguf_heads_that_passed_another_reader() {
    let place = Place::new();
    assert_eq!(
        place.verdict(
            "good",
            &head(&[("general.alignment", 32)], &[("a", &[16], 0, 0)])
        ),
        Ok(())
    );
    place.refuses(
        "alignment 0",
        &head(&[("general.alignment", 0)], &[]),
        "alignment of 0",
    );
    let wrapping = head(&[], &[("a", &[1 << 33, 1 << 31], 0, 0)]);
    place.refuses("a product that wraps to 0", &wrapping, "overflows");
}

#[test]
fn gguf_heads_that_lie() {
    let place = Place::new();
    let raw = |tensors: u64, entries: u64, rest: &[u8]| {
        let counts = [tensors.to_le_bytes(), entries.to_le_bytes()].concat();
        [b"GGUF\x03\0\0\0", &counts[..], rest].concat()
    };
    let key = [&1_u64.to_le_bytes()[..], b"k"].concat();
    let with = |kind: u32, rest: &[u8]| raw(0, 1, &[&key[..], &kind.to_le_bytes(), rest].concat());
    let nested = [9_u32.to_le_bytes().to_vec(), 1_u64.to_le_bytes().to_vec()]
        .concat()
        .repeat(100_000);
    for (what, file, word) in [
        (
            "version 1",
            [&b"GGUF\x01\0\0\0"[..], &[0; 16]].concat(),
            "version 1",
        ),
        ("2^63 tensors", raw(1 << 63, 0, &[]), "tensors"),
        ("2^63 entries", raw(0, 1 << 63, &[]), "entries"),
        (
            "tensors that are not there",
            raw(60_000, 0, &[]),
            "cut short",
        ),
        (
            "a key of 2^63 bytes",
            raw(0, 1, &(1_u64 << 63).to_le_bytes()),
            "a name of",
        ),
        (
            "a text of 2^63 bytes",
            with(8, &(1_u64 << 63).to_le_bytes()),
            "cut short",
        ),
        (
            "a list of 2^63",
            with(
                9,
                &[&10_u32.to_le_bytes()[..], &(1_u64 << 63).to_le_bytes()].concat(),
            ),
            "no end",
        ),
        (
            "texts, 2^63 of them",
            with(
                9,
                &[&8_u32.to_le_bytes()[..], &(1_u64 << 63).to_le_bytes()].concat(),
            ),
            "cut short",
        ),
        ("lists in lists", with(9, &nested), "nested deeper"),
        ("an unknown type", with(13, &[]), "unknown type 13"),
        (
            "alignment 3",
            head(&[("general.alignment", 3)], &[]),
            "alignment of 3",
        ),
        (
            "alignment 2^31",
            head(&[("general.alignment", 1 << 31)], &[]),
            "alignment",
        ),
        (
            "100 dimensions",
            head(&[], &[("a", &[1; 100], 0, 0)]),
            "100 dimensions",
        ),
        (
            "an unknown element",
            head(&[], &[("a", &[1], 99, 0)]),
            "element type 99",
        ),
        (
            "half a block",
            head(&[], &[("a", &[16], 8, 0)]),
            "whole blocks",
        ),
        (
            "rows of half blocks",
            head(&[], &[("a", &[16, 2], 8, 0)]),
            "whole blocks",
        ),
        (
            "beyond the end",
            head(&[], &[("a", &[1 << 20], 0, 0)]),
            "ends at byte",
        ),
        (
            "exbytes",
            head(&[], &[("a", &[1 << 62], 0, 0)]),
            "overflows",
        ),
        (
            "an offset that overflows",
            head(&[], &[("a", &[1], 0, u64::MAX - 31)]),
            "overflows",
        ),
        (
            "no multiple",
            head(&[], &[("a", &[1], 0, 4)]),
            "multiple of 32",
        ),
        (
            "overlapping",
            head(&[], &[("a", &[16], 0, 0), ("b", &[8], 0, 32)]),
            "overlap",
        ),
        (
            "a name twice",
            head(&[], &[("a", &[1], 0, 0), ("a", &[1], 0, 32)]),
            "twice",
        ),
    ] {
        place.refuses(what, &file, word);
    }
}

#[test]
fn files_that_are_no_models_say_what_they_are() {
    let place = Place::new();
    place.refuses("nothing", b"", "empty");
    place.refuses(
        "a note of Git LFS",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "Git LFS",
    );
    place.refuses("a page", b"\n<!DOCTYPE html><html></html>", "web page");
    place.refuses("a picture", b"\x89PNG\r\n\x1a\n0123456789", "first bytes");
}

/// Valid files with bytes changed or cut off: any verdict, at once, and no panic.
#[test]
fn changed_and_cut_files_never_kill() {
    let place = Place::new();
    let fixture = |name: &str| std::fs::read(places::fixture("layouts").join(name)).unwrap();
    let tensors: Vec<Written> = (0..6)
        .map(|index| Written {
            name: format!("model.diffusion_model.input_blocks.{index}.0.in_layers.0.weight"),
            shape: vec![4, 8],
            values: vec![0.5; 32],
        })
        .collect();
    let blocks = tensors
        .iter()
        .map(|tensor| (tensor.clone(), 0, Stored::F32.encode(&tensor.values)))
        .collect::<Vec<_>>();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for file in [
        fixture("python.ckpt"),
        fixture("python.legacy.pt"),
        safetensors(&tensors, Stored::F8E5M2, &Map::new()),
        gguf(&blocks),
    ] {
        // Most of what can go wrong stands at the beginning and the end.
        let interesting = [
            (0, file.len().min(2000)),
            (file.len() - file.len().min(1200), file.len()),
        ];
        for round in 0..400 {
            let mut changed = file.clone();
            let (from, to) = interesting[round % 2];
            for _ in 0..=random(3) {
                changed[from + random(to - from)] =
                    [0, 0xff, b'(', b'.', 0x80, random(256) as u8][random(6)];
            }
            if round % 5 == 0 {
                changed.truncate(random(file.len()));
            }
            let _any = place.verdict(&format!("round {round}"), &changed);
        }
    }
}
