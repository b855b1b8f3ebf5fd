//! Reading and writing pictures, and the clipboard, one task at a time on the file thread.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::Receiver;
use pentimento_engine::error::{EngineError, Result};
use pentimento_engine::raster;
use pentimento_engine::recipe::{encode_png_with_record, read_record_file};

use super::clipboard::Clipboard;
use super::{Answer, prepare, reveal};
use crate::studio::document::{mask_of_plane, picture_of_plane, plane_of_picture};
use crate::studio::feather::feathered;
use crate::studio::flood::flooded;
use crate::studio::io_task::{IoReply, IoTask, Saved};
use crate::studio::tiles::{MAX_SIDE_PX, Plane};

/// Carries tasks out until the studio goes.
pub(super) fn serve(tasks: &Receiver<IoTask>, answer: &Answer) {
    let mut clipboard = Clipboard::default();
    for task in tasks {
        let reply = match task {
            // Dialogs have their own thread.
            IoTask::Ask(_) => continue,
            IoTask::Open(path) => match open(&path) {
                Ok(pixels) => {
                    // A picture without a readable recipe is a picture all the same.
                    let record = read_record_file(&path).ok().flatten().map(Box::new);
                    IoReply::Opened {
                        path,
                        pixels,
                        record,
                    }
                }
                Err(error) => IoReply::Failed(error),
            },
            IoTask::OpenStaged(staged) => {
                let shown = staged.paths.get(staged.shown).cloned();
                let readable = staged.paths.into_iter();
                let pictures: Vec<_> = readable
                    .filter_map(|path| open(&path).ok().map(|pixels| (path, pixels)))
                    .collect();
                let place = pictures
                    .iter()
                    .position(|(path, _)| Some(path) == shown.as_ref());
                IoReply::StagedOpened {
                    shown: place.unwrap_or_default(),
                    pictures,
                }
            }
            IoTask::LoadMask { path, size_px } => match load_mask(&path, size_px) {
                Ok(mask) => IoReply::MaskLoaded(mask),
                Err(error) => IoReply::Failed(error),
            },
            IoTask::Save { path, pixels } => match save(&path, &pixels) {
                Ok(()) => match pixels {
                    Saved::Recorded(_, record) => IoReply::SavedRecorded(path, record),
                    Saved::Picture(_) | Saved::Mask(_) => IoReply::Saved(path),
                },
                Err(error) => IoReply::Failed(error),
            },
            IoTask::CopyFile { from, to } => match copy_file(&from, &to) {
                Ok(()) => IoReply::Saved(to),
                Err(error) => IoReply::Failed(error),
            },
            IoTask::Prepare(prepare) => match prepare::encode(*prepare) {
                Ok(request) => IoReply::Prepared(Box::new(request)),
                Err(error) => IoReply::Failed(error),
            },
            IoTask::Feather {
                key,
                mask,
                radius_px,
            } => IoReply::Feathered {
                key,
                plane: feathered(&mask, radius_px),
            },
            IoTask::Flood { picture, flood } => match flooded(&picture, flood) {
                Some(area) => IoReply::Flooded {
                    picture,
                    area,
                    erase: flood.erase,
                },
                None => continue,
            },
            IoTask::Chose(chosen) => IoReply::Chose(chosen),
            IoTask::Copy(picture) => clipboard.copy(&picture),
            IoTask::Paste => clipboard.paste(),
            IoTask::ShowInFolder(path) => {
                reveal::show_in_folder(path, answer);
                continue;
            }
            IoTask::ShowFolder(path) => match std::fs::create_dir_all(&path) {
                Ok(()) => {
                    reveal::show_in_folder(path, answer);
                    continue;
                }
                Err(error) => IoReply::Failed(EngineError::io(path, "create", &error)),
            },
        };
        // Nobody listens at the program's end; what was accepted is carried out all the same.
        answer.send(reply);
    }
}

fn open(path: &Path) -> Result<Plane<4>> {
    let picture = raster::load_picture(path)?;
    plane_of_picture(&picture).ok_or_else(|| {
        EngineError::bad_file(
            path,
            format!("{} x {} pixels", picture.width_px, picture.height_px),
            format!("the canvas holds pictures up to {MAX_SIDE_PX} pixels a side; scale it down"),
        )
    })
}

fn load_mask(path: &Path, size_px: [u32; 2]) -> Result<Plane<1>> {
    let mask = raster::load_mask(path)?;
    let found = [mask.width_px, mask.height_px];
    Plane::from_bytes(found, &mask.values)
        .filter(|_| found == size_px)
        .ok_or_else(|| {
            EngineError::bad_file(
                path,
                format!("{} x {} pixels", found[0], found[1]),
                format!(
                    "a mask must have the picture's size, {} x {}",
                    size_px[0], size_px[1]
                ),
            )
        })
}

fn save(path: &Path, pixels: &Saved) -> Result<()> {
    let png = match pixels {
        Saved::Picture(plane) => raster::encode_png(&picture_of_plane(plane))?,
        Saved::Recorded(plane, record) => encode_png_with_record(&picture_of_plane(plane), record)?,
        Saved::Mask(plane) => raster::encode_png_mask(&mask_of_plane(plane))?,
    };
    write_atomically(path, &png).map_err(|error| EngineError::io(path, "write", &error))
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let content = std::fs::read(from).map_err(|error| EngineError::io(from, "read", &error))?;
    write_atomically(to, &content).map_err(|error| EngineError::io(to, "write", &error))
}

/// Writes a file so that its name shows either the old content or the new one, never a part: a
/// new file beside it is written, brought to the disk and renamed.
///
/// # Errors
/// The system's, the new file being removed again.
pub fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part: PathBuf = path.with_file_name(name);
    let written = write_synced(&part, content).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one that counts.
        let _left_behind = std::fs::remove_file(&part).is_err();
    } else if let Some(folder) = path.parent().filter(|_| cfg!(unix)) {
        // The rename itself is on the disk once its folder is. Not every file system can do it.
        let _unsupported = std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .is_err();
    }
    written
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}
