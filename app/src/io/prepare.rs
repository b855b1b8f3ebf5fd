//! Encodes a job's start picture and mask, so that the recipe can name them by content.

use pentimento_engine::client::{Blob, Request};
use pentimento_engine::error::Result;
use pentimento_engine::recipe::{Inpaint, Start};

use crate::studio::document::{mask_of_plane, picture_of_plane};
use crate::studio::io_task::Prepare;

/// The job with its start, the blobs beside it. The picture decides the size.
pub(super) fn encode(prepare: Prepare) -> Result<Request> {
    let Prepare {
        mut request,
        picture,
        mask,
        start,
    } = prepare;
    let picture_blob = Blob::from_picture(&picture_of_plane(&picture))?;
    [request.recipe.width_px, request.recipe.height_px] = picture.size_px();
    let mut inpaint = None;
    if let Some(mask) = mask {
        let mask_blob = Blob::from_mask(&mask_of_plane(&mask))?;
        inpaint = Some(Inpaint {
            mask: mask_blob.sha256.clone(),
            blur_px: start.blur_px,
            content: start.content,
            area: start.area(),
        });
        request.blobs.push(mask_blob);
    }
    request.recipe.start = Some(Start {
        picture: picture_blob.sha256.clone(),
        strength: start.strength,
        inpaint,
    });
    request.blobs.push(picture_blob);
    Ok(request)
}
