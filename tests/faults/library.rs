//! The gallery when things go wrong: lost and broken indexes, kills in the middle of saving, full
//! disks, unwritable folders, hostile files, several writers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use pentimento_engine::library::files::{check_folder, write_new, write_replacing};
use pentimento_engine::library::{Library, Query};
use pentimento_engine::raster::{Picture, encode_png, load_picture};
use pentimento_engine::recipe::{Outcome, Recipe, Record};

/// 2023-11-14, 22:13:20 UTC.
const MADE_MS: u64 = 1_700_000_000_000;

fn record(prompt: &str, seed: u64) -> Record {
    let recipe = format!(
        r#"{{"version":{{"major":1,"minor":0}},"model":{{"id":"m"}},"prompt":"{prompt}","width_px":64,
        "height_px":64,"seed":{seed},"steps":20,"guidance":4.0,"sampler":"ddim","schedule":"model"}}"#
    );
    Record {
        recipe: Recipe::from_json(&recipe).expect("a recipe"),
        outcome: Outcome {
            finished_unix_ms: MADE_MS + seed,
            ..Outcome::default()
        },
    }
}

/// Pixels that do not compress, so that files have their full size.
fn noise(side: u32, seed: u64) -> Picture {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let pixels: Vec<u8> = (0..side * side * 4)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    Picture::new(side, side, pixels).expect("a picture")
}

fn all(starred_only: bool) -> Query {
    Query {
        starred_only,
        limit: 10_000,
        ..Query::default()
    }
}

fn prompts(library: &Library) -> Vec<String> {
    let page = library.list(&all(false)).expect("a list");
    page.entries.into_iter().map(|entry| entry.prompt).collect()
}

/// A gallery of five pictures, those of odd seed with a star, closed again.
fn filled(folder: &Path) -> Vec<PathBuf> {
    let library = Library::open(folder).expect("a gallery");
    (0..5)
        .map(|seed| {
            let record = record(&format!("picture {seed}"), seed);
            let path = library
                .save_picture(&noise(16, seed), &record)
                .expect("saved");
            library.set_star(&path, true).expect("a star");
            library.set_star(&path, seed % 2 == 1).expect("a star");
            path
        })
        .collect()
}

fn expect_whole(library: &Library) {
    let expected = [4, 3, 2, 1, 0].map(|seed| format!("picture {seed}"));
    assert_eq!(prompts(library), expected);
    let starred = library.list(&all(true)).expect("a list");
    let seeds: Vec<_> = starred.entries.iter().map(|entry| entry.seed).collect();
    assert_eq!(seeds, [Some(3), Some(1)]);
    for entry in &starred.entries {
        let found = library
            .record(&entry.path)
            .expect("readable")
            .expect("a recipe");
        assert_eq!(found.record.recipe.prompt, entry.prompt);
    }
}

#[test]
fn a_lost_index_is_made_again_with_stars() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    std::fs::remove_file(folder.path().join("index.sqlite")).expect("removed");
    expect_whole(&Library::open(folder.path()).expect("opens"));
}

#[test]
fn a_broken_index_is_made_again_with_stars() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    let index = folder.path().join("index.sqlite");
    let whole = std::fs::read(&index).expect("readable");
    let mut damaged = whole.clone();
    damaged[100..].fill(0x5a);
    let mut later_pages = whole.clone();
    later_pages[5000..].fill(0xff);
    for broken in [
        &b"not a database at all"[..],
        &whole[..whole.len() / 2],
        &damaged,
        &later_pages,
    ] {
        std::fs::write(&index, broken).expect("written");
        expect_whole(&Library::open(folder.path()).expect("opens"));
    }
}

#[test]
fn an_index_of_another_schema_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    let index = folder.path().join("index.sqlite");
    for damage in [
        "PRAGMA user_version = 0; DROP TABLE pictures; CREATE TABLE pictures (old TEXT);",
        "PRAGMA user_version = 999; ALTER TABLE pictures RENAME TO newer;",
        "DROP TABLE pictures;",
        "UPDATE pictures SET width_px = 'wide';",
    ] {
        let other = rusqlite::Connection::open(&index).expect("opens");
        other.execute_batch(damage).expect("damaged");
        drop(other);
        expect_whole(&Library::open(folder.path()).expect("opens"));
    }
}

#[test]
fn an_index_that_breaks_while_it_is_open_heals() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    let library = Library::open(folder.path()).expect("opens");
    expect_whole(&library);
    let other = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("opens");
    other.execute_batch("DROP TABLE pictures").expect("damaged");
    drop(other);
    expect_whole(&library);
}

#[test]
fn files_win_over_the_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = filled(folder.path());
    std::fs::remove_file(&paths[2]).expect("removed behind our back");
    let copied = folder.path().join("holidays").join("mine.png");
    std::fs::create_dir(folder.path().join("holidays")).expect("made");
    std::fs::copy(&paths[0], copied).expect("copied behind our back");
    let library = Library::open(folder.path()).expect("opens");
    let found = prompts(&library);
    assert_eq!(found.len(), 5);
    assert!(!found.contains(&"picture 2".to_owned()));
    assert_eq!(
        found.iter().filter(|prompt| *prompt == "picture 0").count(),
        2
    );
}

