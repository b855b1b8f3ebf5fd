//! Add-ons on the command line: by name and by path, listed, recorded, mistyped.

use pentimento_engine::recipe::read_record_file;
use support::places::fixture;

use crate::machine::Machine;

/// A short run of a tiny model.
fn render<'a>(models: &'a [String; 2], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "render",
        "--prompt",
        "a red apple",
        "--model",
        "sd1",
        "--steps",
        "2",
        "--size",
        "32x32",
        "--models",
        &models[0],
        "--models",
        &models[1],
    ];
    args.extend(more);
    args
}

#[test]
fn named_listed_recorded_and_mistyped() {
    let machine = Machine::new();
    let path = |folder: &str| fixture(folder).to_string_lossy().into_owned();
    let models = [path("models"), path("lora")];
    let out = machine.text("ink.png");
    let made = ["--lora", "kohya:0.5:0.25", "--lora", "loha", "--out", &out];
    machine.makes(&render(&models, &made));
    let found = read_record_file(out.as_ref()).unwrap().unwrap();
    let used: Vec<(String, f64, f64)> = found
        .record
        .outcome
        .add_ons
        .iter()
        .map(|one| (one.name.clone(), one.unet, one.text))
        .collect();
    let want = [("kohya", 0.5, 0.25), ("loha", 1.0, 1.0)];
    let want = want.map(|(name, unet, text)| (name.to_owned(), unet, text));
    assert_eq!(used, want);
    let printed = machine.run(&["recipe", &out]).out;
    assert!(printed.contains("kohya 0.5 (text 0.25), "), "{printed}");
    // A file by its path, wherever it lies.
    let file = fixture("lora/lokr.safetensors")
        .to_string_lossy()
        .into_owned();
    let by_path = machine.text("path.png");
    let lora = format!("{file}:0.5");
    let args = [
        "render",
        "--prompt",
        "a red apple",
        "--model",
        "sd1",
        "--steps",
        "2",
        "--size",
        "32x32",
        "--models",
        &models[0],
        "--lora",
        &lora,
        "--out",
        &by_path,
    ];
    machine.makes(&args);
    let found = read_record_file(by_path.as_ref()).unwrap().unwrap();
    assert_eq!(found.record.recipe.add_ons.used[0].name, "lokr");
    let refused = render(&models, &["--lora", "kohia", "--out", &out]);
    machine.refuses(2, &refused, &["unknown LoRA kohia; did you mean kohya?"]);
    let refused = render(&models, &["--lora", "kohya:", "--out", &out]);
    machine.refuses(2, &refused, &["is not NAME"]);
    let listed = machine.run(&["models", "--models", &models[1]]).out;
    for words in [
        "kohya.safetensors: lora",
        "also called Kohya alias",
        "words: kohya style, red apple",
    ] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
}

#[test]
fn a_path_means_its_file_and_no_namesake() {
    let machine = Machine::new();
    let folder = machine.text("loras");
    let at = |part: &str| format!("{folder}/{part}/detail.safetensors");
    for (part, from) in [("a", "kohya"), ("b", "loha")] {
        std::fs::create_dir_all(format!("{folder}/{part}")).unwrap();
        std::fs::copy(fixture(&format!("lora/{from}.safetensors")), at(part)).unwrap();
    }
    let models = [
        fixture("models").to_string_lossy().into_owned(),
        folder.clone(),
    ];
    let made = |lora: &str, out: &str| {
        let out = machine.text(out);
        machine.makes(&render(&models, &["--lora", lora, "--out", &out]));
        let found = read_record_file(out.as_ref()).unwrap().unwrap();
        let made = &found.record.outcome.add_ons[0];
        (made.name.clone(), made.hash.clone())
    };
    let by_path = made(&at("b"), "path.png");
    assert_eq!(by_path.0, "b/detail");
    assert_eq!(made("b/detail", "name.png"), by_path);
    let first = made("detail", "first.png");
    assert_ne!(first.1, by_path.1, "the first of that name");
    let broken = at("c");
    std::fs::create_dir_all(format!("{folder}/c")).unwrap();
    std::fs::write(&broken, b"nothing").unwrap();
    let out = machine.text("none.png");
    let refused = render(&models, &["--lora", &broken, "--out", &out]);
    machine.refuses(2, &refused, &[broken.as_str()]);
}
