//! Pixels where the painted mask is 0 are those of the opened picture, always: random masks, odd sizes, blur,
//! padding, every kind of content, alpha.

use pentimento_engine::client::{Blob, Request};
use pentimento_engine::event::Event;
use pentimento_engine::raster::{Mask, Picture};
use pentimento_engine::recipe::{Inpaint, InpaintArea, MaskedContent, Recipe, Start};
use support::running::{Running, recipe, request};

/// A small generator for the tests' own choices (Steele et al. 2014, SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }
}

fn picture(chance: &mut Chance, width: u32, height: u32) -> Picture {
    let opaque = chance.below(2) == 0;
    let mut rgba = Vec::new();
    for _ in 0..width * height {
        let [r, g, b, a, ..] = chance.next().to_le_bytes();
        rgba.extend([r, g, b, if opaque { 255 } else { a }]);
    }
    Picture::new(width, height, rgba).unwrap()
}

fn mask(chance: &mut Chance, width: u32, height: u32) -> Mask {
    let mut values = vec![0_u8; (width * height) as usize];
    match chance.below(4) {
        // single pixels, also at the edges
        0 => {
            for _ in 0..1 + chance.below(6) {
                let at = chance.below(width * height) as usize;
                values[at] = 1 + chance.below(255) as u8;
            }
            values[0] = 255;
        }
        // a rectangle, hard or grey
        1 => {
            let (x, y) = (chance.below(width), chance.below(height));
            let (w, h) = (1 + chance.below(width - x), 1 + chance.below(height - y));
            let value = chance.pick(&[255, 200, 127, 1]);
            for row in y..y + h {
                for column in x..x + w {
                    values[(row * width + column) as usize] = value;
                }
            }
        }
        // every grey, scattered
        2 => {
            for value in &mut values {
                *value = if chance.below(3) == 0 {
                    chance.below(256) as u8
                } else {
                    0
                };
            }
            values[(width * height / 2) as usize] = 255;
        }
        // nearly everything
        _ => {
            values.fill(255);
            for _ in 0..5 {
                let at = chance.below(width * height) as usize;
                values[at] = 0;
            }
        }
    }
    Mask::new(width, height, values).unwrap()
}

/// Runs one random case; gives how many painted pixels changed.
fn case(running: &Running, seed: u64) -> usize {
    let mut chance = Chance(seed);
    let (width, height) = (16 + chance.below(90), 16 + chance.below(90));
    let start = picture(&mut chance, width, height);
    let painted = mask(&mut chance, width, height);
    let (start_blob, mask_blob) = (
        Blob::from_picture(&start).unwrap(),
        Blob::from_mask(&painted).unwrap(),
    );
    let inpaint = Inpaint {
        mask: mask_blob.sha256.clone(),
        blur_px: chance.pick(&[0, 1, 4, 17, 64]),
        content: chance.pick(&[
            MaskedContent::Original,
            MaskedContent::Fill,
            MaskedContent::Noise,
            MaskedContent::Nothing,
        ]),
        area: chance.pick(&[
            InpaintArea::WholePicture,
            InpaintArea::OnlyMasked { padding_px: 0 },
            InpaintArea::OnlyMasked { padding_px: 32 },
            InpaintArea::OnlyMasked { padding_px: 256 },
        ]),
    };
    let strength = chance.pick(&[1.0, 0.5, 0.75]);
    let model = chance.pick(&["sd1", "inpainting", "plain"]);
    let recipe = Recipe {
        width_px: width,
        height_px: height,
        seed,
        sampler: chance.pick(&["ddim", "euler", "dpmpp_2m"]).to_owned(),
        start: Some(Start {
            picture: start_blob.sha256.clone(),
            strength,
            inpaint: Some(inpaint),
        }),
        ..recipe(model)
    };
    let what = format!("seed {seed}: {model} {width}x{height} {:?}", recipe.start);
    let job = running.submit_request(Request {
        blobs: vec![start_blob, mask_blob],
        ..request(recipe)
    });
    let mut changed = None;
    for event in running.until_end(job) {
        match event {
            Event::Failed { error, .. } => panic!("{what}: {error}"),
            Event::ImageReady {
                image,
                record,
                path,
                ..
            } => {
                assert_eq!(
                    record.outcome.unmasked_pixels_verified,
                    Some(true),
                    "{what}"
                );
                let on_disk = pentimento_engine::raster::load_picture(&path).unwrap();
                assert!(on_disk == image, "{what}: the file holds what was reported");
                changed = Some(compare(&what, &start, &painted, &image));
            }
            _ => {}
        }
    }
    changed.unwrap_or_else(|| panic!("{what}: no picture"))
}

fn compare(what: &str, start: &Picture, painted: &Mask, made: &Picture) -> usize {
    assert_eq!(
        (made.width_px, made.height_px),
        (start.width_px, start.height_px),
        "{what}"
    );
    let mut changed = 0;
    for y in 0..start.height_px {
        for x in 0..start.width_px {
            let same = made.pixel(x, y) == start.pixel(x, y);
            if painted.value(x, y) == 0 {
                assert!(
                    same,
                    "{what}: ({x}, {y}) was {:?}, is {:?}",
                    start.pixel(x, y),
                    made.pixel(x, y)
                );
            } else if !same {
                changed += 1;
            }
        }
    }
    changed
}

fn cases(seeds: std::ops::Range<u64>) {
    let running = Running::start();
    let changed: usize = seeds.map(|seed| case(&running, seed)).sum();
    assert!(
        changed > 1000,
        "only {changed} painted pixels changed: nothing was repainted"
    );
}

#[test]
fn unpainted_pixels_are_those_of_the_opened_picture() {
    cases(0..60);
}

#[test]
fn unpainted_pixels_stay_in_further_cases() {
    cases(1000..1060);
}

#[test]
fn an_image_to_image_run_keeps_the_size_of_an_odd_picture() {
    let running = Running::start();
    let start = picture(&mut Chance(3), 61, 47);
    let blob = Blob::from_picture(&start).unwrap();
    let recipe = Recipe {
        width_px: 61,
        height_px: 47,
        start: Some(Start {
            picture: blob.sha256.clone(),
            strength: 0.5,
            inpaint: None,
        }),
        ..recipe("sd1")
    };
    let made = running
        .pictures(Request {
            blobs: vec![blob],
            ..request(recipe)
        })
        .unwrap();
    assert_eq!((made[0].width_px, made[0].height_px), (61, 47));
}
