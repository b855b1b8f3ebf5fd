//! Round trips, conversions, orientation, and files that lie.

use std::io::Cursor;
use std::path::Path;
use std::time::Instant;

use image::{DynamicImage, ImageEncoder as _, ImageFormat};

use super::*;
use crate::client::Blob;
use crate::error::EngineError;

/// A picture whose pixels all differ from their neighbours; alpha as asked.
fn sample(width: u32, height: u32, opaque: bool) -> Picture {
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let alpha = if opaque { 255 } else { (x * 37 + y * 11) as u8 };
            rgba.extend([(x * 40) as u8, (y * 30) as u8, (x ^ y) as u8, alpha]);
        }
    }
    Picture::new(width, height, rgba).unwrap()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn problem(bytes: &[u8]) -> String {
    match decode_picture(bytes, "x.png") {
        Err(EngineError::BadFile {
            path,
            problem,
            remedy,
        }) => {
            assert_eq!(path, Path::new("x.png"));
            assert!(!remedy.is_empty());
            problem
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn png_round_trip_is_exact_with_and_without_alpha() {
    for opaque in [true, false] {
        let picture = sample(7, 5, opaque);
        let file = encode_png(&picture).unwrap();
        assert_eq!(file, encode_png(&picture).unwrap(), "deterministic");
        assert_eq!(decode_picture(&file, "a").unwrap(), picture);
        let blob = Blob::from_picture(&picture).unwrap();
        assert_eq!(blob.sha256, crate::hash::sha256_hex(&file));
    }
}

#[test]
fn mask_round_trip_and_rule() {
    let mask = Mask::new(4, 1, vec![0, 1, 128, 255]).unwrap();
    let file = encode_png_mask(&mask).unwrap();
    assert_eq!(
        mask_from_picture(&decode_picture(&file, "m").unwrap()),
        mask
    );
    let coloured = Picture::new(
        3,
        1,
        vec![255, 255, 255, 0, 255, 255, 255, 100, 255, 0, 0, 255],
    );
    assert_eq!(
        &*mask_from_picture(&coloured.unwrap()).values,
        &[0, 100, 76]
    );
}

#[test]
fn grey_sixteen_bit_and_lossless_webp_become_eight_bit_rgba() {
    let grey = image::ImageBuffer::from_raw(2, 1, vec![0u16, 0x8080]).unwrap();
    let file = encode(&DynamicImage::ImageLuma16(grey), ImageFormat::Png);
    let picture = decode_picture(&file, "g").unwrap();
    assert_eq!(&*picture.rgba, &[0, 0, 0, 255, 128, 128, 128, 255]);

    let picture = sample(9, 4, false);
    let buffer = image::RgbaImage::from_raw(9, 4, picture.rgba.to_vec()).unwrap();
    let file = encode(&DynamicImage::ImageRgba8(buffer), ImageFormat::WebP);
    assert_eq!(decode_picture(&file, "w").unwrap(), picture);
}

/// A PNG of one row with that profile.
fn png_with_profile(pixels: &[[u8; 4]], profile: &moxcms::ColorProfile) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.set_icc_profile(profile.encode().unwrap()).unwrap();
    let (bytes, width) = (pixels.concat(), pixels.len() as u32);
    let colour = image::ExtendedColorType::Rgba8;
    encoder.write_image(&bytes, width, 1, colour).unwrap();
    file
}

#[test]
fn embedded_profiles_are_converted_to_srgb() {
    let pixels = [[255, 0, 0, 255], [128, 128, 128, 77], [180, 120, 90, 255]];
    let wide = png_with_profile(&pixels, &moxcms::ColorProfile::new_display_p3());
    let picture = decode_picture(&wide, "p3").unwrap();
    // CSS Color 4: color(display-p3 1 0 0) clips to #ff0000, greys are the same in both spaces,
    // and what lies inside sRGB becomes more saturated in its numbers.
    assert_eq!(picture.pixel(0, 0), [255, 0, 0, 255]);
    let [red, green, blue, alpha] = picture.pixel(1, 0);
    assert!([red, green, blue].iter().all(|c| c.abs_diff(128) <= 1));
    assert_eq!(alpha, 77, "alpha is no colour");
    // display-p3 (180, 120, 90) is (190, 117, 84) in sRGB.
    let wanted = [190_u8, 117, 84];
    let found = picture.pixel(2, 0);
    assert!(
        (0..3).all(|c| found[c].abs_diff(wanted[c]) <= 2),
        "{found:?}"
    );

    let same = png_with_profile(&pixels, &moxcms::ColorProfile::new_srgb());
    assert_eq!(&*decode_picture(&same, "s").unwrap().rgba, pixels.concat());
}

#[test]
fn a_profile_does_not_change_a_mask_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.png");
    let greys = [[0, 0, 0, 255], [90, 90, 90, 255], [255, 255, 255, 255]];
    let mut linear = moxcms::ColorProfile::new_srgb();
    let straight = moxcms::ToneReprCurve::Lut(Vec::new());
    linear.red_trc = Some(straight.clone());
    linear.green_trc = Some(straight.clone());
    linear.blue_trc = Some(straight);
    linear.cicp = None;
    let file = png_with_profile(&greys, &linear);
    std::fs::write(&path, &file).unwrap();
    assert_eq!(&*load_mask(&path).unwrap().values, &[0, 90, 255]);
    let shown = load_picture(&path).unwrap().pixel(1, 0);
    assert!(
        shown[0] > 150,
        "linear light 90 is a bright grey: {shown:?}"
    );

    let mut broken = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut broken);
    encoder.set_icc_profile(vec![7; 300]).unwrap();
    let colour = image::ExtendedColorType::Rgba8;
    encoder.write_image(&greys.concat(), 3, 1, colour).unwrap();
    let picture = decode_picture(&broken, "b").unwrap();
    assert_eq!(&*picture.rgba, greys.concat());
}

