//! The command line: every message and exit code of a wrong line, a wrong file or a stopped job, and
//! what a right one makes. It is called as a function, with the real engine and the starter model.

use std::path::{Path, PathBuf};

use pentimento::cli;
use pentimento_engine::preview::PreviewMode;
use pentimento_engine::raster::load_picture;
use pentimento_engine::recipe::read_record_file;
use serde_json::Value;

use crate::machine::{Machine, quick};

#[test]
fn wrong_lines_say_what_is_wrong_and_exit_with_2() {
    let machine = Machine::new();
    let picture = machine.picture("start.png", 64, 64);
    let cases: &[(&[&str], &str)] = &[
        (&["rendr"], "unknown command rendr; did you mean render?"),
        (&["render", "--promt", "x"], "did you mean --prompt?"),
        (&["render", "--xyzzy"], "unknown option --xyzzy"),
        (&["render"], "--prompt is needed"),
        (&["render", "--prompt"], "--prompt needs a value"),
        (&["render", "--prompt", "a", "b"], "needs quotes"),
        (
            &["render", "--prompt", "a", "--steps", "many"],
            "“many” is not a whole number",
        ),
        (
            &["render", "--prompt", "a", "--size", "big"],
            "such as 512x512",
        ),
        (
            &["render", "--prompt", "a", "--sigmas", "14,x"],
            "such as 14.6,2.5,0.4,0",
        ),
        (
            &["render", "--prompt", "a", "--step-noise", "white"],
            "not one of fresh, brownian",
        ),
        (
            &["render", "--prompt", "a", "--precision", "f64"],
            "not one of auto, f32, bf16",
        ),
        (
            &["render", "--prompt", "a", "--mask", "m.png"],
            "--mask needs --init",
        ),
        (
            &["render", "--prompt", "a", "--strength", "0.5"],
            "--strength needs --init",
        ),
        (
            &[
                "render",
                "--prompt",
                "a",
                "--init",
                &picture,
                "--only-masked",
            ],
            "needs --mask",
        ),
        (
            &["render", "--prompt", "a", "--out", "x.jpg"],
            "saved as PNG, not .jpg",
        ),
        (&["render", "--prompt", "a", "--threads", "0"], "1 to 1024"),
        (
            &["render", "--prompt", "a", "--seed", "1", "--seed", "2"],
            "given twice",
        ),
        (
            &[
                "render", "--prompt", "a", "--init", &picture, "--size", "32x32",
            ],
            "it has 64 x 64 px",
        ),
        (&["models", "x"], "does not take"),
        (&["recipe"], "needs one file"),
    ];
    for (args, words) in cases {
        machine.refuses(2, args, &[words, "--help"]);
    }
}

#[test]
fn wrong_values_name_their_option_and_range() {
    let machine = Machine::new();
    for (option, value, words) in [
        ("--steps", "0", "--steps: 0 is outside of 1 to 1000"),
        (
            "--size",
            "8x64",
            "--size: width: 8 is outside of 16 to 8192",
        ),
        ("--guidance", "nan", "--guidance: NaN"),
        ("--guidance", "-1", "--guidance: -1"),
        (
            "--sampler",
            "magic",
            "--sampler: “magic” is not known; choose one of",
        ),
        (
            "--schedule",
            "magic",
            "--schedule: “magic” is not known; choose one of",
        ),
        (
            "--sigmas",
            "1,2",
            "--sigmas: 1 is followed by 2: they must fall",
        ),
        ("--batch", "0", "--batch: 0 is outside of 1 to 1000"),
        ("--model", "nothing", "no model called “nothing”"),
        ("--device", "abacus", "abacus"),
    ] {
        machine.refuses(1, &["render", "--prompt", "a", option, value], &[words]);
    }
    let seed = u64::MAX.to_string();
    machine.refuses(
        1,
        &["render", "--prompt", "a", "--seed", &seed, "--batch", "2"],
        &["--seed:", "too large"],
    );
}

