//! LoRA through whole jobs: named in the prompt or listed, recorded, and gone without a trace.

use pentimento_engine::client::EngineClient;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{AddOnKind, AddOnUse, Recipe, Record, dialects::a1111};
use support::places::fixture;
use support::running::{Options, Running, recipe, request};

fn running() -> Running {
    Running::with(Options {
        model_folders: vec![fixture("models"), fixture("lora"), fixture("embeddings")],
        ..Options::default()
    })
}

/// Makes a recipe's picture.
pub(crate) fn run(running: &Running, recipe: &Recipe) -> (Picture, Record) {
    let job = running.submit_request(request(recipe.clone()));
    for event in running.until_end(job) {
        match event {
            pentimento_engine::event::Event::ImageReady { image, record, .. } => {
                return (image, *record);
            }
            pentimento_engine::event::Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    panic!("no picture");
}

fn prompted(prompt: &str) -> Recipe {
    Recipe {
        prompt: prompt.to_owned(),
        ..recipe("sd1")
    }
}

fn listed(name: &str, unet: f64, text: f64) -> Recipe {
    let mut recipe = prompted("a red apple");
    recipe.add_ons.used.push(AddOnUse {
        name: name.to_owned(),
        unet,
        text,
    });
    recipe
}

#[test]
fn applied_and_taken_off_again_leaves_no_trace() {
    let running = running();
    let of = |recipe: &Recipe| run(&running, recipe).0;
    let plain = of(&prompted("a red apple"));
    let mut seen = vec![plain.clone()];
    for recipe in [
        prompted("a red apple<lora:kohya:0.8>"),
        prompted("a red apple<lora:kohya:0.5>"),
        prompted("a red apple<lora:kohya:0:0.5>"),
        prompted("a red apple<lora:kohya:0.5:0>"),
        prompted("a red apple<lora:lokr>"),
        prompted("a red apple<lora:kohya:0.5><lyco:lokr:0.5>"),
    ] {
        let made = of(&recipe);
        assert!(!seen.contains(&made), "{}", recipe.prompt);
        seen.push(made);
    }
    assert_eq!(of(&prompted("a red apple")), plain);
    assert_eq!(of(&prompted("a red apple<lora:kohya:0>")), plain);
    // However it is named, and wherever the tag stands.
    let half = of(&prompted("a red apple<lora:kohya:0.5>"));
    for same in [
        prompted("<lora:Kohya alias:te=0.5:unet=0.5>a red apple"),
        prompted("a red <lora:kohya:0.25>apple<lora:kohya:0.25>"),
        listed("kohya", 0.5, 0.5),
    ] {
        let made = of(&same);
        if same.prompt.matches("lora").count() == 2 {
            // Twice a quarter, up to rounding.
            let off = made
                .rgba
                .iter()
                .zip(half.rgba.iter())
                .map(|(a, b)| a.abs_diff(*b));
            assert!(off.max().unwrap() <= 1);
        } else {
            assert_eq!(made, half, "{}", same.prompt);
        }
    }
    // The weights of the list: for the network first.
    let (unet_only, text_only) = (&seen[3], &seen[4]);
    assert_eq!(of(&listed("kohya", 0.5, 0.0)), *unet_only);
    assert_eq!(of(&listed("kohya", 0.0, 0.5)), *text_only);
    // Another model meanwhile, and back.
    of(&Recipe {
        prompt: "a red apple".to_owned(),
        ..recipe("plain")
    });
    assert_eq!(of(&prompted("a red apple<lora:kohya:0.5>")), half);
}

#[test]
fn what_took_part_is_recorded_and_what_did_not_is_said() {
    let running = running();
    let recipe = prompted("a red apple<lora:kohya:0.5><lora:gone:1><lora:ldm:x><hypernet:y:1>");
    let (image, record) = run(&running, &recipe);
    let made = &record.outcome.add_ons;
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].kind, made[0].name.as_str()),
        (AddOnKind::Lora, "kohya")
    );
    assert_eq!((made[0].unet, made[0].text), (0.5, 0.5));
    for part in ["“gone”", "“x”", "hypernet", "1 of 10 modules"] {
        let said = record
            .outcome
            .warnings
            .iter()
            .any(|text| text.contains(part));
        assert!(said, "{part}: {:?}", record.outcome.warnings);
    }
    assert_eq!(
        record.recipe.prompt, recipe.prompt,
        "tags stay in the recipe"
    );
    assert_eq!(
        record.recipe.add_ons.pinned(AddOnKind::Lora, "kohya"),
        Some(made[0].hash.as_str())
    );
    // As A1111 would read it, and back.
    let text = a1111::write(&record);
    assert!(
        text.contains(&format!("Lora hashes: \"kohya: {}\"", &made[0].hash[..12])),
        "{text}"
    );
    let (mut again, notes) = a1111::read(&text, [64, 64]).unwrap();
    again.precision = record.recipe.precision;
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(
        again.add_ons.pinned(AddOnKind::Lora, "kohya"),
        made[0].hash.get(..12)
    );
    assert!(
        run(&running, &again).0 == image,
        "A1111's text alone repeats it"
    );
    // A list becomes tags there.
    let mut record = record;
    record.recipe = listed("kohya", 0.5, 0.25);
    assert!(a1111::write(&record).starts_with("a red apple <lora:kohya:0.25:0.5>\n"));
}

