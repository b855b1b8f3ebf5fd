//! The wire to the gallery on disk. Two named threads: one lists, stars, deletes and reads records in
//! the order it is asked; the other decodes thumbnails and large pictures. The interface never waits
//! for either.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use pentimento_engine::error::{EngineError, Result};
use pentimento_engine::library::{Library, Query, UndoToken};
use pentimento_engine::raster::{self, Picture};

use crate::studio::document::plane_of_picture;
use crate::studio::events::GalleryReply;
use crate::studio::gallery::GalleryRequest;
use crate::studio::tiles::Plane;

/// Requests and replies that may wait.
const SLOTS: usize = 256;
/// Pictures that may wait to be decoded; more are asked for again when they are drawn.
const DECODE_SLOTS: usize = 48;
/// Longest side of a thumbnail in pixels: sharp on a screen of twice the density.
const THUMBNAIL_PX: u32 = 256;
/// Deleted pictures are kept for a month.
const KEEP_DELETED: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// Called after a reply was sent.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Which copy of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// Small, for the list.
    Thumbnail,
    /// All of it, for the large view.
    Full,
}

/// A decoded picture; `None` when it cannot be read.
pub struct Decoded {
    /// Which file.
    pub path: PathBuf,
    /// Which copy.
    pub detail: Detail,
    /// Its pixels.
    pub picture: Option<Picture>,
}

/// The threads' channels.
pub struct GalleryLink {
    requests: Sender<GalleryRequest>,
    replies: Receiver<GalleryReply>,
    decodes: Sender<(PathBuf, Detail)>,
    decoded: Receiver<Decoded>,
    /// Requests that found the channel full, in order; they go when there is room.
    backlog: VecDeque<GalleryRequest>,
}

impl GalleryLink {
    /// Starts the threads; the gallery itself is opened on them, since that may take a while.
    ///
    /// # Errors
    /// The system's error when a thread cannot be started.
    pub fn start(root: PathBuf, waker: Waker) -> std::io::Result<Self> {
        let (requests, request_receiver) = bounded(SLOTS);
        let (reply_sender, replies) = bounded(SLOTS);
        let (decodes, decode_receiver) = bounded::<(PathBuf, Detail)>(DECODE_SLOTS);
        let (decoded_sender, decoded) = bounded(DECODE_SLOTS);
        let (library_sender, library_receiver) = bounded(1);
        let index_waker = Arc::clone(&waker);
        std::thread::Builder::new()
            .name("pentimento-gallery".to_owned())
            .spawn(move || {
                let library = Library::open(root);
                if let Ok(library) = &library {
                    // The receiver lives as long as the other thread.
                    let _closed = library_sender.send(library.clone()).is_err();
                }
                drop(library_sender);
                serve(library, &request_receiver, &reply_sender, &index_waker);
            })?;
        std::thread::Builder::new()
            .name("pentimento-thumbnails".to_owned())
            .spawn(move || {
                let Ok(library) = library_receiver.recv() else {
                    return;
                };
                for (path, detail) in decode_receiver {
                    let picture = decode(&library, &path, detail).ok();
                    let decoded = Decoded {
                        path,
                        detail,
                        picture,
                    };
                    if decoded_sender.send(decoded).is_err() {
                        return;
                    }
                    waker();
                }
            })?;
        Ok(Self {
            requests,
            replies,
            decodes,
            decoded,
            backlog: VecDeque::new(),
        })
    }

    /// Hands a request over; never blocks, never loses it.
    pub fn run(&mut self, request: GalleryRequest) {
        self.backlog.push_back(request);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        while let Some(request) = self.backlog.pop_front() {
            if let Err(refused) = self.requests.try_send(request) {
                self.backlog.push_front(refused.into_inner());
                return;
            }
        }
    }

    /// Asks for a picture's pixels. `false`: too many wait, ask again later.
    pub fn decode(&self, path: &Path, detail: Detail) -> bool {
        self.decodes.try_send((path.to_path_buf(), detail)).is_ok()
    }