#[test]
fn wrong_files_are_named_with_the_remedy() {
    let machine = Machine::new();
    let start = machine.picture("start.png", 64, 64);
    let other = machine.mask("other.png", 32, 64, 255);
    let black = machine.mask("black.png", 64, 64, 0);
    let broken = machine.file("broken.png", b"\x89PNG\r\n\x1a\nxx");
    let plain = machine.picture("plain.png", 8, 8);
    let missing = machine.text("missing.png");
    let binary = machine.file("binary.json", b"\xff\xfe\x00");
    let json = machine.file("half.json", b"{\"steps\": 3");
    let render = |more: &[&'static str], files: &[&str]| -> Vec<String> {
        let files = files.iter().map(|file| (*file).to_owned());
        let mut args: Vec<String> = ["render", "--prompt", "a"].map(str::to_owned).to_vec();
        args.extend(
            more.iter()
                .map(|s| (*s).to_owned())
                .zip(files)
                .flat_map(|(a, b)| [a, b]),
        );
        args
    };
    let refuses = |args: Vec<String>, words: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        machine.refuses(1, &args, words);
    };
    refuses(
        render(&["--init"], &[&missing]),
        &[&missing, "check the path"],
    );
    refuses(
        render(&["--init"], &[&broken]),
        &[&broken, "save it again as PNG"],
    );
    refuses(
        render(&["--init", "--mask"], &[&start, &other]),
        &[
            &other,
            "the mask has 32 x 64 px, the start picture 64 x 64 px",
            "make the mask as large",
        ],
    );
    refuses(
        render(&["--init", "--mask"], &[&start, &black]),
        &[&black, "nothing in the mask is white", "paint white"],
    );
    for file in [&plain, &binary, &json] {
        machine.refuses(1, &["recipe", file], &[file, "give a"]);
        machine.refuses(1, &["render", "--recipe", file], &[file]);
    }
    machine.refuses(1, &["recipe", &missing], &[&missing]);
    let models = machine.text("no-folder");
    machine.refuses(
        1,
        &["models", "--models", &models],
        &[&models, "not a folder"],
    );
}

#[test]
fn places_that_cannot_be_written_are_found_before_the_work() {
    let machine = Machine::new();
    let file = machine.file("file", b"x");
    let below = format!("{file}/pictures/");
    let below_file = format!("{file}/x.png");
    for out in [&below, &below_file] {
        let started = std::time::Instant::now();
        machine.refuses(1, &quick(&["--out", out]), &[&file, "choose another path"]);
        assert!(started.elapsed().as_secs() < 2);
    }
    machine.refuses(1, &quick(&["--library", &below]), &[&file]);
    machine.refuses(1, &quick(&["--data", &below]), &[&file]);
}

#[test]
fn broken_models_are_listed_with_their_reason_and_named_when_asked_for() {
    let machine = Machine::new();
    let model = machine.path("models/cut");
    std::fs::create_dir_all(model.join("unet")).expect("made");
    std::fs::write(model.join("model_index.json"), b"{\"unet\": ").expect("written");
    let folder = machine.text("models");
    let ran = machine.run(&["models", "--models", &folder]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("cannot use") && ran.out.contains("model_index.json"),
        "{ran:?}"
    );
    machine.refuses(
        1,
        &quick(&["--models", &folder, "--model", "cut"]),
        &["model_index.json"],
    );
    let json = machine.run(&["models", "--json"]);
    let catalog: Value = serde_json::from_str(&json.out).expect("JSON");
    assert!(
        catalog["models"]
            .as_array()
            .is_some_and(|models| !models.is_empty())
    );
    assert!(
        catalog["samplers"]
            .as_array()
            .is_some_and(|list| list.len() >= 7)
    );
}