#[test]
fn a_renamed_file_is_found_by_its_hash_and_another_one_is_said() {
    let folder = tempfile::TempDir::new().unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(
            fixture(&format!("lora/{from}.safetensors")),
            folder.path().join(to),
        )
        .unwrap();
    };
    copy("ldm", "kohya.safetensors");
    let running = Running::with(Options {
        model_folders: vec![fixture("models"), folder.path().to_owned()],
        ..Options::default()
    });
    let mut recipe = prompted("a red apple<lora:kohya:0.5>");
    let name = "kohya".to_owned();
    recipe
        .add_ons
        .hashes
        .insert(name, "0123456789ab".to_owned());
    let (_, record) = run(&running, &recipe);
    let said = |word: &str| {
        record
            .outcome
            .warnings
            .iter()
            .any(|text| text.contains(word))
    };
    assert!(said("differs"), "{:?}", record.outcome.warnings);
}

#[test]
fn the_catalogue_tells_what_add_ons_are() {
    let running = running();
    running.wait_for_model("sd1");
    let catalog = running.engine.catalog();
    let kohya = catalog
        .add_on(AddOnKind::Lora, "Kohya alias", None)
        .unwrap();
    // Two files of that name lie there; the bare name means this one.
    assert_eq!(kohya.name, "kohya.safetensors");
    let bare = catalog.add_on(AddOnKind::Lora, "kohya", None).unwrap();
    assert_eq!(bare.path, kohya.path);
    assert_eq!(kohya.base, "Stable Diffusion 1.x");
    assert_eq!(kohya.notes.trigger_words, ["kohya style", "red apple"]);
    let dora = catalog.add_on(AddOnKind::Lora, "dora", None).unwrap();
    assert_eq!(dora.algorithms, ["dora", "loha", "lokr", "lora"]);
    let names: Vec<&str> = catalog
        .add_ons
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    for name in [
        "former",
        "kohya.pt",
        "ldm",
        "loha",
        "lokr",
        "peft",
        "peft_dora",
        "whole",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(!names.contains(&"merged"), "{names:?}");
}

#[test]
fn embeddings_are_words_and_are_recorded() {
    let running = running();
    let plain = run(&running, &prompted("a red apple")).0;
    let (image, record) = run(&running, &prompted("a (red-thing:1.2) apple"));
    let made = &record.outcome.add_ons;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(
        (made[0].kind, made[0].name.as_str()),
        (AddOnKind::Embedding, "red-thing")
    );
    let text = a1111::write(&record);
    let wanted = format!("TI hashes: \"red-thing: {}\"", &made[0].hash[..12]);
    assert!(text.contains(&wanted), "{text}");
    assert!(text.contains("Hashes: {"), "{text}");
    let (mut again, notes) = a1111::read(&text, [64, 64]).unwrap();
    again.precision = record.recipe.precision;
    assert!(notes.is_empty(), "{notes:?}");
    assert!(
        run(&running, &again).0 == image,
        "A1111's text alone repeats it"
    );
    // In the negative prompt as well, in either case of letters, and not in plain text.
    let mut negative = prompted("a red apple");
    negative.negative_prompt = "RED-Thing".to_owned();
    let (other, record) = run(&running, &negative);
    assert_ne!(other, plain);
    assert_eq!(record.outcome.add_ons.len(), 1);
    let mut text = prompted("a red-thing apple");
    text.prompting = pentimento_engine::recipe::Prompting::plain();
    assert!(run(&running, &text).1.outcome.add_ons.is_empty());
    // One for another kind of model is said.
    let (_, record) = run(&running, &prompted("too-wide apple"));
    let said = record
        .outcome
        .warnings
        .iter()
        .any(|note| note.contains("“too-wide”"));
    assert!(said, "{:?}", record.outcome.warnings);
    assert!(run(&running, &prompted("a red apple")).0 == plain);
}