#[test]
fn foreign_and_hostile_files_do_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    };
    let plain = encode_png(&noise(8, 1)).expect("a file");
    put("plain.png", &plain);
    put("cut.png", &plain[..plain.len() / 2]);
    put("text.png", b"hello");
    put("empty.png", b"");
    put(".pentimento-x.tmp", &plain);
    put(".hidden.png", &plain);
    put("note.txt", b"hello");
    let mut liar = plain[..33].to_vec();
    liar.extend(b"\xff\xff\xff\xffiTXtpentimento\0");
    put("liar.png", &liar);
    std::fs::create_dir(folder.path().join("folder.png")).expect("made");
    let library = Library::open(folder.path()).expect("opens");
    let page = library.list(&all(false)).expect("a list");
    let names: BTreeSet<_> = page
        .entries
        .iter()
        .filter_map(|entry| entry.path.file_name()?.to_str())
        .collect();
    assert_eq!(names, BTreeSet::from(["plain.png", "cut.png", "liar.png"]));
    for entry in &page.entries {
        assert!(!entry.has_recipe && entry.width_px == 8);
        let is_plain = entry.path.ends_with("plain.png");
        assert_eq!(library.thumbnail(&entry.path, 64).is_ok(), is_plain);
    }
}

#[test]
fn unfinished_files_are_swept_when_they_are_old() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    let day = folder.path().join("2023-11-14");
    let (old, young) = (day.join(".pentimento-a.tmp"), day.join(".pentimento-b.tmp"));
    for path in [&old, &young] {
        std::fs::write(path, b"half").expect("written");
    }
    let file = std::fs::File::options()
        .write(true)
        .open(&old)
        .expect("opens");
    file.set_modified(SystemTime::now() - Duration::from_secs(7200))
        .expect("aged");
    drop(file);
    expect_whole(&Library::open(folder.path()).expect("opens"));
    assert!(!old.exists(), "left by a program that is dead");
    assert!(young.exists(), "another program may still write it");
}

#[test]
fn places_that_cannot_be_written_are_named_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").expect("written");
    let below = file.join("gallery");
    let errors = [
        Library::open(&below).expect_err("a file is in the way"),
        check_folder(&below).expect_err("a file is in the way"),
        write_new(&below.join("x.png"), b"x").expect_err("no folder"),
        write_replacing(&folder.path().join("no/such/x.png"), b"x").expect_err("no folder"),
    ];
    for error in errors {
        assert_eq!(error.code(), "io", "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        assert!(text.contains("; "), "no remedy: {text}");
    }
}

#[test]
fn several_writers_lose_nothing_and_overwrite_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let root = folder.path();
                scope.spawn(move || {
                    // Each with its own connection, as a window and a command line have.
                    let library = Library::open(root).expect("opens");
                    (0..12)
                        .map(|at| {
                            let record = record(&format!("w{writer} p{at}"), 7);
                            library.save_picture(&noise(8, at), &record).expect("saved")
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let done = writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"));
        done.flatten().collect::<Vec<_>>()
    });
    assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), 48);
    let library = Library::open(folder.path()).expect("opens");
    assert_eq!(
        prompts(&library).into_iter().collect::<BTreeSet<_>>().len(),
        48
    );
}

/// Set for the copy of this program that is killed, or runs out of disk, in the middle of saving.
const CHILD: &str = "PENTIMENTO_TEST_SAVES_INTO";

/// Not a test of its own: what the two tests below start.
#[test]
fn child_that_saves() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let library = Library::open(PathBuf::from(folder)).expect("opens");
    for seed in 0..400 {
        let saved = library.save_picture(&noise(512, seed), &record("child", seed));
        saved.unwrap_or_else(|error| panic!("refused: {error}"));
    }
}

fn child(folder: &Path) -> Command {
    let own = std::env::current_exe().expect("our own program");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -f ${BLOCKS:-unlimited}; trap '' XFSZ; exec \"$0\" \"$@\"",
        ])
        .arg(own)
        .args(["--exact", "library::child_that_saves", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    let day = std::fs::read_dir(folder.join("2023-11-14"));
    let mut found: Vec<PathBuf> = day
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    found.sort();
    found
}

#[test]
#[cfg(unix)]
fn a_kill_at_any_time_leaves_no_half_picture() {
    for round in 0..6u64 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut running = child(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let started = SystemTime::now();
        while pictures(folder.path()).len() < 2 {
            assert!(
                started.elapsed().is_ok_and(|waited| waited.as_secs() < 60),
                "too slow"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        // Another moment of the next save each time.
        std::thread::sleep(Duration::from_millis(round * 7));
        running.kill().expect("killed");
        running.wait().expect("gone");
        let left = pictures(folder.path());
        assert!(left.len() >= 2);
        for path in &left {
            load_picture(path).expect("whole");
        }
        let library = Library::open(folder.path()).expect("opens");
        assert_eq!(prompts(&library).len(), left.len());
        assert!(
            library
                .list(&all(false))
                .expect("a list")
                .entries
                .iter()
                .all(|e| e.has_recipe)
        );
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_and_leaves_no_half_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = filled(folder.path());
    // No file may grow beyond 256 KiB (512 in shells that count half kilobytes): a picture of noise
    // has 1 MiB, so that its writing stops in the middle.
    let output = child(folder.path())
        .env("BLOCKS", "256")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert!(
        said.contains("cannot write") && said.contains(".png"),
        "{said}"
    );
    assert_eq!(pictures(folder.path()), kept);
    let hidden = std::fs::read_dir(folder.path().join("2023-11-14")).expect("readable");
    assert_eq!(
        hidden.count(),
        kept.len(),
        "the unfinished file is gone as well"
    );
    expect_whole(&Library::open(folder.path()).expect("opens"));
}