#[test]
fn jpeg_orientation_is_applied() {
    let mut buffer = image::RgbImage::from_pixel(16, 8, image::Rgb([255, 255, 255]));
    for y in 0..8 {
        for x in 0..8 {
            buffer.put_pixel(x, y, image::Rgb([0, 0, 0]));
        }
    }
    let plain = encode(&DynamicImage::ImageRgb8(buffer), ImageFormat::Jpeg);
    // An EXIF segment with the one tag 0x0112 = 6: turn by 90 degrees clockwise to view.
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    let turned = [&plain[..2], &exif, &plain[2..]].concat();
    let (plain, turned) = (
        decode_picture(&plain, "p").unwrap(),
        decode_picture(&turned, "t").unwrap(),
    );
    assert_eq!((plain.width_px, plain.height_px), (16, 8));
    assert_eq!((turned.width_px, turned.height_px), (8, 16));
    // The dark half, stored on the left, is on top after the turn.
    assert!(turned.pixel(4, 3)[0] < 40 && turned.pixel(4, 12)[0] > 215);
    for (x, y) in [(0, 0), (15, 0), (3, 7), (12, 5)] {
        assert_eq!(plain.pixel(x, y), turned.pixel(7 - y, x));
    }
}

#[test]
fn every_truncation_is_refused() {
    let picture = sample(24, 16, true);
    let buffer = image::RgbaImage::from_raw(24, 16, picture.rgba.to_vec()).unwrap();
    let image = DynamicImage::ImageRgba8(buffer);
    let files = [
        encode_png(&picture).unwrap(),
        encode(&image.to_rgb8().into(), ImageFormat::Jpeg),
        encode(&image, ImageFormat::WebP),
    ];
    for file in files {
        assert!(decode_picture(&file, "whole").is_ok());
        // The last bytes of a PNG (IEND) hold no pixels: a file without them is still whole.
        for cut in 0..file.len() - 13 {
            assert!(decode_picture(&file[..cut], "cut").is_err(), "cut at {cut}");
        }
    }
}

/// A PNG that holds an IHDR and an empty IDAT only.
fn png_of_size(width: u32, height: u32, padding: usize) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(height.to_be_bytes());
    file.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    file.resize(file.len() + padding, 0);
    file
}

#[test]
fn bombs_are_refused_from_the_header() {
    let mut jpeg = b"\xff\xd8\xff\xc0\x00\x0b\x08".to_vec();
    jpeg.extend([0x3f, 0xff, 0x3f, 0xff, 1, 1, 0x11, 0]);
    jpeg.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\xff\xd9");
    let mut lossless = b"RIFF\x1c\0\0\0WEBPVP8L\x10\0\0\0\x2f".to_vec();
    lossless.extend(0x0fff_ffffu32.to_le_bytes());
    lossless.extend([0; 11]);
    let mut liar = b"RIFF\x1c\0\0\0WEBPVP8L".to_vec();
    liar.extend(u32::MAX.to_le_bytes());
    liar.extend([0x2f; 16]);
    let started = Instant::now();
    assert!(problem(&png_of_size(u32::MAX, u32::MAX, 0)).contains("can hold"));
    assert!(problem(&png_of_size(16_385, 1, 4096)).contains("16384"));
    assert!(problem(&png_of_size(0, 5, 4096)).contains("0 x 5"));
    assert!(problem(&png_of_size(16_000, 16_000, 100_000)).contains("can hold"));
    assert!(problem(&jpeg).contains("can hold"));
    assert!(problem(&lossless).contains("can hold"));
    assert!(problem(&liar).contains("cut short"));
    assert!(started.elapsed().as_millis() < 50);
}

#[test]
fn other_files_are_named() {
    assert!(problem(b"").contains("empty"));
    assert!(problem(b"GIF89a").contains("GIF"));
    assert!(problem(b"hello").contains("not a picture"));
    assert!(problem(b"\xff\xd8\xff").contains("cut short"));
    let missing = load_picture(Path::new("/nowhere/at/all.png")).unwrap_err();
    assert_eq!(missing.code(), "io");
    let folder = load_picture(&std::env::temp_dir()).unwrap_err();
    assert!(folder.to_string().contains("not a file") || folder.code() == "io");
}
