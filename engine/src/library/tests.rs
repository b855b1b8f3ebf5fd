//! Saving, listing, stars, trash, blobs and thumbnails on real folders.

use std::time::Duration;

use super::*;
use crate::client::Blob;
use crate::raster::{Picture, encode_png, load_picture};
use crate::recipe::Record;

/// 2023-11-14, 22:13:20 UTC.
const MADE_MS: u64 = 1_700_000_000_000;

fn picture(shade: u8) -> Picture {
    Picture::new(8, 4, vec![shade; 8 * 4 * 4]).unwrap()
}

fn record(prompt: &str, seed: u64, made_ms: u64) -> Record {
    let mut record = crate::recipe::sample_record();
    record.recipe.prompt = prompt.to_owned();
    record.recipe.seed = seed;
    record.outcome.finished_unix_ms = made_ms;
    record
}

fn all(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        limit: 100,
        ..Query::default()
    }
}

fn prompts(library: &Library, text: &str) -> Vec<String> {
    let page = library.list(&all(text)).unwrap();
    assert_eq!(page.total, page.entries.len() as u64);
    page.entries.into_iter().map(|entry| entry.prompt).collect()
}

#[test]
fn saved_pictures_are_listed_newest_first_and_searched() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let first = record("A red APPLE, 3d", 7, MADE_MS);
    let path = library.save_picture(&picture(1), &first).unwrap();
    assert_eq!(path, folder.path().join("2023-11-14/00001-7.png"));
    let second = record("an Äpfel 100%_tree", 7, MADE_MS + 5);
    let other = library.save_picture(&picture(2), &second).unwrap();
    assert_eq!(other, folder.path().join("2023-11-14/00002-7.png"));
    assert_eq!(
        prompts(&library, ""),
        [second.recipe.prompt.clone(), first.recipe.prompt.clone()]
    );
    assert_eq!(
        prompts(&library, "apple RED"),
        [first.recipe.prompt.as_str()]
    );
    assert_eq!(prompts(&library, "äpfel"), [second.recipe.prompt.as_str()]);
    assert_eq!(prompts(&library, "0%_t"), [second.recipe.prompt.as_str()]);
    assert_eq!(prompts(&library, "0_t"), Vec::<String>::new());
    assert_eq!(library.record(&path).unwrap().unwrap().record, first);
    assert_eq!(load_picture(&path).unwrap(), picture(1));
    let entry = library.entry(&path).unwrap().unwrap();
    assert_eq!(
        (entry.width_px, entry.height_px, entry.seed),
        (8, 4, Some(7))
    );
    assert!(entry.has_recipe && !entry.starred && entry.created_unix_ms == MADE_MS);
    let page = library
        .list(&Query {
            offset: 1,
            limit: 1,
            ..Query::default()
        })
        .unwrap();
    assert_eq!((page.total, page.entries[0].path.clone()), (2, path));
}

#[test]
fn stars_delete_and_restore() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let path = library
        .save_picture(&picture(1), &record("one", 1, MADE_MS))
        .unwrap();
    library.set_star(&path, true).unwrap();
    let starred = Query {
        starred_only: true,
        limit: 9,
        ..Query::default()
    };
    assert_eq!(library.list(&starred).unwrap().total, 1);
    let token = library.delete(std::slice::from_ref(&path)).unwrap();
    assert!(!path.exists() && library.list(&all("")).unwrap().total == 0);
    // Another picture takes the number and seed meanwhile.
    let taker = library
        .save_picture(&picture(2), &record("two", 1, MADE_MS))
        .unwrap();
    assert_eq!(taker, path);
    let back = library.restore(&token).unwrap();
    assert_eq!(back, [path.with_file_name("00001-1-2.png")]);
    assert_eq!(load_picture(&back[0]).unwrap(), picture(1));
    assert!(library.entry(&back[0]).unwrap().unwrap().starred);
    assert!(library.restore(&token).is_err());
    let token = library.delete(&back).unwrap();
    assert_eq!(library.purge_trash(Duration::from_secs(60)).unwrap(), 0);
    assert_eq!(library.purge_trash(Duration::ZERO).unwrap(), 1);
    assert!(library.restore(&token).is_err());
}

