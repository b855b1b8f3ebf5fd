//! Colour profiles: a picture whose file carries an ICC profile is brought to sRGB as it is opened, so
//! that wide-gamut photographs keep their look. A profile that is sRGB by another name leaves every
//! number as it is.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Largest profile that is read, in bytes: printers' tables reach a few megabytes.
const MAX_PROFILE_BYTES: usize = 8 << 20;

/// The picture in sRGB. One that cannot be converted (a broken profile, one for other channels than
/// the decoder gave) is taken as sRGB, as browsers do.
pub(super) fn to_srgb(image: DynamicImage, profile: Option<Vec<u8>>) -> DynamicImage {
    let source = profile
        .filter(|bytes| bytes.len() <= MAX_PROFILE_BYTES)
        .and_then(|bytes| ColorProfile::new_from_slice(&bytes).ok());
    match source {
        Some(source) => converted(&image, &source).unwrap_or(image),
        None => image,
    }
}

fn converted(image: &DynamicImage, source: &ColorProfile) -> Option<DynamicImage> {
    let grey = match source.color_space {
        DataColorSpace::Rgb => false,
        DataColorSpace::Gray if !image.color().has_color() => true,
        _ => return None,
    };
    if is_srgb(source, grey)? {
        return None;
    }
    let (width, height) = (image.width(), image.height());
    let values = 4 * width as usize * height as usize;
    // Sixteen bits are converted as such: steps that eight would tear apart stay even.
    if image.color().bytes_per_pixel() > image.color().channel_count() {
        let pixels = if grey {
            image.to_luma_alpha16().into_raw()
        } else {
            image.to_rgba16().into_raw()
        };
        let mut out = vec![0; values];
        source
            .create_transform_16bit(layout(grey), &srgb(), Layout::Rgba, options())
            .and_then(|transform| transform.transform(&pixels, &mut out))
            .ok()?;
        return image::ImageBuffer::from_raw(width, height, out).map(DynamicImage::ImageRgba16);
    }
    let pixels = if grey {
        image.to_luma_alpha8().into_raw()
    } else {
        image.to_rgba8().into_raw()
    };
    let mut out = vec![0; values];
    transform_8_bit(source, grey, &pixels, &mut out)?;
    image::RgbaImage::from_raw(width, height, out).map(DynamicImage::ImageRgba8)
}

/// Whether the profile gives every colour the numbers it has in sRGB, a rounding aside: sRGB's own
/// profile comes in many editions. `None`: it cannot be used.
fn is_srgb(source: &ColorProfile, grey: bool) -> Option<bool> {
    let levels = || (0..=255_u8).step_by(15);
    let probe: Vec<u8> = if grey {
        levels().flat_map(|level| [level, 255]).collect()
    } else {
        levels()
            .flat_map(|red| levels().map(move |green| [red, green]))
            .flat_map(|[red, green]| levels().flat_map(move |blue| [red, green, blue, 255]))
            .collect()
    };
    let wanted: Vec<u8> = if grey {
        levels()
            .flat_map(|level| [level, level, level, 255])
            .collect()
    } else {
        probe.clone()
    };
    let mut out = vec![0; wanted.len()];
    transform_8_bit(source, grey, &probe, &mut out)?;
    Some(
        out.iter()
            .zip(wanted)
            .all(|(&one, other)| one.abs_diff(other) <= 1),
    )
}

/// `pixels` (grey and alpha, or RGBA) to sRGB, alpha kept.
fn transform_8_bit(source: &ColorProfile, grey: bool, pixels: &[u8], out: &mut [u8]) -> Option<()> {
    source
        .create_transform_8bit(layout(grey), &srgb(), Layout::Rgba, options())
        .and_then(|transform| transform.transform(pixels, out))
        .ok()
}

fn srgb() -> ColorProfile {
    ColorProfile::new_srgb()
}

fn options() -> TransformOptions {
    TransformOptions::default()
}

fn layout(grey: bool) -> Layout {
    if grey {
        Layout::GrayAlpha
    } else {
        Layout::Rgba
    }
}