    /// The next reply, if one waits.
    pub fn poll(&mut self) -> Option<GalleryReply> {
        let reply = self.replies.try_recv().ok();
        self.flush();
        reply
    }

    /// The next decoded picture, if one waits.
    pub fn poll_decoded(&self) -> Option<Decoded> {
        self.decoded.try_recv().ok()
    }
}

fn decode(library: &Library, path: &Path, detail: Detail) -> Result<Picture> {
    match detail {
        Detail::Thumbnail => library.thumbnail(path, THUMBNAIL_PX),
        Detail::Full => raster::load_picture(path),
    }
}

fn serve(
    library: Result<Library>,
    requests: &Receiver<GalleryRequest>,
    replies: &Sender<GalleryReply>,
    waker: &Waker,
) {
    let mut worker = Worker {
        library,
        tokens: HashMap::new(),
    };
    if let Ok(library) = &worker.library {
        // Old rubbish that cannot be purged now is tried again at the next start.
        let _kept = library.purge_trash(KEEP_DELETED).is_err();
    }
    for request in requests {
        let listing = matches!(request, GalleryRequest::List { .. });
        let reply = match worker.answer(request) {
            Ok(Some(reply)) => reply,
            Ok(None) => continue,
            Err(error) => GalleryReply::Failed { error, listing },
        };
        if replies.send(reply).is_err() {
            return;
        }
        waker();
    }
}

struct Worker {
    library: Result<Library>,
    tokens: HashMap<PathBuf, UndoToken>,
}

impl Worker {
    fn answer(&mut self, request: GalleryRequest) -> Result<Option<GalleryReply>> {
        let library = self.library.as_ref().map_err(EngineError::clone)?;
        let reply = match request {
            GalleryRequest::List {
                serial,
                query,
                offset,
                limit,
            } => {
                let page = library.list(&Query {
                    text: query.text,
                    starred_only: query.starred_only,
                    offset: offset as u64,
                    limit: limit as u64,
                })?;
                GalleryReply::Listed {
                    serial,
                    offset,
                    total: page.total,
                    entries: page.entries,
                }
            }
            GalleryRequest::Record(path) => {
                let record = library.record(&path)?;
                GalleryReply::Record(path, record.map(Box::new))
            }
            GalleryRequest::Star(path, starred) => {
                library.set_star(&path, starred)?;
                return Ok(None);
            }
            GalleryRequest::Delete(path) => {
                let token = library.delete(std::slice::from_ref(&path))?;
                self.tokens.insert(path, token);
                return Ok(None);
            }
            GalleryRequest::Restore(path) => {
                if let Some(token) = self.tokens.remove(&path) {
                    library.restore(&token)?;
                }
                return Ok(None);
            }
            GalleryRequest::Open(path, purpose) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                GalleryReply::Opened {
                    name: name.into_owned(),
                    pixels: plane(&raster::load_picture(&path)?, &path)?,
                    purpose,
                }
            }
            GalleryRequest::OpenStart(start) => {
                let picture_path = library.blob_path(&start.picture)?;
                let picture =
                    raster::decode_picture(&library.get_blob(&start.picture)?, &picture_path)?;
                let pixels = plane(&picture, &picture_path)?;
                let mask = match &start.inpaint {
                    Some(inpaint) => {
                        let path = library.blob_path(&inpaint.mask)?;
                        let mask = raster::load_mask(&path)?;
                        Plane::from_bytes([mask.width_px, mask.height_px], &mask.values)
                    }
                    None => None,
                };
                GalleryReply::StartOpened { pixels, mask }
            }
        };
        Ok(Some(reply))
    }
}

fn plane(picture: &Picture, path: &Path) -> Result<Plane<4>> {
    plane_of_picture(picture).ok_or_else(|| {
        EngineError::bad_file(
            path,
            format!("{} x {} pixels", picture.width_px, picture.height_px),
            "scale it down: the canvas cannot hold pictures of that size",
        )
    })
}
