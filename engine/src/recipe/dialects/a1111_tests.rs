//! The grammar of `parameters`, both ways.

use super::super::super::tests::record;
use super::*;

#[test]
fn writes_the_documented_order_and_quotes() {
    let text = write(&record());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "a red apple, 3d");
    assert_eq!(lines[1], "second line: ünï 雪");
    assert_eq!(lines[2], "Negative prompt: blurry, \"quoted\"");
    assert_eq!(
        lines[3],
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, \
         Seed: 18446744073709551612, Size: 128x96, Model hash: 0123456789, Model: tiny, \
         Denoising strength: 0.75, RNG: CPU, CFG Rescale: 0.7, Mask blur: 4, \
         Inpaint area: Only masked, Masked area padding: 32, Masked content: latent noise, \
         Version: Pentimento 0.1.0"
    );
    let mut named = record();
    named.outcome.build = "pentimento 0.1.0".to_owned();
    assert_eq!(write(&named), text);
    assert_eq!(quoted("a, b: c".to_owned()), "\"a, b: c\"");
}

#[test]
fn what_was_written_reads_back() {
    let mut record = record();
    record.recipe.model.id = "my: model, v2".to_owned();
    let (recipe, notes) = read(&write(&record), [1, 1]).unwrap();
    let ours = &record.recipe;
    assert_eq!(recipe.prompt, ours.prompt);
    assert_eq!(recipe.negative_prompt, ours.negative_prompt);
    assert_eq!(recipe.model.id, ours.model.id);
    assert_eq!(
        (
            recipe.steps,
            recipe.seed,
            recipe.guidance,
            recipe.guidance_rescale
        ),
        (ours.steps, ours.seed, ours.guidance, ours.guidance_rescale)
    );
    assert_eq!((recipe.width_px, recipe.height_px), (128, 96));
    assert_eq!(
        (recipe.sampler.as_str(), recipe.schedule.as_str()),
        ("dpmpp_2m", "karras")
    );
    assert_eq!(recipe.noise_source, NoiseKind::TorchCpu);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("Denoising strength: 0.75"));
}

#[test]
fn every_sampler_and_schedule_survives() {
    for (sampler, ..) in SAMPLERS {
        for (schedule, _) in SCHEDULES {
            let mut record = record();
            record.recipe.sampler = (*sampler).to_owned();
            record.recipe.schedule = (*schedule).to_owned();
            let (recipe, _) = read(&write(&record), [1, 1]).unwrap();
            assert_eq!(
                (recipe.sampler, recipe.schedule),
                (record.recipe.sampler, record.recipe.schedule)
            );
        }
    }
}

fn sampler_of(settings: &str) -> (String, String, Vec<String>) {
    let text = format!("x\nSteps: 20, CFG scale: 7, Seed: 1, {settings}");
    let (recipe, notes) = read(&text, [8, 8]).unwrap();
    (recipe.sampler, recipe.schedule, notes)
}

#[test]
fn older_and_foreign_sampler_names() {
    let cases = [
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m", "karras"),
        (
            "Sampler: DPM++ 2M SDE Exponential",
            "dpmpp_2m_sde",
            "exponential",
        ),
        ("Sampler: Euler a", "euler_a", "model"),
        (
            "Sampler: DPM++ 2M, Schedule type: Automatic",
            "dpmpp_2m",
            "karras",
        ),
        ("Sampler: DPM++ 2M, Version: v1.6.0", "dpmpp_2m", "model"),
        (
            "Sampler: DPM++ 2M, Schedule type: SGM Uniform",
            "dpmpp_2m",
            "sgm_uniform",
        ),
    ];
    for (settings, sampler, schedule) in cases {
        let (got, got_schedule, notes) = sampler_of(settings);
        assert_eq!(
            (got.as_str(), got_schedule.as_str()),
            (sampler, schedule),
            "{settings}"
        );
        assert_eq!(notes, Vec::<String>::new());
    }
    let (sampler, schedule, notes) = sampler_of("Sampler: Restart, Schedule type: Beta");
    assert_eq!(
        (sampler.as_str(), schedule.as_str()),
        ("dpmpp_2m", "karras")
    );
    assert_eq!(notes.len(), 2);
}

#[test]
fn a_real_looking_text_with_extras() {
    let text = "masterpiece, (cat:1.2) <lora:fur:0.8>\nNegative prompt: dog,\nlowres\n\
        Steps: 30, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 512x768, \
        Model hash: abcdef0123, Model: dream, Clip skip: 2, ENSD: 31337, \
        Lora hashes: \"fur: 1234, a: b\", Hires upscale: 2, Version: v1.9.4";
    let (recipe, notes) = read(text, [9, 9]).unwrap();
    assert_eq!(recipe.prompt, "masterpiece, (cat:1.2) <lora:fur:0.8>");
    assert_eq!(recipe.negative_prompt, "dog,\nlowres");
    assert_eq!((recipe.width_px, recipe.height_px), (512, 768));
    assert_eq!(recipe.noise_source, NoiseKind::Philox);
    assert_eq!(recipe.model.id, "dream");
    let noted = |word: &str| notes.iter().any(|note| note.starts_with(word));
    for word in ["Clip skip", "ENSD", "Hires upscale", "<lora"] {
        assert!(noted(word), "{word} in {notes:?}");
    }
    assert!(!noted("Lora hashes") && !noted("Version") && notes.len() == 4);
}

#[test]
fn what_is_no_recipe_is_none_and_nothing_panics() {
    for text in [
        "",
        "just a caption",
        "a: b, c: d",
        "{\"sui_image_params\": {\"Steps\": 3, \"a b\": 1, \"c d\": 2}}",
    ] {
        assert_eq!(read(text, [8, 8]), None, "{text}");
    }
    let whole = write(&record());
    for (cut, _) in whole.char_indices() {
        drop(read(&whole[..cut], [8, 8]));
        drop(read(&whole[cut..], [8, 8]));
    }
    let (recipe, notes) = read(
        "x\nSteps: many, Seed: -1, CFG scale: 1e999, Size: axb, Sampler: \"",
        [8, 8],
    )
    .unwrap();
    assert_eq!((recipe.steps, recipe.width_px), (20, 8));
    assert!(notes.len() >= 3);
    let started = std::time::Instant::now();
    for hostile in ["a b: \"", "a b", "\"\\", "aa: ,", "a:"] {
        drop(read(&hostile.repeat(1 << 18), [8, 8]));
    }
    assert!(started.elapsed().as_secs() < 2);
}
