//! Recipes that other programs wrote into PNG, JPEG and WebP files: what is taken over, what is told about, and that
//! hostile files do no harm.

use std::time::Instant;

use pentimento_engine::prompt::{PromptSyntax, Weighting};
use pentimento_engine::raster::{Picture, encode_png_with_text};
use pentimento_engine::recipe::{
    Dialect, FoundRecord, NoiseKind, Recipe, read_record, read_record_file,
};
use support::places;

fn found(name: &str) -> FoundRecord {
    let path = places::fixture("metadata").join(name);
    let found = read_record_file(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    found.unwrap_or_else(|| panic!("{name}: no recipe"))
}

/// Steps, guidance, seed, size, sampler, schedule, model.
fn settings(recipe: &Recipe) -> (u32, f64, u64, [u32; 2], &str, &str, &str) {
    (
        recipe.steps,
        recipe.guidance,
        recipe.seed,
        [recipe.width_px, recipe.height_px],
        &recipe.sampler,
        &recipe.schedule,
        &recipe.model.id,
    )
}

/// Whether a note speaks of each of these, and nothing else is noted.
#[track_caller]
fn expect_notes(found: &FoundRecord, words: &[&str]) {
    for word in words {
        let told = found.notes.iter().any(|note| note.contains(word));
        assert!(told, "{word} in {:?}", found.notes);
    }
    assert_eq!(found.notes.len(), words.len(), "{:?}", found.notes);
}

fn loras(recipe: &Recipe) -> Vec<(&str, f64, f64)> {
    let used = recipe.add_ons.used.iter();
    used.map(|one| (one.name.as_str(), one.unet, one.text))
        .collect()
}

#[test]
fn a1111_in_every_container() {
    for name in ["a1111.png", "a1111.jpg", "a1111.webp", "forge_little.jpg"] {
        let found = found(name);
        let recipe = &found.record.recipe;
        assert_eq!(
            (found.dialect, found.size_px),
            (Dialect::A1111, [8, 6]),
            "{name}"
        );
        assert_eq!(recipe.prompt, "a (red:1.2) apple, <lora:shine:0.8>");
        assert_eq!(recipe.negative_prompt, "blurry, [green]");
        let want = (
            25,
            6.5,
            1234,
            [512, 640],
            "dpmpp_2m",
            "karras",
            "v1-5-pruned",
        );
        assert_eq!(settings(recipe), want, "{name}");
        assert_eq!(recipe.model.short_hash.as_deref(), Some("6ce0161689"));
        assert_eq!(recipe.noise_source, NoiseKind::Philox);
        assert_eq!(recipe.prompting.syntax, PromptSyntax::A1111);
        assert!(!recipe.prompting.dynamic);
        assert_eq!(recipe.network.clip_skip, 2, "{name}");
        expect_notes(&found, &[]);
    }
}

#[test]
fn sd_cpp_speaks_a1111_with_an_accent() {
    let found = found("sd_cpp.png");
    let want = (20, 7.0, 42, [512, 512], "euler_a", "karras", "v1-5");
    let recipe = &found.record.recipe;
    assert_eq!(settings(recipe).0, want.0);
    assert_eq!(
        (recipe.sampler.as_str(), recipe.schedule.as_str()),
        (want.4, want.5)
    );
    expect_notes(&found, &["Guidance"]);
}

#[test]
fn comfyui_graphs_are_walked_from_the_saved_picture() {
    for name in ["comfyui.png", "comfyui.webp"] {
        let found = found(name);
        let recipe = &found.record.recipe;
        assert_eq!(found.dialect, Dialect::ComfyUi, "{name}");
        assert_eq!(recipe.prompt, "a (red:1.3) apple");
        assert_eq!(recipe.negative_prompt, "blurry and \\[dull\\]");
        let want = (22, 5.5, 77, [640, 448], "dpmpp_2m", "karras", "dream");
        assert_eq!(settings(recipe), want, "{name}");
        assert_eq!(recipe.prompting.weighting, Weighting::ComfyUi);
        assert_eq!(recipe.noise_source, NoiseKind::TorchCpu);
        expect_notes(&found, &[]);
        assert_eq!(loras(recipe), [("shine", 1.0, 1.0)]);
    }
    let found = found("comfyui_workflow.png");
    let want = (9, 4.5, 78, [640, 448], "euler_a", "normal", "dream");
    assert_eq!(settings(&found.record.recipe), want);
    assert_eq!(found.record.recipe.prompt, "a red apple");
    assert_eq!(found.record.recipe.negative_prompt, "blurry");
    expect_notes(&found, &[]);
}

#[test]
fn invokeai_of_every_age() {
    let new = found("invokeai.png");
    let want = (30, 7.5, 99, [768, 512], "dpmpp_2m", "karras", "dream");
    assert_eq!(settings(&new.record.recipe), want);
    assert_eq!(new.record.recipe.guidance_rescale, 0.3);
    expect_notes(&new, &["seamless_x"]);
    assert_eq!(loras(&new.record.recipe), [("shine", 0.7, 0.7)]);
    let old = found("invokeai_2.png");
    assert_eq!(old.record.recipe.prompt, "a red apple");
    assert_eq!(old.record.recipe.negative_prompt, "blurry");
    assert_eq!((old.record.recipe.steps, old.record.recipe.seed), (50, 4));
    assert_eq!(old.record.recipe.model.id, "dream");
    let oldest = found("invokeai_1.png");
    let want = (50, 7.5, 1234, [512, 448], "euler_a", "model", "");
    assert_eq!(settings(&oldest.record.recipe), want);
    assert_eq!(oldest.record.recipe.negative_prompt, "blurry");
}

#[test]
fn fooocus_swarmui_and_novelai() {
    for name in ["fooocus.png", "fooocus.jpg"] {
        let found = found(name);
        assert_eq!(found.dialect, Dialect::Fooocus, "{name}");
        let recipe = &found.record.recipe;
        let want = (
            30,
            4.0,
            987_654_321,
            [1024, 768],
            "dpmpp_2m_sde",
            "karras",
            "juggernautXL_v8",
        );
        assert_eq!(settings(recipe), want, "{name}");
        assert_eq!(recipe.model.short_hash.as_deref(), Some("aeb7e9e689"));
        assert_eq!(loras(recipe), [("offset", 0.1, 0.1)]);
        for word in ["styles", "sharpness"] {
            assert!(
                found.notes.iter().any(|note| note.contains(word)),
                "{:?}",
                found.notes
            );
        }
    }
    for name in ["swarmui.png", "swarmui.jpg"] {
        let found = found(name);
        assert_eq!(found.dialect, Dialect::SwarmUi, "{name}");
        let want = (18, 6.0, 55, [512, 512], "euler_a", "karras", "dream");
        assert_eq!(settings(&found.record.recipe), want, "{name}");
        assert_eq!(found.record.recipe.network.clip_skip, 2, "{name}");
        expect_notes(&found, &[]);
        assert_eq!(loras(&found.record.recipe), [("shine", 1.0, 1.0)]);
    }
    let found = found("novelai.png");
    assert_eq!(found.dialect, Dialect::NovelAi);
    let recipe = &found.record.recipe;
    assert_eq!(recipe.prompt, "(red:1.05) apple, (dull:0.9524), \\(x\\)");
    assert_eq!(recipe.negative_prompt, "blurry");
    assert_eq!(
        (recipe.steps, recipe.seed, recipe.guidance_rescale),
        (28, 123_456, 0.2)
    );
    assert_eq!(
        (recipe.sampler.as_str(), recipe.schedule.as_str()),
        ("euler_a", "karras")
    );
}

/// A PNG with these texts.
fn png(texts: &[(&'static str, String)]) -> Vec<u8> {
    let picture = Picture::new(2, 2, vec![0; 16]).unwrap();
    let texts: Vec<_> = texts
        .iter()
        .map(|(key, text)| (*key, text.as_str().into()))
        .collect();
    encode_png_with_text(&picture, &texts).unwrap()
}

#[test]
fn hostile_texts_do_no_harm() {
    let began = Instant::now();
    let circle = r#"{"1": {"class_type": "KSampler", "inputs": {"seed": ["1", 0], "positive": ["2", 0]}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["2", 0], "clip": ["1", 0]}}}"#;
    let mut chain = String::from("{");
    for id in 0..20_000 {
        let next = id + 1;
        chain.push_str(&format!(
            r#""{id}": {{"class_type": "KSampler", "inputs": {{"steps": ["{next}", 0], "model": ["{next}", 0]}}}},"#
        ));
    }
    chain.push_str(r#""end": {}}"#);
    let texts = [
        circle.to_owned(),
        chain,
        "[".repeat(1 << 20),
        "{\"a\":".repeat(1 << 18),
        "{}".to_owned(),
        "{\"sui_image_params\": 3, \"base_model\": [], \"image\": {\"prompt\": 1}}".to_owned(),
        "\"a\" -".to_owned(),
        "\"a\" -é -S".to_owned(),
        format!(
            "{{\"sampler\": \"{}\", \"uc\": \"{}\"}}",
            "x".repeat(1 << 20),
            "{".repeat(1 << 18)
        ),
    ];
    let keys = [
        "parameters",
        "prompt",
        "workflow",
        "invokeai_metadata",
        "sd-metadata",
        "Dream",
        "Comment",
    ];
    for text in &texts {
        for key in keys {
            drop(read_record(&png(&[(key, text.clone())]), "hostile"));
        }
    }
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn broken_files_do_no_harm() {
    for name in ["a1111.jpg", "a1111.webp", "comfyui.webp"] {
        let whole = std::fs::read(places::fixture("metadata").join(name)).unwrap();
        for cut in 0..whole.len() {
            drop(read_record(&whole[..cut], "cut"));
            let mut spoiled = whole.clone();
            spoiled[cut] ^= 0xff;
            drop(read_record(&spoiled, "spoiled"));
        }
    }
}