#[test]
fn purging_takes_the_start_pictures_that_nothing_else_needs() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let keep = |shade: u8| {
        let blob = Blob::from_picture(&picture(shade)).unwrap();
        library.put_blob(&blob).unwrap();
        blob.sha256
    };
    let (own, shared, unrelated) = (keep(1), keep(2), keep(3));
    let save = |prompt: &str, start: &str| {
        let mut record = record(prompt, 1, MADE_MS);
        record.recipe.start = Some(crate::recipe::Start {
            picture: start.to_owned(),
            strength: 0.5,
            inpaint: None,
        });
        library.save_picture(&picture(9), &record).unwrap()
    };
    let gone = [save("one", &own), save("two", &shared)];
    let kept = save("three", &shared);
    library.delete(&gone).unwrap();
    let is_there = |hash: &str| library.blob_path(hash).unwrap().exists();
    assert_eq!(library.purge_trash(Duration::from_secs(60)).unwrap(), 0);
    assert!(is_there(&own), "it can still be restored");
    assert_eq!(library.purge_trash(Duration::ZERO).unwrap(), 1);
    assert!(!is_there(&own) && is_there(&shared) && is_there(&unrelated));
    let token = library.delete(&[kept]).unwrap();
    library.restore(&token).unwrap();
    assert!(is_there(&shared));
}

#[test]
fn paths_outside_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path().join("in")).unwrap();
    let outside = folder.path().join("x.png");
    std::fs::write(&outside, b"x").unwrap();
    for path in ["../x.png", "blobs/x.png", ".trash/x.png", "", "/etc/passwd"] {
        assert!(library.delete(&[path.into()]).is_err(), "{path}");
        assert!(library.set_star(Path::new(path), true).is_err());
    }
    assert!(library.delete(std::slice::from_ref(&outside)).is_err() && outside.exists());
    let forged: UndoToken = serde_json::from_str("\"../..\"").unwrap();
    assert!(library.restore(&forged).is_err());
}

#[test]
fn a_failed_deletion_leaves_everything_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let path = library
        .save_picture(&picture(1), &record("one", 1, MADE_MS))
        .unwrap();
    let missing = path.with_file_name("99999-1.png");
    assert!(library.delete(&[path.clone(), missing]).is_err());
    assert!(path.exists());
    assert_eq!(library.list(&all("")).unwrap().total, 1);
}

#[test]
fn blobs_are_checked_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let blob = Blob::from_picture(&picture(9)).unwrap();
    let path = library.put_blob(&blob).unwrap();
    assert_eq!(library.put_blob(&blob).unwrap(), path);
    assert_eq!(library.get_blob(&blob.sha256).unwrap(), &*blob.png);
    let mut wrong = blob.clone();
    wrong.sha256 = "0".repeat(64);
    assert!(library.put_blob(&wrong).is_err());
    assert!(library.get_blob(&wrong.sha256).is_err());
    assert!(library.get_blob("../../x").is_err());
    std::fs::write(&path, b"damaged").unwrap();
    assert_eq!(
        library.get_blob(&blob.sha256).unwrap_err().code(),
        "bad_file"
    );
    library.put_blob(&blob).unwrap();
    assert_eq!(library.get_blob(&blob.sha256).unwrap(), &*blob.png);
    assert_eq!(library.list(&all("")).unwrap().total, 0);
}

#[test]
fn thumbnails_keep_proportions_and_are_cached() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(folder.path()).unwrap();
    let wide = Picture::new(300, 20, vec![77; 300 * 20 * 4]).unwrap();
    let path = folder.path().join("wide.png");
    std::fs::write(&path, encode_png(&wide).unwrap()).unwrap();
    let small = library.thumbnail(&path, 64).unwrap();
    assert_eq!((small.width_px, small.height_px), (64, 5));
    assert_eq!(small.pixel(30, 2), [77; 4]);
    let cache = folder.path().join(".thumbnails");
    let files = || {
        std::fs::read_dir(&cache)
            .unwrap()
            .flatten()
            .map(|f| f.path())
    };
    assert_eq!(files().count(), 1);
    std::fs::write(files().next().unwrap(), b"broken").unwrap();
    assert_eq!(library.thumbnail(&path, 64).unwrap(), small);
    assert_eq!(library.thumbnail(&path, 1000).unwrap(), wide);
}

#[test]
fn numbered_files_in_a_folder_and_a_file_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a/b");
    let record = record("x", 3, 0);
    let first = save_to_folder(&out, &picture(1), &record).unwrap();
    assert_eq!(first, out.join("00001-3.png"));
    std::fs::write(out.join("20260101-note.txt"), b"").unwrap();
    let second = save_to_folder(&out, &picture(1), &record).unwrap();
    assert_eq!(second, out.join("00002-3.png"));
    let file = folder.path().join("c/d.png");
    save_to_file(&file, &picture(1), &record).unwrap();
    save_to_file(&file, &picture(2), &record).unwrap();
    assert_eq!(load_picture(&file).unwrap(), picture(2));
    assert_eq!(files::numbered(&file, 1), file);
    assert_eq!(files::numbered(&file, 3), folder.path().join("c/d-3.png"));
}