#[test]
fn help_and_version_come_from_the_tables() {
    let machine = Machine::new();
    let help = machine.run(&["--help"]);
    assert_eq!(help.code, 0);
    for command in cli::COMMANDS {
        assert!(help.out.contains(command.name), "{}", help.out);
        let page = machine.run(&[command.name, "--help"]);
        assert_eq!((page.code, page.err.as_str()), (0, ""));
        let named = machine.run(&["help", command.name]);
        assert_eq!(named.out, page.out);
        for option in command.groups.iter().flat_map(|(_, group)| *group) {
            assert!(page.out.contains(&format!("--{}", option.name)));
        }
        let longest = page.out.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{}", page.out);
    }
    let render = machine.run(&["render", "--help"]).out;
    for sampler in pentimento_engine::samplers::SAMPLERS {
        assert!(render.contains(sampler.id));
    }
    let version = machine.run(&["--version"]).out;
    assert_eq!(
        version,
        format!("pentimento {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_picture_repeats_from_its_own_file() {
    let machine = Machine::new();
    let first = machine.text("first.png");
    assert_eq!(
        machine.makes(&quick(&["--out", &first])),
        [PathBuf::from(&first)]
    );
    let found = read_record_file(Path::new(&first))
        .expect("readable")
        .expect("a recipe");
    assert_eq!(found.record.recipe.prompt, "a red apple, 3d");
    let folder = machine.text("again");
    let again = machine.makes(&["render", "--recipe", &first, "--out", &folder]);
    assert_eq!(again, [machine.path("again/00001-5.png")]);
    let same = |a: &Path, b: &Path| load_picture(a).expect("a") == load_picture(b).expect("b");
    assert!(same(Path::new(&first), &again[0]));
    // From the JSON that `recipe` prints, with one option overridden.
    let printed = machine.run(&["recipe", &first, "--json"]);
    let json = machine.file("recipe.json", printed.out.as_bytes());
    let other = machine.makes(&["render", "--recipe", &json, "--seed", "6", "--threads", "1"]);
    assert!(other[0].starts_with(machine.path("gallery")));
    assert!(!same(Path::new(&first), &other[0]));
    let batch = machine.makes(&quick(&[
        "--batch",
        "2",
        "--out",
        &machine.text("batch.png"),
    ]));
    assert_eq!(
        batch,
        [machine.path("batch.png"), machine.path("batch-2.png")]
    );
    assert!(same(Path::new(&first), &batch[0]) && same(&other[0], &batch[1]));
    let told = machine.run(&["recipe", &first]).out;
    assert!(
        told.contains("a red apple, 3d") && told.contains("seed       5"),
        "{told}"
    );
}

#[test]
fn inpainting_keeps_what_is_black_in_the_mask() {
    let machine = Machine::new();
    let start = machine.picture("start.png", 72, 56);
    let mask = machine.mask("mask.png", 72, 56, 255);
    let out = machine.text("out.png");
    let made = machine.makes(&quick(&[
        "--init",
        &start,
        "--mask",
        &mask,
        "--mask-blur",
        "6",
        "--content",
        "fill",
        "--strength",
        "1",
        "--only-masked",
        "--padding",
        "8",
        "--out",
        &out,
    ]));
    let (before, after) = (
        load_picture(Path::new(&start)).expect("a picture"),
        load_picture(&made[0]).expect("a picture"),
    );
    assert_eq!((after.width_px, after.height_px), (72, 56));
    let mut changed = 0;
    for y in 0..56 {
        for x in 0..72 {
            let same = before.pixel(x, y) == after.pixel(x, y);
            assert!(
                same || x < 36,
                "({x}, {y}) lies outside the mask and changed"
            );
            changed += u32::from(!same);
        }
    }
    assert!(changed > 36 * 56 / 2, "the masked half was repainted");
    // The recipe in the file repeats it: its pictures lie in the gallery.
    let again = machine.makes(&["render", "--recipe", &out, "--out", &machine.text("b.png")]);
    assert_eq!(load_picture(&again[0]).expect("a picture"), after);
    // Elsewhere they do not.
    let elsewhere = Machine::new();
    elsewhere.refuses(
        1,
        &["render", "--recipe", &out],
        &["not in the gallery", "--init FILE"],
    );
}

#[test]
fn json_lines_tell_every_event_without_pixels() {
    let machine = Machine::new();
    let ran = machine.run(&quick(&["--json", "--out", &machine.text("x.png")]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.len() < 20_000, "pixels are left out");
    let events: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(
        (count("started"), count("step_done"), count("image_ready")),
        (1, 2, 1)
    );
    assert_eq!(events.last().expect("events")["event"], "finished");
    let refused = machine.run(&["render", "--prompt", "a", "--json", "--steps", "0"]);
    assert_eq!(refused.code, 1);
    let line: Value = serde_json::from_str(&refused.out).expect("JSON");
    assert_eq!(
        (&line["event"], &line["error"]["field"]),
        (&"refused".into(), &"steps".into())
    );
}

#[test]
fn ctrl_c_stops_and_keeps_what_is_finished() {
    let machine = Machine::new();
    let folder = machine.text("out");
    let ran = machine.run_until(
        &quick(&["--json", "--batch", "50", "--out", &folder]),
        Some("image_ready"),
        &|_| Ok(()),
    );
    assert_eq!(ran.code, 130, "{ran:?}");
    let kept: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(!kept.is_empty() && kept.len() < 50, "{kept:?}");
    for path in kept {
        load_picture(&path).expect("whole");
    }
}

#[test]
fn without_a_display_a_first_picture_is_made() {
    let machine = Machine::new();
    let ran = machine.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in ["no display", "gallery", "pentimento render"] {
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    let picture = PathBuf::from(ran.out.trim());
    assert!(picture.starts_with(machine.path("gallery")));
    load_picture(&picture).expect("a picture");
}

#[test]
fn the_window_gets_the_folders_and_its_end_is_the_programs() {
    let machine = Machine::new();
    let models = machine.path("more");
    std::fs::create_dir(&models).expect("made");
    let library = machine.path("gallery");
    let ran = machine.run_until(
        &["--models", &machine.text("more"), "--threads", "1"],
        None,
        &|options| {
            assert_eq!(options.engine.library_dir, library);
            assert!(options.engine.model_folders.contains(&models));
            assert!(
                options.engine.previews != PreviewMode::Off && options.engine.threads == Some(1)
            );
            Ok(())
        },
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}
