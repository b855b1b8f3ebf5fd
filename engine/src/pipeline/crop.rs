//! Cropping and scaling of pictures and masks.

use image::imageops::FilterType;

use super::mask::Rect;
use crate::raster::{Mask, Picture};

/// The part of a picture inside `crop`.
pub(super) fn cropped(picture: &Picture, crop: Rect) -> Picture {
    if (crop.width, crop.height) == (picture.width_px, picture.height_px) {
        return picture.clone();
    }
    let row = |y: u32| {
        let at = 4 * (y as usize * picture.width_px as usize + crop.x as usize);
        &picture.rgba[at..at + 4 * crop.width as usize]
    };
    let rgba: Vec<u8> = (crop.y..crop.y + crop.height)
        .flat_map(row)
        .copied()
        .collect();
    Picture {
        width_px: crop.width,
        height_px: crop.height,
        rgba: rgba.into(),
    }
}

/// A binary mask's crop at another size: a pixel is repainted where any of its area is.
pub(super) fn cropped_mask(mask: &Mask, crop: Rect, [width, height]: [u32; 2]) -> Mask {
    let span = |at: u32, from: u32, to: u32| {
        let first = u64::from(at) * u64::from(from) / u64::from(to);
        let last = (u64::from(at + 1) * u64::from(from)).div_ceil(u64::from(to));
        first as u32..last as u32
    };
    let touched = |x: u32, y: u32| {
        span(y, crop.height, height).any(|row| {
            span(x, crop.width, width).any(|column| mask.value(crop.x + column, crop.y + row) != 0)
        })
    };
    let values: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| if touched(x, y) { 255 } else { 0 })
        .collect();
    Mask {
        width_px: width,
        height_px: height,
        values: values.into(),
    }
}

/// The picture at another size (Lanczos, 3 lobes); itself when the size is the same.
pub(super) fn resized(picture: &Picture, [width, height]: [u32; 2]) -> Picture {
    if [width, height] == [picture.width_px, picture.height_px] {
        return picture.clone();
    }
    let source =
        image::RgbaImage::from_raw(picture.width_px, picture.height_px, picture.rgba.to_vec());
    let Some(source) = source else {
        return picture.clone();
    };
    let result = image::imageops::resize(&source, width, height, FilterType::Lanczos3);
    Picture {
        width_px: width,
        height_px: height,
        rgba: result.into_raw().into(),
    }
}
