//! Between 8-bit pictures and the networks' tensors.

use candle_core::{Device, Tensor};

use crate::error::{EngineError, Result};
use crate::raster::Picture;

/// A picture as (1, 3, H, W), -1 to 1, its sides grown to multiples of `multiple` by repeating the
/// last row and column. Transparent parts show white, as on paper.
///
/// # Errors
/// `Compute` when the device fails.
pub fn tensor_from_picture(picture: &Picture, multiple: usize, device: &Device) -> Result<Tensor> {
    let (width, height) = (picture.width_px as usize, picture.height_px as usize);
    let (full_width, full_height) = (
        width.next_multiple_of(multiple),
        height.next_multiple_of(multiple),
    );
    let area = full_width * full_height;
    let mut values = vec![0.0_f32; 3 * area];
    for y in 0..full_height {
        for x in 0..full_width {
            let at = 4 * (y.min(height - 1) * width + x.min(width - 1));
            let pixel = &picture.rgba[at..at + 4];
            let alpha = f32::from(pixel[3]) / 255.0;
            for colour in 0..3 {
                let value = f32::from(pixel[colour]) / 255.0;
                values[colour * area + y * full_width + x] =
                    2.0 * (value * alpha + (1.0 - alpha)) - 1.0;
            }
        }
    }
    Ok(Tensor::from_vec(
        values,
        (1, 3, full_height, full_width),
        device,
    )?)
}

/// (1, 3, H, W), -1 to 1, as an opaque picture, cut to `size_px` (width, height) from the top left.
///
/// # Errors
/// `Compute` when the tensor is smaller than that, or the device fails.
pub fn picture_from_tensor(tensor: &Tensor, size_px: [u32; 2]) -> Result<Picture> {
    let (_, _, height, width) = tensor.dims4()?;
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    picture_from_values(&values, [width, height], size_px)
}

/// As [`picture_from_tensor`], of the values of one of `full` (width, height).
///
/// # Errors
/// `Compute` when there are fewer.
pub fn picture_from_values(
    values: &[f32],
    [full_width, full_height]: [usize; 2],
    size_px: [u32; 2],
) -> Result<Picture> {
    let [width, height] = size_px.map(|side| side as usize);
    let failed = |reason: &str| EngineError::Compute {
        op: "decoding".to_owned(),
        reason: reason.to_owned(),
    };
    let area = full_width * full_height;
    if width > full_width || height > full_height || values.len() < 3 * area {
        return Err(failed("the decoder's picture is too small"));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(failed(
            "the picture holds undefined numbers; try another precision or seed",
        ));
    }
    let mut rgba = Vec::with_capacity(4 * width * height);
    for y in 0..height {
        for x in 0..width {
            let at = y * full_width + x;
            for colour in 0..3 {
                let value = (values[colour * area + at] * 0.5 + 0.5).clamp(0.0, 1.0);
                // Ties to even, as numpy's round in the reference.
                rgba.push((value * 255.0).round_ties_even() as u8);
            }
            rgba.push(255);
        }
    }
    Picture::new(width as u32, height as u32, rgba).ok_or_else(|| failed("an empty picture"))
}
